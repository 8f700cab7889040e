#include "offload/learn/reward_surrogate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>

#include "offload/learn/small_networks.h"

namespace ecld::offload {
namespace {

// Each direction from -1 to 1.
at::Tensor Spread(std::span<const Place> places) {
  at::Tensor made = at::empty({static_cast<int64_t>(places.size()), 2}, at::kDouble);
  for (size_t i = 0; i < places.size(); ++i)
    for (size_t k = 0; k < 2; ++k) made.data_ptr<double>()[2 * i + k] = places[i][k];
  const at::Tensor low = made.amin(0), high = made.amax(0);
  return 2 * (made - low) / (high - low) - 1;
}

}  // namespace

std::vector<Foretold> MeasureFew(std::span<const Place> places, size_t looks,
                                 const std::function<double(size_t)>& measure, uint64_t seed,
                                 const SurrogateSettings& settings) {
  constexpr size_t kCorners = 4;
  assert(looks >= kCorners && looks <= places.size());
  const at::Tensor all = Spread(places);
  std::vector<Foretold> found(places.size());
  std::vector<int64_t> rows;
  std::vector<double> values;
  const auto look = [&](size_t i) {
    found[i] = {.value = measure(i), .measured = true};
    rows.push_back(static_cast<int64_t>(i));
    values.push_back(found[i].value);
  };
  // By how far a place is to a corner, of those not yet measured.
  for (const auto& [x, y] : {std::pair(-1.0, -1.0), {-1.0, 1.0}, {1.0, -1.0}, {1.0, 1.0}}) {
    const at::Tensor far = (all - at::tensor({x, y}, at::kDouble)).square().sum(1);
    size_t nearest = places.size();
    for (size_t i = 0; i < places.size(); ++i)
      if (!found[i].measured &&
          (nearest == places.size() || far.data_ptr<double>()[i] < far.data_ptr<double>()[nearest]))
        nearest = i;
    look(nearest);
  }
  SmallNetworks networks({.members = settings.members, .hidden = settings.hidden}, seed);
  for (;;) {
    const at::Tensor of = at::tensor(values, at::kDouble);
    const double mean = of.mean().item<double>(), scale = std::max(1e-9, of.std(0, /*unbiased=*/false).item<double>());
    const at::Tensor targets = ((of - mean) / scale).unsqueeze(1);
    networks.Fit(all.index_select(0, at::tensor(rows, at::kLong)), settings.updates, settings.learning_rate,
                 [&](const at::Tensor& outputs) { return (outputs - targets).square().mean(); });
    const auto [deviation, middle] = at::std_mean(networks.At(all), 0, /*unbiased=*/true);
    size_t least_sure = 0;
    double most = -1;
    for (size_t i = 0; i < places.size(); ++i) {
      if (found[i].measured) continue;
      found[i].value = mean + scale * middle.data_ptr<double>()[i];
      found[i].spread = scale * deviation.data_ptr<double>()[i];
      if (found[i].spread > most) least_sure = i, most = found[i].spread;
    }
    if (rows.size() == looks) return found;
    look(least_sure);
  }
}

}  // namespace ecld::offload
