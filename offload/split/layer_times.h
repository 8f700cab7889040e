#pragma once
// Seconds and joules of the layers on either side of a cut, for one request by itself: as layers.csv has them, or by
// the roofline of a catalogue device.

#include <optional>
#include <vector>

#include "offload/phase_times.h"
#include "profile/query/split_lookup.h"

namespace ecld::offload {

class LayerTimes {
 public:
  // power_W: for what the table has no energy of. THROWS Error: the profile has no layers.csv.
  LayerTimes(std::shared_ptr<const LoadedModel> model, std::optional<double> power_W);

  int64_t layers() const { return model_->variant.arch.layers; }
  // Of those below each cut, [layers + 1]: a prompt of that many tokens, or one token after a context. What cut c
  // leaves to the other side is the last entry less entry c. THROWS Error where the length is outside the measured
  // grid.
  std::vector<double> SecondsBelow(Phase phase, int64_t tok) const;
  // Nothing where neither table nor watts tell.
  std::optional<std::vector<double>> JoulesBelow(Phase phase, int64_t tok) const;
  // In its cache for each token, of one layer in the mean.
  double CacheBytesPerToken() const { return model_->kv_B_per_tok / static_cast<double>(layers()); }

 private:
  // of(name of the layer): its figure.
  template <class Of>
  std::vector<double> SumsBelow(const Of& of) const;
  double LayerSeconds(const std::string& layer, Phase phase, int64_t tok) const;
  double Figure(const char* column, const std::string& layer, Phase phase, int64_t tok) const;

  std::shared_ptr<const LoadedModel> model_;
  std::optional<double> power_W_;
};

}  // namespace ecld::offload
