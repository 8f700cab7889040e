#include "offload/learn/small_networks.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

namespace ecld::offload {

SmallNetworks::SmallNetworks(const SmallNetworksShape& shape, uint64_t seed)
    : shape_(shape), parameters_(MakeParts(seed), at::kDouble) {}

at::Tensor SmallNetworks::At(const at::Tensor& x) const {
  at::NoGradGuard no_grad;
  return Run(parameters_.views(), x);
}

void SmallNetworks::Fit(const at::Tensor& x, int64_t updates, double rate,
                        const std::function<at::Tensor(const at::Tensor&)>& loss) {
  for (int64_t i = 0; i < updates; ++i) {
    loss(Run(parameters_.Leaves(), x)).backward();
    parameters_.Descend(rate, 1);
  }
}

std::vector<at::Tensor> SmallNetworks::MakeParts(uint64_t seed) const {
  Random random(seed);
  const auto drawn = [&](int64_t rows, int64_t columns, double length) {
    at::Tensor made = at::empty({shape_.members, rows, columns}, at::kDouble);
    for (int64_t i = 0; i < made.numel(); ++i) made.data_ptr<double>()[i] = length * random.Normal();
    return made;
  };
  const int64_t hidden = shape_.hidden;
  const double length = 1 / std::sqrt(static_cast<double>(hidden));
  return {drawn(shape_.inputs, hidden, 1),
          drawn(1, hidden, 1),
          drawn(hidden, hidden, length),
          drawn(1, hidden, 0.1),
          drawn(hidden, shape_.outputs, 0.5 * length),
          drawn(1, shape_.outputs, 0.1)};
}

at::Tensor SmallNetworks::Run(const std::vector<at::Tensor>& parts, const at::Tensor& of) const {
  at::Tensor x = of.expand({shape_.members, of.size(0), shape_.inputs});
  for (size_t layer = 0; layer < 3; ++layer) {
    x = at::baddbmm(parts[2 * layer + 1], x, parts[2 * layer]);
    if (layer < 2) x = x.tanh();
  }
  return x;
}

}  // namespace ecld::offload
