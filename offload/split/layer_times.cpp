#include "offload/split/layer_times.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace ecld::offload {

LayerTimes::LayerTimes(std::shared_ptr<const LoadedModel> model, std::optional<double> power_W)
    : model_(std::move(model)), power_W_(power_W ? power_W : model_->mean_W) {
  if (!model_->profile.tables.contains("layers"))
    Fail(model_->where, "the profile has no table layers, and so no times of parts of the model");
}

template <class Of>
std::vector<double> LayerTimes::SumsBelow(const Of& of) const {
  std::vector<double> sums = {0};
  for (int64_t layer = 0; layer < layers(); ++layer) {
    double sum = sums.back() + of(std::to_string(layer));
    if (layer == 0) sum += of("embed");
    if (layer + 1 == layers()) sum += of("head");
    sums.push_back(sum);
  }
  return sums;
}

double LayerTimes::Figure(const char* column, const std::string& layer, Phase phase, int64_t tok) const {
  const Estimate found = LookUpLayer(model_->profile.At("layers"), column, layer, phase, static_cast<double>(tok), 1);
  if (!found.in_range)
    Fail(model_->where, "layers.csv does not tell {} of layer {} for {} {}", column, layer,
         phase == Phase::kPrefill ? "a prompt of" : "a token after a context of", tok);
  return found.value;
}

double LayerTimes::LayerSeconds(const std::string& layer, Phase phase, int64_t tok) const {
  if (!model_->as) return Figure("ms", layer, phase, tok) / 1000;
  if (layer == "embed") return 0;  // a row for each token
  // A head that is the embedding reads its weights, which count in the embedding's row.
  const bool reads_embedding = layer == "head" && model_->variant.arch.tied;
  const double weight_B = Figure("weight_B", reads_embedding ? "embed" : layer, phase, tok);
  const double cache_B = Figure("kv_B_per_tok", layer, phase, tok) * static_cast<double>(tok);
  return std::max((weight_B + cache_B) / *model_->as->mem_Bps,
                  Figure("flops", layer, phase, tok) / *model_->as->fp16_flops);
}

std::vector<double> LayerTimes::SecondsBelow(Phase phase, int64_t tok) const {
  return SumsBelow([&](const std::string& layer) { return LayerSeconds(layer, phase, tok); });
}

std::optional<std::vector<double>> LayerTimes::JoulesBelow(Phase phase, int64_t tok) const {
  const Table& table = model_->profile.At("layers");
  const auto measured = [&](const std::string& layer) {
    const Estimate joules = LookUpLayer(table, "J", layer, phase, static_cast<double>(tok), 1);
    return joules.in_range ? joules.value : NAN;
  };
  if (!model_->as) {
    std::vector<double> joules = SumsBelow(measured);
    if (!std::isnan(joules.back())) return joules;
  }
  if (!power_W_) return std::nullopt;
  return SumsBelow([&](const std::string& layer) { return *power_W_ * LayerSeconds(layer, phase, tok); });
}

}  // namespace ecld::offload
