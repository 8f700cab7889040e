#include "offload/learn/reward_surrogate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "core/random.h"
#include "offload/learn/parameters.h"

namespace ecld::offload {
namespace {

// Networks of two tanh layers side by side.
class Networks {
 public:
  Networks(const SurrogateSettings& settings, uint64_t seed)
      : settings_(settings), parameters_(MakeParts(seed), at::kDouble) {}

  // Of places [n, 2], [members, n].
  at::Tensor At(const at::Tensor& places) const {
    at::NoGradGuard no_grad;
    return Run(parameters_.views(), places);
  }

  void Fit(const at::Tensor& places, const at::Tensor& values) {
    for (int64_t i = 0; i < settings_.updates; ++i) {
      (Run(parameters_.Leaves(), places) - values).square().mean().backward();
      parameters_.Descend(settings_.learning_rate, 1);
    }
  }

 private:
  std::vector<at::Tensor> MakeParts(uint64_t seed) const {
    Random random(seed);
    const auto drawn = [&](int64_t rows, int64_t columns, double length) {
      at::Tensor made = at::empty({settings_.members, rows, columns}, at::kDouble);
      for (int64_t i = 0; i < made.numel(); ++i) made.data_ptr<double>()[i] = length * random.Normal();
      return made;
    };
    const int64_t hidden = settings_.hidden;
    const double length = 1 / std::sqrt(static_cast<double>(hidden));
    return {drawn(2, hidden, 1),
            drawn(1, hidden, 1),
            drawn(hidden, hidden, length),
            drawn(1, hidden, 0.1),
            drawn(hidden, 1, 0.5 * length),
            drawn(1, 1, 0.1)};
  }

  at::Tensor Run(const std::vector<at::Tensor>& parts, const at::Tensor& places) const {
    at::Tensor x = places.expand({settings_.members, places.size(0), 2});
    for (size_t layer = 0; layer < 3; ++layer) {
      x = at::baddbmm(parts[2 * layer + 1], x, parts[2 * layer]);
      if (layer < 2) x = x.tanh();
    }
    return x.squeeze(2);
  }

  SurrogateSettings settings_;
  Parameters parameters_;
};

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
  Networks networks(settings, seed);
  for (;;) {
    const at::Tensor of = at::tensor(values, at::kDouble);
    const double mean = of.mean().item<double>(), scale = std::max(1e-9, of.std(0, /*unbiased=*/false).item<double>());
    networks.Fit(all.index_select(0, at::tensor(rows, at::kLong)), (of - mean) / scale);
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
