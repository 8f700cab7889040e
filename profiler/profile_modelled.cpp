#include <algorithm>

#include "measure/load.h"
#include "measure/requests.h"
#include "profile/score/energy_fit.h"
#include "profiler/profile_tables.h"

namespace ecld {
namespace {

class ModelledPhases {
 public:
  ModelledPhases(const RuntimeModel& model, const CatalogueDevice& device, int64_t gen_tok)
      : model_(model), device_(device), gen_tok_(gen_tok), weight_B_(WeightBytesByLayer(model.checkpoint())) {}

  void Add(GridPoint point) {
    const double prefill_ms = AddLayers("prefill", point, point.prompt_tok, 0);
    const double step_ms = AddLayers("decode", point, 1, point.prompt_tok);
    int64_t weights_B = 0;
    for (int64_t weight_B : weight_B_) weights_B += weight_B;
    const int64_t kv_B = CacheBytes(model_, point.batch, point.prompt_tok + gen_tok_);
    phase.AddRow();
    phase.Set("batch", point.batch);
    phase.Set("prompt_tok", point.prompt_tok);
    phase.Set("gen_tok", gen_tok_);
    phase.Set("ctx_tok", point.prompt_tok);
    if (device_.fp16_flops) {
      phase.Set("prefill_ms", prefill_ms);
      phase.Set("e2e_ms", prefill_ms + static_cast<double>(gen_tok_) * step_ms);
    }
    phase.Set("tpot_ms", step_ms);
    if (device_.fp16_flops && device_.energy) AddEnergy(point, prefill_ms, step_ms);
    phase.Set("weights_B", weights_B);
    phase.Set("kv_B", kv_B);
    phase.Set("mem_peak_B", weights_B + kv_B);
    phase.Set("src", std::string("r"));
    phase.Set("n", int64_t{1});
  }

  Table phase{FindTableSchema("phase", "profile")};
  Table layers{FindTableSchema("layers", "profile")};

 private:
  // Bytes that a layer reads, and its operations: its weights once, of an embedding the rows looked up, of a tied head
  // the embedding's; and the cache. REQUIRES: the last row of layers is the layer's.
  EnergyPoint WorkOf(size_t index, GridPoint point, int64_t tok, int64_t ctx_tok) const {
    const size_t row = layers.rows().size() - 1;
    const bool embed = index == 0, head = index + 1 == weight_B_.size();
    double bytes = static_cast<double>(weight_B_[index]);
    if (embed) bytes = layers.Number(row, "act_out_B").value_or(0);
    if (head && model_.config().tie_embeddings) bytes += static_cast<double>(weight_B_.front());
    bytes += layers.Number(row, "kv_B_per_tok").value_or(0) * static_cast<double>(point.batch * (ctx_tok + tok));
    return {.bytes = bytes, .ops = layers.Number(row, "flops").value_or(0)};
  }

  // Rows of every layer; returns their time.
  double AddLayers(const char* phase_name, GridPoint point, int64_t tok, int64_t ctx_tok) {
    double whole_ms = 0;
    EnergyPoint& sum = ctx_tok == 0 ? prefill_ : step_;
    sum = {};
    for (size_t index = 0; index < weight_B_.size(); ++index) {
      AddLayerShape(model_, weight_B_,
                    {.index = index, .phase = phase_name, .batch = point.batch, .tok = tok, .ctx_tok = ctx_tok},
                    &layers);
      const EnergyPoint work = WorkOf(index, point, tok, ctx_tok);
      sum.bytes += work.bytes;
      sum.ops += work.ops;
      const double ms =
          1000 * std::max(work.bytes / *device_.mem_Bps, device_.fp16_flops ? work.ops / *device_.fp16_flops : 0);
      whole_ms += ms;
      // A prompt's time is not known without the peak.
      if (ctx_tok > 0 || device_.fp16_flops) layers.Set("ms", ms);
      layers.Set("src", std::string("r"));
      layers.Set("n", int64_t{1});
    }
    return whole_ms;
  }

  void AddEnergy(GridPoint point, double prefill_ms, double step_ms) {
    prefill_.seconds = prefill_ms / 1000;
    step_.seconds = step_ms / 1000;
    const double prefill_J = Joules(*device_.energy, prefill_), step_J = Joules(*device_.energy, step_);
    const double seconds = (prefill_ms + static_cast<double>(gen_tok_) * step_ms) / 1000;
    phase.Set("prefill_J", prefill_J);
    phase.Set("decode_J_per_tok", step_J / static_cast<double>(point.batch));
    phase.Set("avg_W", (prefill_J + static_cast<double>(gen_tok_) * step_J) / seconds);
    phase.Set("idle_sub_J", int64_t{0});
  }

  const RuntimeModel& model_;
  const CatalogueDevice& device_;
  int64_t gen_tok_;
  std::vector<int64_t> weight_B_;
  EnergyPoint prefill_, step_;  // of the point at hand
};

}  // namespace

PhaseTables ModelPhases(const RuntimeModel& model, const CatalogueDevice& device, const ProfileGrid& grid) {
  ModelledPhases modelled(model, device, grid.gen_tok);
  int64_t max_batch = 0;
  bool left_out = !device.fp16_flops;
  for (GridPoint point : GridPoints(grid, model.config())) {
    const auto needed_B = static_cast<double>(WeightFileBytes(model.config())) +
                          static_cast<double>(CacheBytes(model, point.batch, point.prompt_tok + grid.gen_tok));
    if (!device.mem_Bps || needed_B > device.mem_B) {
      left_out = true;
      continue;
    }
    modelled.Add(point);
    max_batch = std::max(max_batch, point.batch);
  }
  const TableStatus status = left_out ? TableStatus::kPartial : TableStatus::kComplete;
  return {{status, std::move(modelled.phase)}, {status, std::move(modelled.layers)}, max_batch};
}

}  // namespace ecld
