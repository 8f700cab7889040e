#include "measure/bench.h"

#include <fmt/format.h>

#include <chrono>
#include <set>

#include "core/error.h"
#include "core/memory.h"
#include "core/progress.h"
#include "core/random.h"
#include "core/version.h"
#include "measure/device.h"
#include "measure/load.h"
#include "measure/requests.h"
#include "runtime/inspect.h"

namespace ecld {
namespace {

constexpr uint64_t kSeed = 1;  // of the tokens

BenchRow RowOf(bool decode, int64_t tok, int64_t batch, int64_t depth_tok) {
  BenchRow row{.decode = decode, .batch = batch, .tok = tok, .depth_tok = depth_tok};
  row.test = fmt::format("{}{}", decode ? "tg" : "pp", tok);
  if (batch > 1) row.test += fmt::format(" B{}", batch);
  if (depth_tok > 0) row.test += fmt::format(" @ d{}", depth_tok);
  return row;
}

std::vector<BenchRow> RowsOf(const BenchOptions& options) {
  std::vector<BenchRow> rows;
  for (int64_t depth : options.depths_tok)
    for (int64_t batch : options.batches) {
      if (options.prompt_tok > 0) rows.push_back(RowOf(false, options.prompt_tok, batch, depth));
      if (options.gen_tok > 0) rows.push_back(RowOf(true, options.gen_tok, batch, depth));
    }
  return rows;
}

void CheckNumbers(const BenchOptions& options) {
  const auto check = [](const char* name, int64_t value, int64_t low) {
    constexpr int64_t kHigh = 1 << 24;
    if (value < low || value > kHigh) Fail(name, "found {}, expected {} to {}", value, low, kHigh);
  };
  check("prompt", options.prompt_tok, 0);
  check("generate", options.gen_tok, 0);
  check("repetitions", options.repetitions, 1);
  for (int64_t depth : options.depths_tok) check("depth", depth, 0);
  for (int64_t batch : options.batches) check("batch", batch, 1);
}

// Everything that cannot run is said before the first test has taken its time.
void CheckRuns(const BenchRow& row, const RuntimeModel& model) {
  const std::string where = model.checkpoint().directory().string();
  const int64_t tok = row.depth_tok + row.tok;
  if (tok > LongestText(model.config()))
    Fail(where, "test {} needs {} positions, the model has {}", row.test, tok, LongestText(model.config()));
  const double needed = static_cast<double>(row.batch) * static_cast<double>(CacheBytes(model, 1, tok));
  if (needed > static_cast<double>(AvailableMemoryBytes()))
    Fail(where, "test {} needs {} of memory, {} are free", row.test, FormatBytes(static_cast<uint64_t>(needed)),
         FormatBytes(AvailableMemoryBytes()));
}

void AddRates(BenchRow* row) {
  row->peak_resident_B = static_cast<int64_t>(PeakResidentBytes());
  row->tok_per_s = static_cast<double>(row->batch * row->tok) / (row->timing.median_ms / 1000);
  row->tok_per_s_std = row->tok_per_s * row->timing.std_ms / row->timing.median_ms;
}

void MeasureRow(Session& session, const BenchOptions& options, BenchRow* row) {
  ResetPeakResident();
  Requests requests(session, row->batch, row->depth_tok + row->tok, kSeed);
  if (row->depth_tok > 0) requests.Prefill(row->depth_tok);
  if (row->decode)
    requests.Step();
  else
    requests.Prefill(row->tok);
  row->timing = Measure(
      [&] {
        if (!row->decode) return requests.Prefill(row->tok);
        for (int64_t i = 0; i < row->tok; ++i) requests.Step();
      },
      {.warmup = 0, .min_reps = options.repetitions, .max_reps = options.repetitions},
      [&] { requests.Rewind(row->depth_tok); });
  row->kv_B = requests.KvBytes();
  AddRates(row);
}

// The energy of a token: the test again and again for a while.
double JoulesPerToken(EnergyMeter& meter, double window_s, const std::function<void()>& work, int64_t tok) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(window_s));
  const double before = meter.Joules();
  int64_t done_tok = 0;
  do {
    work();
    done_tok += tok;
  } while (Clock::now() < end);
  return (meter.Joules() - before) / static_cast<double>(done_tok);
}

void MeasureRow(GpuDecoder& decoder, const BenchOptions& options, EnergyMeter* meter, BenchRow* row) {
  ResetPeakResident();
  Random random(kSeed);
  std::vector<int32_t> tokens(static_cast<size_t>(row->depth_tok + row->tok));
  for (int32_t& token : tokens)
    token = static_cast<int32_t>(random.Below(static_cast<uint64_t>(decoder.config().vocab_size)));
  const auto prompt = std::span(tokens).subspan(static_cast<size_t>(row->depth_tok));
  decoder.Truncate(0);
  if (row->depth_tok > 0) decoder.Append(std::span(tokens).first(static_cast<size_t>(row->depth_tok)));
  const auto rewind = [&] { decoder.Truncate(row->depth_tok); };
  const auto work = [&] {
    if (!row->decode) {
      decoder.Append(prompt);
      return;
    }
    int32_t token = prompt.front();
    for (int64_t i = 0; i < row->tok; ++i) token = decoder.Append({&token, 1});
  };
  decoder.Append(row->decode ? prompt.first(1) : prompt);
  row->timing = Measure(work, {.warmup = 0, .min_reps = options.repetitions, .max_reps = options.repetitions}, rewind);
  if (meter != nullptr) {
    const auto again = [&] {
      rewind();
      work();
    };
    row->J_per_tok = JoulesPerToken(*meter, options.energy_window_s, again, row->tok);
  }
  row->kv_B = static_cast<int64_t>(decoder.KvBytes());
  AddRates(row);
}

std::string FormatsOf(const Checkpoint& checkpoint) {
  std::set<std::string> names;
  for (const TensorSpec& spec : checkpoint.table())
    if (spec.matrix()) names.insert(StoredFormat(checkpoint, spec));
  return fmt::format("{}", fmt::join(names, ", "));
}

BenchResult Describe(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  BenchResult result{.model = checkpoint.directory(), .family = std::string(Name(config.family))};
  result.formats = FormatsOf(checkpoint);
  result.params = ParameterCount(config);
  const std::vector<int64_t> by_layer = WeightBytesByLayer(checkpoint);
  for (int64_t bytes : by_layer) result.weights_B += bytes;
  result.weights_B_per_tok = result.weights_B;
  if (!config.tie_embeddings) result.weights_B_per_tok -= by_layer.front() - by_layer.front() / config.vocab_size;
  return result;
}

void AddRoofShare(const BenchResult& result, double read_Bps, BenchRow* row) {
  if (row->decode && row->batch == 1)
    row->roof_share = static_cast<double>(result.weights_B_per_tok) * row->tok_per_s / read_Bps;
}

Json ToJson(const BenchRow& row) {
  return {{"test", row.test},
          {"phase", row.decode ? "decode" : "prefill"},
          {"batch", row.batch},
          {"tok", row.tok},
          {"depth_tok", row.depth_tok},
          {"n", row.timing.n},
          {"median_ms", row.timing.median_ms},
          {"min_ms", row.timing.min_ms},
          {"max_ms", row.timing.max_ms},
          {"tok_per_s", row.tok_per_s},
          {"tok_per_s_std", row.tok_per_s_std},
          {"roof_share", row.roof_share > 0 ? Json(row.roof_share) : Json(nullptr)},
          {"J_per_tok", row.J_per_tok > 0 ? Json(row.J_per_tok) : Json(nullptr)},
          {"kv_B", row.kv_B},
          {"peak_resident_B", row.peak_resident_B}};
}

Json ToJson(const BenchResult& result) {
  Json rows = Json::array();
  for (const BenchRow& row : result.rows) rows.push_back(ToJson(row));
  return {{"directory", result.model.string()},
          {"backend", result.backend},
          {"family", result.family},
          {"formats", result.formats},
          {"kernels", result.kernels},
          {"params", result.params},
          {"weights_B", result.weights_B},
          {"weights_B_per_tok", result.weights_B_per_tok},
          {"load_ms", result.load_ms},
          {"tests", std::move(rows)}};
}

}  // namespace

BenchResult Bench(const std::filesystem::path& directory, const BenchOptions& options, double read_Bps,
                  ThreadPool& pool) {
  CheckNumbers(options);
  std::vector<BenchRow> rows = RowsOf(options);
  {
    const RuntimeModel model(Checkpoint::Open(directory), options.runtime);
    for (const BenchRow& row : rows) CheckRuns(row, model);
  }
  const double load_ms = MeasureWarmLoad(directory, options.runtime, pool).median_ms;

  const RuntimeModel model(Checkpoint::Open(directory), options.runtime);
  BenchResult result = Describe(model.checkpoint());
  result.load_ms = load_ms;
  Session session(model, pool, options.gemm);
  result.kernels = session.Kernels();
  Progress progress("bench", static_cast<int64_t>(rows.size()), "tests");
  for (BenchRow& row : rows) {
    MeasureRow(session, options, &row);
    AddRoofShare(result, read_Bps, &row);
    progress.Advance(1, row.test);
  }
  result.rows = std::move(rows);
  return result;
}

BenchResult BenchGpu(const std::filesystem::path& directory, const BenchOptions& options, GpuOptions gpu,
                     std::unique_ptr<StepMachine> machine, double read_Bps, EnergyMeter* meter, ThreadPool& pool) {
  CheckNumbers(options);
  if (options.batches != std::vector<int64_t>{1}) Fail("batch", "a GPU runs one sequence at a time");
  std::vector<BenchRow> rows = RowsOf(options);
  const auto start = std::chrono::steady_clock::now();
  const RuntimeModel model(Checkpoint::Open(directory));
  gpu.context_tok = 1;
  for (const BenchRow& row : rows) {
    CheckRuns(row, model);
    gpu.context_tok = std::max(gpu.context_tok, row.depth_tok + row.tok);
  }
  BenchResult result = Describe(model.checkpoint());
  GpuDecoder decoder(model, std::move(machine), gpu, pool);
  decoder.Append(std::vector<int32_t>{0});
  result.load_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  result.backend = decoder.MachineName();
  result.kernels = fmt::format("activations {}", Name(gpu.type));
  Progress progress("bench", static_cast<int64_t>(rows.size()), "tests");
  for (BenchRow& row : rows) {
    MeasureRow(decoder, options, meter, &row);
    AddRoofShare(result, read_Bps, &row);
    progress.Advance(1, row.test);
  }
  result.rows = std::move(rows);
  return result;
}

Json ToJson(const std::vector<BenchResult>& results, const BenchOptions& options, double read_Bps,
            const ThreadPool& pool) {
  const DeviceFacts facts = ReadDeviceFacts();
  Json models = Json::array();
  for (const BenchResult& result : results) models.push_back(ToJson(result));
  return NewDocument(kBenchDocument, {{"tool", kProgramVersion},
                                      {"device",
                                       {{"cpu", facts.cpu},
                                        {"isa", facts.isa},
                                        {"features", facts.features},
                                        {"cores", facts.cores},
                                        {"threads", pool.size()}}},
                                      {"precision", Name(options.runtime.precision)},
                                      {"kv", Name(options.runtime.Kv())},
                                      {"read_Bps", read_Bps},
                                      {"models", std::move(models)}});
}

}  // namespace ecld
