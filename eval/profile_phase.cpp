#include <algorithm>
#include <limits>
#include <string>

#include "core/log.h"
#include "core/memory.h"
#include "core/progress.h"
#include "eval/measure.h"
#include "eval/profile_tables.h"
#include "eval/requests.h"
#include "runtime/session.h"

namespace ecld {
namespace {

using Clock = std::chrono::steady_clock;

double MsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

struct GridPoint {
  int64_t batch, prompt_tok;
};

// Adds up the time of each layer until it is taken.
class LayerClock : public LayerObserver {
 public:
  explicit LayerClock(int64_t num_layers) : ms_(static_cast<size_t>(num_layers + 2)) {}
  void Begin(int64_t) override { start_ = Clock::now(); }
  void End(int64_t layer) override { ms_[static_cast<size_t>(layer + 1)] += MsSince(start_); }

  // [num_layers + 2]: embedding, blocks, head.
  std::vector<double> Take() { return std::exchange(ms_, std::vector<double>(ms_.size())); }

 private:
  Clock::time_point start_;
  std::vector<double> ms_;
};

// What one request took, prompt and generation.
struct RequestTrace {
  double prefill_ms = 0;
  std::vector<double> prefill_layer_ms;
  std::vector<double> step_ms;
  std::vector<std::vector<double>> step_layer_ms;

  double WholeMs() const {
    double ms = prefill_ms;
    for (double step : step_ms) ms += step;
    return ms;
  }
};

// Runs requests of one shape over a session of its own.
class TracedRequests {
 public:
  TracedRequests(const RuntimeModel& model, ThreadPool& pool, GridPoint point, int64_t gen_tok)
      : session_(model, pool),
        requests_(session_, point.batch, point.prompt_tok + gen_tok, kProfileSeed),
        clock_(model.config().num_layers),
        prompt_tok_(point.prompt_tok),
        gen_tok_(gen_tok) {
    session_.set_observer(&clock_);
  }

  RequestTrace Run() {
    RequestTrace trace;
    requests_.Rewind(0);
    Clock::time_point start = Clock::now();
    requests_.Prefill(prompt_tok_);
    trace.prefill_ms = MsSince(start);
    trace.prefill_layer_ms = clock_.Take();
    for (int64_t i = 0; i < gen_tok_; ++i) {
      start = Clock::now();
      requests_.Step();
      trace.step_ms.push_back(MsSince(start));
      trace.step_layer_ms.push_back(clock_.Take());
    }
    return trace;
  }

 private:
  Session session_;
  Requests requests_;
  LayerClock clock_;
  int64_t prompt_tok_, gen_tok_;
};

// Matrix products and attention, a multiply and an add counted as two; norms and activations left out.
int64_t BlockFlops(const Checkpoint& checkpoint, int64_t layer, int64_t batch, int64_t tok, int64_t ctx_tok) {
  const ModelConfig& config = checkpoint.config();
  int64_t weights = 0, pairs = 0;
  for (const TensorSpec& spec : checkpoint.table())
    if (spec.layer == layer && spec.matrix()) weights += spec.Elements();
  int64_t window = config.sliding_window[static_cast<size_t>(layer)];
  if (window == 0) window = std::numeric_limits<int64_t>::max();
  for (int64_t i = 0; i < tok; ++i) pairs += std::min(ctx_tok + i + 1, window);
  return 2 * batch * (tok * weights + 2 * pairs * config.QueryWidth());
}

class PhaseMeasurement {
 public:
  PhaseMeasurement(const RuntimeModel& model, ThreadPool& pool, const ProfileGrid& grid)
      : model_(model), pool_(pool), gen_tok_(grid.gen_tok), weight_B_(WeightBytesByLayer(model.checkpoint())) {
    for (int64_t weight_B : weight_B_) weights_B_ += weight_B;
  }

  // Measures a point and adds its rows.
  void Add(GridPoint point) {
    ResetPeakResident();
    std::vector<RequestTrace> traces;
    {
      TracedRequests requests(model_, pool_, point, gen_tok_);
      Measure([&] { traces.push_back(requests.Run()); },
              {.warmup = kProfileWarmup, .min_reps = kProfileReps, .max_reps = 20, .budget_ms = 1500});
    }
    traces.erase(traces.begin(), traces.begin() + kProfileWarmup);
    AddPhaseRow(point, traces, static_cast<int64_t>(PeakResidentBytes()));
    AddLayerRows(point, traces);
  }

  Table phase{FindTableSchema("phase", "profile")};
  Table layers{FindTableSchema("layers", "profile")};

 private:
  void AddPhaseRow(GridPoint point, const std::vector<RequestTrace>& traces, int64_t peak_B) {
    std::vector<double> prefill_ms, step_ms, whole_ms;
    for (const RequestTrace& trace : traces) {
      prefill_ms.push_back(trace.prefill_ms);
      whole_ms.push_back(trace.WholeMs());
      step_ms.insert(step_ms.end(), trace.step_ms.begin(), trace.step_ms.end());
    }
    phase.AddRow();
    phase.Set("batch", point.batch);
    phase.Set("prompt_tok", point.prompt_tok);
    phase.Set("gen_tok", gen_tok_);
    phase.Set("ctx_tok", point.prompt_tok);
    phase.Set("prefill_ms", Summarize(prefill_ms).median_ms);
    phase.Set("prefill_p95_ms", Summarize(prefill_ms).p95_ms);
    phase.Set("tpot_ms", Summarize(step_ms).median_ms);
    phase.Set("tpot_p95_ms", Summarize(step_ms).p95_ms);
    phase.Set("e2e_ms", Summarize(whole_ms).median_ms);
    phase.Set("weights_B", weights_B_);
    phase.Set("kv_B", CacheBytes(model_, point.batch, point.prompt_tok + gen_tok_));
    phase.Set("mem_peak_B", peak_B);
    phase.Set("src", std::string("m"));
    phase.Set("n", static_cast<int64_t>(traces.size()));
  }

  void AddLayerRows(GridPoint point, const std::vector<RequestTrace>& traces) {
    for (size_t layer = 0; layer < weight_B_.size(); ++layer) {
      std::vector<double> prefill_ms, step_ms;
      for (const RequestTrace& trace : traces) {
        prefill_ms.push_back(trace.prefill_layer_ms[layer]);
        for (const auto& step : trace.step_layer_ms) step_ms.push_back(step[layer]);
      }
      AddLayerRow(layer, "prefill", point.batch, point.prompt_tok, 0, prefill_ms);
      AddLayerRow(layer, "decode", point.batch, 1, point.prompt_tok, step_ms);
    }
  }

  void AddLayerRow(size_t index, const char* phase_name, int64_t batch, int64_t tok, int64_t ctx_tok,
                   const std::vector<double>& samples_ms) {
    const ModelConfig& config = model_.config();
    const bool embed = index == 0, head = index + 1 == weight_B_.size();
    const int64_t layer = static_cast<int64_t>(index) - 1;
    const int64_t hidden_B = config.hidden_size * static_cast<int64_t>(sizeof(float));
    layers.AddRow();
    layers.Set("layer", embed ? std::string("embed") : head ? std::string("head") : std::to_string(layer));
    layers.Set("phase", std::string(phase_name));
    layers.Set("batch", batch);
    layers.Set("tok", tok);
    layers.Set("ctx_tok", ctx_tok);
    layers.Set("ms", Summarize(samples_ms).median_ms);
    layers.Set("weight_B", weight_B_[index]);
    layers.Set("kv_B_per_tok", embed || head ? 0 : CacheBytes(model_, 1, 1) / config.num_layers);
    // The head sees the last token of each sequence only.
    layers.Set("act_in_B", embed ? batch * tok * int64_t{sizeof(int32_t)} : (head ? 1 : tok) * batch * hidden_B);
    layers.Set("act_out_B", head ? batch * config.vocab_size * int64_t{sizeof(float)} : batch * tok * hidden_B);
    layers.Set("flops", embed  ? 0
                        : head ? 2 * batch * config.vocab_size * config.hidden_size
                               : BlockFlops(model_.checkpoint(), layer, batch, tok, ctx_tok));
    layers.Set("src", std::string("m"));
    layers.Set("n", static_cast<int64_t>(samples_ms.size()));
  }

  const RuntimeModel& model_;
  ThreadPool& pool_;
  int64_t gen_tok_;
  std::vector<int64_t> weight_B_;
  int64_t weights_B_ = 0;
};

// The points that the model can run at all, cheapest first.
std::vector<GridPoint> Points(const ProfileGrid& grid, const ModelConfig& config) {
  std::vector<GridPoint> points;
  for (int64_t batch : grid.batches)
    for (int64_t prompt : grid.prompts_tok)
      if (prompt + grid.gen_tok <= config.max_position) points.push_back({batch, prompt});
  std::stable_sort(points.begin(), points.end(),
                   [](GridPoint a, GridPoint b) { return a.batch * a.prompt_tok < b.batch * b.prompt_tok; });
  return points;
}

bool FitsMemory(const RuntimeModel& model, GridPoint point, int64_t gen_tok) {
  const double logits_B = static_cast<double>(point.batch * model.config().vocab_size) * sizeof(float);
  return static_cast<double>(CacheBytes(model, point.batch, point.prompt_tok + gen_tok)) + logits_B <
         static_cast<double>(AvailableMemoryBytes());
}

}  // namespace

std::vector<int64_t> WeightBytesByLayer(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  std::vector<int64_t> bytes(static_cast<size_t>(config.num_layers + 2));
  for (const TensorSpec& spec : checkpoint.table()) {
    size_t index = spec.layer >= 0                 ? static_cast<size_t>(spec.layer + 1)
                   : spec.role == Role::kEmbedding ? 0
                                                   : bytes.size() - 1;
    for (const StoredTensor& part : StoredForm(spec, config))
      bytes[index] += static_cast<int64_t>(checkpoint.Tensor(part.name).bytes.size());
  }
  return bytes;
}

PhaseTables MeasurePhases(const RuntimeModel& model, ThreadPool& pool, const ProfileGrid& grid,
                          const TimeBudget& budget) {
  PhaseMeasurement measurement(model, pool, grid);
  std::vector<GridPoint> points = Points(grid, model.config());
  Progress progress("profile phases", static_cast<int64_t>(points.size()), "points");
  TableStatus status = TableStatus::kComplete;
  int64_t max_batch = 0;
  double s_per_tok = 0;  // of the dearest point so far, all its repetitions
  for (GridPoint point : points) {
    double tokens = static_cast<double>(point.batch * (point.prompt_tok + grid.gen_tok));
    if (!budget.Allows(s_per_tok * tokens) || !FitsMemory(model, point, grid.gen_tok)) {
      LogInfo("profile: left out {} prompt tokens at batch {}: not enough time or memory", point.prompt_tok,
              point.batch);
      status = TableStatus::kPartial;
      continue;
    }
    Clock::time_point start = Clock::now();
    measurement.Add(point);
    s_per_tok = MsSince(start) / 1000 / tokens;
    max_batch = std::max(max_batch, point.batch);
    progress.Advance();
  }
  return {{status, std::move(measurement.phase)}, {status, std::move(measurement.layers)}, max_batch};
}

}  // namespace ecld
