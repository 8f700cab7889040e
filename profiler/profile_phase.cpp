#include <algorithm>
#include <functional>
#include <optional>
#include <string>

#include "core/log.h"
#include "core/memory.h"
#include "core/progress.h"
#include "measure/load.h"
#include "measure/measure.h"
#include "measure/requests.h"
#include "profiler/profile_tables.h"
#include "runtime/session.h"

namespace ecld {
namespace {

using Clock = std::chrono::steady_clock;

double MsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Adds up the time of each layer until it is taken. While it watches memory, times say nothing.
class LayerClock : public LayerObserver {
 public:
  explicit LayerClock(int64_t num_layers) : ms_(static_cast<size_t>(num_layers + 2)) {}
  void Begin(int64_t) override { start_ = Clock::now(); }
  void End(int64_t layer) override {
    ms_[static_cast<size_t>(layer + 1)] += MsSince(start_);
    if (watch_memory_) peak_anonymous_B_ = std::max(peak_anonymous_B_, AnonymousBytes());
  }
  void WatchMemory(bool watch) { watch_memory_ = watch; }
  uint64_t peak_anonymous_B() const { return peak_anonymous_B_; }

  // [num_layers + 2]: embedding, blocks, head.
  std::vector<double> Take() { return std::exchange(ms_, std::vector<double>(ms_.size())); }

 private:
  Clock::time_point start_;
  std::vector<double> ms_;
  bool watch_memory_ = false;
  uint64_t peak_anonymous_B_ = 0;
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

struct RequestPower {
  double prefill_W = 0, decode_W = 0;
};

// Mean power of work, repeated until the window is full.
double MeanPower(const EnergyWindow& energy, const std::function<void()>& work) {
  const Clock::time_point start = Clock::now();
  const double before = energy.meter->Joules();
  double seconds = 0;
  do {
    work();
    seconds = MsSince(start) / 1000;
  } while (seconds < energy.seconds);
  return (energy.meter->Joules() - before) / seconds;
}

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

  // The most anonymous memory of this process at the end of a layer, over a request of its own.
  uint64_t PeakAnonymous() {
    clock_.WatchMemory(true);
    Run();
    clock_.WatchMemory(false);
    return clock_.peak_anonymous_B();
  }

  // Watts while prompts are read, and while tokens are generated.
  RequestPower Power(const EnergyWindow& energy) {
    RequestPower power;
    power.prefill_W = MeanPower(energy, [&] {
      requests_.Rewind(0);
      requests_.Prefill(prompt_tok_);
    });
    power.decode_W = MeanPower(energy, [&] {
      requests_.Rewind(prompt_tok_);
      for (int64_t i = 0; i < gen_tok_; ++i) requests_.Step();
    });
    return power;
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

class PhaseMeasurement {
 public:
  PhaseMeasurement(const RuntimeModel& model, ThreadPool& pool, const ProfileGrid& grid, const EnergyWindow& energy)
      : model_(model),
        pool_(pool),
        energy_(energy),
        gen_tok_(grid.gen_tok),
        weight_B_(WeightBytesByLayer(model.checkpoint())) {
    for (int64_t weight_B : weight_B_) weights_B_ += weight_B;
  }

  // Measures a point and adds its rows.
  void Add(GridPoint point) {
    ReturnFreeMemory();
    ResetPeakResident();
    std::vector<RequestTrace> traces;
    uint64_t anonymous_B = 0;
    std::optional<RequestPower> power;
    {
      TracedRequests requests(model_, pool_, point, gen_tok_);
      anonymous_B = requests.PeakAnonymous();
      Measure([&] { traces.push_back(requests.Run()); },
              {.warmup = 0, .min_reps = kProfileReps, .max_reps = 20, .budget_ms = 1500});
      if (energy_.meter != nullptr) power = requests.Power(energy_);
    }
    AddPhaseRow(point, traces, static_cast<int64_t>(PeakResidentBytes()), static_cast<int64_t>(anonymous_B));
    if (power) AddEnergy(point, *power);
    AddLayerRows(point, traces);
  }

  Table phase{FindTableSchema("phase", "profile")};
  Table layers{FindTableSchema("layers", "profile")};

 private:
  void AddPhaseRow(GridPoint point, const std::vector<RequestTrace>& traces, int64_t peak_B, int64_t anonymous_B) {
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
    const int64_t kv_B = CacheBytes(model_, point.batch, point.prompt_tok + gen_tok_);
    phase.Set("kv_B", kv_B);
    phase.Set("act_peak_B", std::max<int64_t>(0, anonymous_B - kv_B));
    phase.Set("mem_peak_B", peak_B);
    phase.Set("src", std::string("m"));
    phase.Set("n", static_cast<int64_t>(traces.size()));
  }

  // To the row that was added last, from its medians.
  void AddEnergy(GridPoint point, RequestPower power) {
    const auto seconds = [&](const char* column) { return *phase.Number(phase.rows().size() - 1, column) / 1000; };
    const double prefill_J = power.prefill_W * seconds("prefill_ms"), step_J = power.decode_W * seconds("tpot_ms");
    phase.Set("prefill_J", prefill_J);
    phase.Set("decode_J_per_tok", step_J / static_cast<double>(point.batch));
    phase.Set("avg_W", (prefill_J + static_cast<double>(gen_tok_) * step_J) / seconds("e2e_ms"));
    phase.Set("idle_sub_J", int64_t{0});
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
    AddLayerShape(model_, weight_B_,
                  {.index = index, .phase = phase_name, .batch = batch, .tok = tok, .ctx_tok = ctx_tok}, &layers);
    layers.Set("ms", Summarize(samples_ms).median_ms);
    layers.Set("src", std::string("m"));
    layers.Set("n", static_cast<int64_t>(samples_ms.size()));
  }

  const RuntimeModel& model_;
  ThreadPool& pool_;
  EnergyWindow energy_;
  int64_t gen_tok_;
  std::vector<int64_t> weight_B_;
  int64_t weights_B_ = 0;
};

bool FitsMemory(const RuntimeModel& model, GridPoint point, int64_t gen_tok) {
  const double logits_B = static_cast<double>(point.batch * model.config().vocab_size) * sizeof(float);
  return static_cast<double>(CacheBytes(model, point.batch, point.prompt_tok + gen_tok)) + logits_B <
         static_cast<double>(AvailableMemoryBytes());
}

}  // namespace

PhaseTables MeasurePhases(const RuntimeModel& model, ThreadPool& pool, const ProfileGrid& grid,
                          const TimeBudget& budget, const EnergyWindow& energy) {
  PhaseMeasurement measurement(model, pool, grid, energy);
  std::vector<GridPoint> points = GridPoints(grid, model.config());
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
