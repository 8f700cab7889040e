#include "eval/bench.h"

#include <fmt/format.h>

#include <set>

#include "core/error.h"
#include "core/memory.h"
#include "core/progress.h"
#include "core/version.h"
#include "eval/device.h"
#include "eval/profile_tables.h"
#include "eval/requests.h"

namespace ecld {
namespace {

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
  if (tok > model.config().max_position)
    Fail(where, "test {} needs {} positions, the model has {}", row.test, tok, model.config().max_position);
  const double needed = static_cast<double>(row.batch) * static_cast<double>(CacheBytes(model, 1, tok));
  if (needed > static_cast<double>(AvailableMemoryBytes()))
    Fail(where, "test {} needs {} of memory, {} are free", row.test, FormatBytes(static_cast<uint64_t>(needed)),
         FormatBytes(AvailableMemoryBytes()));
}

void MeasureRow(Session& session, const BenchOptions& options, BenchRow* row) {
  ResetPeakResident();
  Requests requests(session, row->batch, row->depth_tok + row->tok, kProfileSeed);
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
  row->peak_resident_B = static_cast<int64_t>(PeakResidentBytes());
  row->tok_per_s = static_cast<double>(row->batch * row->tok) / (row->timing.median_ms / 1000);
  row->tok_per_s_std = row->tok_per_s * row->timing.std_ms / row->timing.median_ms;
}

std::string FormatsOf(const Checkpoint& checkpoint) {
  std::set<std::string> names;
  for (const TensorSpec& spec : checkpoint.table())
    if (spec.matrix())
      names.insert(spec.format ? spec.format->Name() : std::string(Name(checkpoint.Tensor(spec.name).dtype)));
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
          {"kv_B", row.kv_B},
          {"peak_resident_B", row.peak_resident_B}};
}

Json ToJson(const BenchResult& result) {
  Json rows = Json::array();
  for (const BenchRow& row : result.rows) rows.push_back(ToJson(row));
  return {{"directory", result.model.string()},
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
    if (row.decode && row.batch == 1)
      row.roof_share = static_cast<double>(result.weights_B_per_tok) * row.tok_per_s / read_Bps;
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
  return {{"schema", kBenchSchema},
          {"version", 1},
          {"tool", kProgramVersion},
          {"device",
           {{"cpu", facts.cpu},
            {"isa", facts.isa},
            {"features", facts.features},
            {"cores", facts.cores},
            {"threads", pool.size()}}},
          {"precision", Name(options.runtime.precision)},
          {"kv", Name(options.runtime.Kv())},
          {"read_Bps", read_Bps},
          {"models", std::move(models)}};
}

}  // namespace ecld
