#include "profile/query/split_lookup.h"

#include <string>

#include "core/error.h"
#include "profile/query/sections.h"

namespace ecld {
namespace {

using Scale = EstimateGrid::Scale;

}  // namespace

Estimate LookUpLayer(const Table& layers, std::string_view column, std::string_view layer, Phase phase,
                     double length_tok, double batch) {
  RequireNumbers(layers, column);
  RequireCounts("length_tok", length_tok, batch);
  const bool prefill = phase == Phase::kPrefill;
  EstimateGrid grid(Scale::kLogarithmic);
  for (size_t row = 0; row < layers.rows().size(); ++row) {
    if (layers.Text(row, "layer") != layer || layers.Text(row, "phase") != (prefill ? "prefill" : "decode")) continue;
    const auto length = layers.Number(row, prefill ? "tok" : "ctx_tok");
    if (length.value_or(0) >= 1) grid.Add(length, layers.Number(row, "batch"), layers, row, column);
  }
  return grid.At(length_tok, batch);
}

Estimate LookUpPart(const DeviceProfile& profile, std::string_view column, int64_t from_cut, int64_t to_cut,
                    Phase phase, double length_tok, double batch) {
  const int64_t layers = VariantOf(profile).arch.layers;
  if (!(0 <= from_cut && from_cut <= to_cut && to_cut <= layers))
    Fail("look-up", "cuts {} and {} must lie in order between 0 and {}", from_cut, to_cut, layers);
  Estimate sum{.value = 0, .src = 'm', .in_range = true};
  const auto add = [&](const std::string& layer) {
    const Estimate one = LookUpLayer(profile.At("layers"), column, layer, phase, length_tok, batch);
    sum = {sum.value + one.value, WeakerSource(sum.src, one.src), sum.in_range && one.in_range};
  };
  if (from_cut == to_cut) return sum;
  if (from_cut == 0) add("embed");
  for (int64_t layer = from_cut; layer < to_cut; ++layer) add(std::to_string(layer));
  if (to_cut == layers) add("head");
  return sum;
}

Estimate LookUpCut(const Table& cuts, std::string_view column, int64_t cut, std::string_view dtype, double tok,
                   double batch) {
  RequireNumbers(cuts, column);
  EstimateGrid grid(Scale::kLinear);
  for (size_t row = 0; row < cuts.rows().size(); ++row) {
    const std::string_view sent = cuts.Text(row, "dtype");
    if (cuts.Count(row, "cut") == cut && (sent.empty() || sent == dtype))
      grid.Add(cuts.Number(row, "tok"), cuts.Number(row, "batch"), cuts, row, column);
  }
  return grid.At(tok, batch);
}

Estimate LookUpSplitQuality(const Table& split_quality, std::string_view column, double cut,
                            std::string_view corruption, double level) {
  RequireNumbers(split_quality, column);
  EstimateGrid grid(Scale::kLinear);
  for (size_t row = 0; row < split_quality.rows().size(); ++row)
    if (split_quality.Text(row, "corruption") == corruption)
      grid.Add(split_quality.Number(row, "cut"), split_quality.Number(row, "level"), split_quality, row, column);
  return grid.At(cut, level);
}

}  // namespace ecld
