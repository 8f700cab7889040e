#pragma once
// Runs one pass on a checkpoint directory as the runner would, without its journal and report file: plan, write,
// finish. Returns the pass's report.

#include <ATen/Parallel.h>

#include <filesystem>
#include <map>
#include <string>

#include "core/files.h"
#include "core/random.h"
#include "model/settling_pass.h"

namespace ecld {

// Tiny matrices only lose time when they are shared among threads.
inline const bool kOneTorchThread = (at::set_num_threads(1), true);

// Windows of seeded random ids.
inline TokenWindows RandomWindows(int64_t windows, int64_t window_tok, int64_t vocab_size, uint64_t seed = 1) {
  Random random(seed);
  TokenWindows result{window_tok, {}};
  for (int64_t i = 0; i < windows; ++i) {
    result.windows.emplace_back();
    for (int64_t j = 0; j < window_tok; ++j)
      result.windows.back().push_back(static_cast<int32_t>(random.Below(static_cast<uint64_t>(vocab_size))));
  }
  return result;
}

inline PlanInput PlanInputOf(const Checkpoint& in, const TokenWindows& windows, const Checkpoint* teacher = nullptr) {
  PlanInput input;
  input.config = in.config();
  if (teacher) input.teacher = teacher->config();
  input.calibration_windows = static_cast<int64_t>(windows.windows.size());
  input.window_tok = windows.window_tok;
  input.tokenizer = in.directory();
  input.tokenizer_vocab_size = in.config().vocab_size;
  input.where = "recipe.yaml:3: stages[0]";
  return input;
}

inline Json RunPass(const Pass& pass, const std::filesystem::path& in_directory, const std::filesystem::path& out,
                    const TokenWindows& windows = {}, const Checkpoint* teacher = nullptr, ReportRows rows = {},
                    const std::vector<TextSource>& texts = {}) {
  const Checkpoint in = Checkpoint::Open(in_directory);
  PlanInput input = PlanInputOf(in, windows, teacher);
  input.texts = texts;
  const ModelConfig planned = pass.Plan(input).config;
  Json report = Json::object(), decided = Json::object();
  ThreadPool pool(1);
  PassContext context;
  context.pool = &pool;
  context.seed = 7;
  context.statistics = out.string() + ".statistics";
  context.calibration = &windows;
  context.teacher = teacher;
  context.report = &report;
  context.rows = std::move(rows);
  context.decided = &decided;
  context.texts = &texts;
  context.scratch = out.string() + ".scratch";
  const ModelConfig settled = SettledConfig(pass, in, planned, context);
  CheckpointWriter writer(out, settled);
  decided = DecidedKeys(planned, settled);
  pass.Run(in, writer, context);
  writer.Commit(true);
  const std::filesystem::path beside = SideFilesOf(context.scratch);
  CheckpointWriter(out, WithDecided(planned, decided)).Finish(exists(beside) ? beside : in_directory);
  return report;
}

// Weight files and config.json of a checkpoint, by name.
inline std::map<std::string, std::string> CheckpointBytes(const std::filesystem::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().extension() == ".safetensors" || entry.path().filename() == "config.json")
      files[entry.path().filename().string()] = ReadFile(entry.path());
  return files;
}

}  // namespace ecld
