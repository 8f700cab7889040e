#include "recipes/runner.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <optional>

#include "checkpoint/foreign/translation.h"
#include "checkpoint/side_files.h"
#include "checkpoint/tokenizer/token_map.h"
#include "core/document.h"
#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/progress.h"
#include "core/version.h"
#include "model/settling_pass.h"
#include "recipes/calibration.h"
#include "recipes/journal.h"
#include "recipes/run_files.h"
#include "recipes/sampled_calibration.h"
#include "recipes/verify.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// What tells one tokenizer of a run from another: only a cut of the vocabulary changes it.
std::string Fingerprint(const Checkpoint& checkpoint) {
  const fs::path map = checkpoint.directory() / kTokenMapFile;
  return fs::exists(map) ? Sha256HexOfFile(map) : "";
}

class Runner {
 public:
  Runner(const Recipe& recipe, const std::vector<PreparedStage>& stages, const RunRequest& request);

  RunIdentity Identity() const;
  void Plan();
  const RunPlan& plan() const { return plan_; }
  RunResult Run();

 private:
  size_t FirstOpenStage() const;
  void RunStage(size_t index, Journal& journal);
  Json RunPass(size_t index, const Checkpoint& in, const Planned& planned, Journal& journal);
  void ReadCalibrationFor(size_t index, const Checkpoint& in);
  void Verify(size_t index, const ModelConfig& planned, Journal& journal);
  Json Publish(const Journal& journal);

  const Recipe& recipe_;
  const std::vector<PreparedStage>& stages_;
  const RunRequest& request_;
  RunFiles files_;
  Checkpoint input_;
  ThreadPool pool_{at::get_num_threads()};  // of plans and passes
  MachineRates rates_;
  std::optional<Checkpoint> teacher_;  // when a pass needs one that is not the input
  TokenWindows calibration_;
  std::string calibration_tokenizer_;  // Fingerprint of the one that made it
  PlanRequest plan_request_;
  RunPlan plan_;
};

Runner::Runner(const Recipe& recipe, const std::vector<PreparedStage>& stages, const RunRequest& request)
    : recipe_(recipe),
      stages_(stages),
      request_(request),
      files_(request.out),
      input_(Checkpoint::Open(request.model,
                              stages.front().object->Needs().packed ? Unpacking::kKeep : Unpacking::kDense)),
      rates_(input_.config(), pool_) {
  calibration_tokenizer_ = Fingerprint(input_);
  if (NeedsTeacher(stages) && !recipe.teacher.empty()) {
    teacher_ = Checkpoint::Open(recipe.teacher);
    // Refused now rather than at its stage; what a stage cuts from the input's vocabulary the teacher has too.
    IdsIn({recipe.teacher, teacher_->config().vocab_size}, {request.model, input_.config().vocab_size});
  }
  for (const fs::path& output : {files_.out, files_.work, files_.stages}) {
    RequireSeparate(request.model, output);
    if (teacher_) RequireSeparate(recipe.teacher, output);
  }
}

RunIdentity Runner::Identity() const {
  RunIdentity identity;
  identity.tool = std::string(kProgramVersion);
  identity.recipe = Sha256Hex(recipe_.Resolved());
  identity.input = input_.QuickIdentity();
  if (NeedsTeacher(stages_)) identity.teacher = teacher_ ? teacher_->QuickIdentity() : identity.input;
  if ((NeedsCalibration(stages_) || NeedsTexts(stages_)) && !recipe_.calibration.texts.empty())
    identity.calibration = CalibrationSha256(recipe_.calibration);
  return identity;
}

void Runner::Plan() {
  plan_request_.input = &input_;
  plan_request_.teacher = teacher_ ? &*teacher_ : nullptr;
  plan_request_.calibration = &recipe_.calibration;
  plan_request_.rates = &rates_;
  plan_request_.out = files_.out;
  plan_request_.memory_budget_B = request_.memory_budget_B;
  plan_request_.disk_in_use_B = files_.WorkBytes();
  plan_request_.keep_stages = request_.keep_stages;
  plan_ = PlanRun(stages_, plan_request_);
  if (!NeedsCalibration(stages_)) return;
  if (recipe_.calibration.FromModel()) return CheckWindow(recipe_.calibration, input_);
  Calibration read = ReadCalibration(recipe_.calibration, input_);
  calibration_ = std::move(read.windows);
  plan_.calibration = std::move(read.files);
  for (const CalibrationFile& file : plan_.calibration)
    LogInfo("calibration: {} ({}): {} windows from {} tokens", file.source.path.string(), file.content, file.windows,
            file.tokens);
}

RunResult Runner::Run() {
  DirectoryLock lock(files_.out);
  RunIdentity identity = Identity();
  if (!request_.overwrite && files_.FinishedBy(identity)) {
    files_.CleanUp(request_.keep_stages);
    LogInfo("{} is already the finished result of this run", files_.out.string());
    return {true, ReadJsonFile(files_.out / "report.json")};
  }
  files_.CheckReplaceable(request_.overwrite);
  if (request_.keep_stages) files_.CheckStagesReplaceable(request_.overwrite);
  Plan();
  files_.PrepareWork(request_.restart);
  Journal journal(files_.work, identity);
  size_t first = FirstOpenStage();
  if (first < stages_.size() && NeedsCalibration(stages_) && recipe_.calibration.FromModel())
    calibration_ = SampleCalibration(recipe_.calibration, input_, files_.work / "calibration.json");
  if (journal.resumed()) LogInfo("resuming the run in {} at stage {}", files_.work.string(), first + 1);
  for (size_t index = first; index < stages_.size(); ++index) RunStage(index, journal);
  Json report = Publish(journal);
  files_.CleanUp(request_.keep_stages);
  return {false, std::move(report)};
}

// A later stage makes the earlier ones unnecessary, and they may be gone.
size_t Runner::FirstOpenStage() const {
  for (size_t index = stages_.size(); index > 0; --index)
    if (fs::exists(files_.Stage(index - 1))) return index;
  return 0;
}

void Runner::RunStage(size_t index, Journal& journal) {
  const PreparedStage& stage = stages_[index];
  LogInfo("stage {} of {}: {}", index + 1, stages_.size(), stage.pass);
  const Checkpoint in = index == 0 ? input_ : Checkpoint::Open(files_.Stage(index - 1));
  const Planned planned = stage.object->Plan(InputOf(stage, in.config(), plan_request_));
  for (const std::string& note : planned.notes) LogInfo("{}: {}", stage.pass, note);

  const fs::path staging = files_.Staging(index);
  Json entry = journal.Entry(index);
  if (entry.is_null() || !fs::exists(staging)) entry = RunPass(index, in, planned, journal);
  const ModelConfig settled = WithDecided(planned.config, entry.value("decided", Json::object()));
  const fs::path beside = SideFilesOf(files_.Scratch(index));
  // With an entry, every tensor is written; without the writer's own journal, Finish was done too.
  if (!fs::exists(staging / "config.json") || fs::exists(staging / "written.journal"))
    CheckpointWriter(staging, settled).Finish(fs::exists(beside) ? beside : in.directory());
  Verify(index, settled, journal);
  PublishDirectory(staging, files_.Stage(index));

  fs::remove_all(files_.Scratch(index));
  if (index > 0 && !request_.keep_stages) fs::remove_all(files_.Stage(index - 1));
}

Json Runner::RunPass(size_t index, const Checkpoint& in, const Planned& planned, Journal& journal) {
  const PreparedStage& stage = stages_[index];
  const fs::path staging = files_.Staging(index), scratch = files_.Scratch(index);
  const bool resumed = fs::exists(staging);
  if (!resumed) fs::remove_all(scratch);
  fs::create_directories(scratch);
  fs::create_directories(staging);  // from here on the next run finds use for what is in scratch

  Json details = Json::object(), decided = Json::object();
  PassContext context;
  context.pool = &pool_;
  context.seed = recipe_.seed;
  if (stage.object->Needs().texts) context.texts = &recipe_.calibration.texts;
  if (stage.object->Needs().calibration) {
    ReadCalibrationFor(index, in);
    context.calibration = &calibration_;
  }
  if (stage.object->Needs().teacher) context.teacher = teacher_ ? &*teacher_ : &input_;
  context.scratch = scratch;
  context.statistics = request_.statistics.empty() ? files_.Statistics() : request_.statistics;
  context.report = &details;
  context.decided = &decided;
  context.rows = ReportRows(scratch / "rows.jsonl");

  ResetPeakResident();
  const auto start = std::chrono::steady_clock::now();
  const ModelConfig settled = SettledConfig(*stage.object, in, planned.config, context);
  decided = DecidedKeys(planned.config, settled);
  CheckpointWriter out(staging, settled);
  stage.object->Run(in, out, context);
  out.Commit(true);
  const double seconds =
      context.rows.earlier_s() + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  Json entry = {{"pass", stage.pass},
                {"resumed", resumed},  // then time and memory are those of all parts
                {"time_s", seconds},
                {"peak_memory_B", std::max(context.rows.earlier_peak_B(), PeakResidentBytes())},
                {"input_B", in.WeightBytes()},
                {"output_B", planned.output_B},
                {"planned",
                 {{"time_s", planned.seconds > 0 ? Json(planned.seconds) : Json(nullptr)},
                  {"peak_memory_B", plan_.stages[index].planned.peak_memory_B},
                  {"output_B", plan_.stages[index].planned.output_B}}},
                {"params", ParameterCount(planned.config)},
                {"notes", planned.notes},
                {"degraded", context.rows.Degraded()},
                {"decided", std::move(decided)},
                {"details", std::move(details)}};
  journal.Record(index, entry);
  LogInfo("{}: {} in {}, peak memory {}", stage.pass, FormatBytes(planned.output_B), FormatDuration(seconds),
          FormatBytes(entry["peak_memory_B"].get<uint64_t>()));
  return entry;
}

// Behind a stage that cut the vocabulary, the same text has other ids.
void Runner::ReadCalibrationFor(size_t index, const Checkpoint& in) {
  const std::string tokenizer = Fingerprint(in);
  if (tokenizer == calibration_tokenizer_) return;
  calibration_tokenizer_ = tokenizer;
  LogInfo("stage {}: the tokenizer changed; the calibration windows are made again", index + 1);
  calibration_ =
      recipe_.calibration.FromModel()
          ? SampleCalibration(recipe_.calibration, in, files_.work / fmt::format("calibration-{}.json", index + 1))
          : ReadCalibration(recipe_.calibration, in).windows;
}

void Runner::Verify(size_t index, const ModelConfig& planned, Journal& journal) {
  try {
    Verified verified = VerifyStage(files_.Staging(index), planned);
    Json entry = journal.Entry(index);
    entry["output_B"] = verified.bytes;
    entry["verified_tensors"] = verified.tensors;
    journal.Record(index, entry);
  } catch (const Error& error) {
    // What is damaged may not be resumed from, and a kill may leave half of it.
    journal.Record(index, nullptr);
    fs::remove_all(files_.Staging(index));
    fs::remove_all(files_.Scratch(index));
    Fail(stages_[index].where,
         "the output of {} did not pass verification and was dropped; the same command runs "
         "this stage again. Found: {}",
         stages_[index].pass, error.what());
  }
}

Json Runner::Publish(const Journal& journal) {
  const fs::path last = files_.Stage(stages_.size() - 1);
  const Checkpoint output = Checkpoint::Open(last);
  Json stages = Json::array(), degraded = Json::array();
  double seconds = 0;
  uint64_t peak_memory_B = 0;
  for (size_t index = 0; index < stages_.size(); ++index) {
    stages.push_back(journal.Entry(index));
    for (Json row : stages.back().at("degraded")) {
      row["stage"] = index;
      degraded.push_back(std::move(row));
    }
    seconds += stages.back().at("time_s").get<double>();
    peak_memory_B = std::max(peak_memory_B, stages.back().at("peak_memory_B").get<uint64_t>());
  }
  auto describe = [](const Checkpoint& checkpoint, const fs::path& directory) -> Json {
    return {{"directory", directory.string()},
            {"weights_B", checkpoint.WeightBytes()},
            {"params", ParameterCount(checkpoint.config())},
            {"weights_sha256", WeightFileHashes(checkpoint.directory())}};
  };
  // Both at once: a hash is bound by one core.
  std::future<Json> input = std::async(std::launch::async, describe, std::cref(input_), request_.model);
  Json described_output = describe(output, files_.out), described_input = input.get();
  described_input["notes"] = input_.notes();
  Json left_out = Json::array();
  for (const auto& file : FindSideFiles(request_.model, Weights::kChanged).left_out)
    left_out.push_back({{"name", file.name}, {"why", file.why}});
  if (input_.translation()) described_input["quantized_already"] = input_.translation()->ToJson();
  Json report =
      NewDocument(kRunDocument, {{"tool", kProgramVersion},
                                 {"recipe", {{"name", recipe_.name}, {"sha256", Sha256Hex(recipe_.Resolved())}}},
                                 {"identity", ToJson(Identity())},
                                 {"calibration", ToJson(plan_.calibration)},
                                 {"input", std::move(described_input)},
                                 {"output", std::move(described_output)},
                                 {"left_out", std::move(left_out)},  // files of the input that the output has not
                                 {"time_s", seconds},
                                 {"peak_memory_B", peak_memory_B},
                                 {"degraded", std::move(degraded)},  // what was done in a lesser way than asked
                                 {"stages", std::move(stages)}});
  WriteFileAtomically(last / "recipe.yaml", recipe_.Resolved());
  WriteJsonFile(last / "report.json", report);
  PublishDirectory(last, files_.out);
  return report;
}

}  // namespace

RunPlan PlanRecipe(const Recipe& recipe, const std::vector<PreparedStage>& stages, const RunRequest& request) {
  Runner runner(recipe, stages, request);
  RunFiles(request.out).CheckReplaceable(request.overwrite);
  if (request.keep_stages) RunFiles(request.out).CheckStagesReplaceable(request.overwrite);
  runner.Plan();
  return runner.plan();
}

RunResult RunRecipe(const Recipe& recipe, const std::vector<PreparedStage>& stages, const RunRequest& request) {
  return Runner(recipe, stages, request).Run();
}

}  // namespace ecld
