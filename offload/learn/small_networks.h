#pragma once
// Networks of two tanh layers side by side, all on the same inputs, by whose differences it is told how sure they are.

#include <ATen/core/Tensor.h>

#include <functional>

#include "offload/learn/parameters.h"

namespace ecld::offload {

struct SmallNetworksShape {
  int64_t members = 5, inputs = 2, hidden = 16, outputs = 1;
};

class SmallNetworks {
 public:
  SmallNetworks(const SmallNetworksShape& shape, uint64_t seed);

  at::Tensor At(const at::Tensor& x) const;  // of [n, inputs], [members, n, outputs]
  // So many steps of Adam down what loss makes of the outputs for x.
  void Fit(const at::Tensor& x, int64_t updates, double rate, const std::function<at::Tensor(const at::Tensor&)>& loss);

 private:
  std::vector<at::Tensor> MakeParts(uint64_t seed) const;
  at::Tensor Run(const std::vector<at::Tensor>& parts, const at::Tensor& x) const;

  SmallNetworksShape shape_;
  Parameters parameters_;
};

}  // namespace ecld::offload
