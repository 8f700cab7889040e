#pragma once
// Layers for the tests of calibrated rounding: weights and inputs that are seeded, correlated and of unequal energy,
// as those of real models are.

#include <ATen/ATen.h>

#include <vector>

namespace ecld {

inline std::vector<float> Floats(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kFloat).contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

// [tokens, features]: a few directions that all inputs share, and noise whose size falls from input to input.
inline at::Tensor CorrelatedInputs(int64_t tokens, int64_t features, uint64_t seed) {
  at::manual_seed(seed);
  const at::Tensor shared = at::randn({tokens, 4}).matmul(at::randn({4, features}));
  const at::Tensor sizes = at::linspace(2, 0.1, features).index_select(0, at::randperm(features));
  return shared + at::randn({tokens, features}) * sizes;
}

inline at::Tensor CorrelatedHessian(int64_t features, uint64_t seed) {
  const at::Tensor inputs = CorrelatedInputs(4 * features, features, seed);
  return inputs.t().matmul(inputs);
}

inline at::Tensor RandomWeights(int64_t rows, int64_t columns, uint64_t seed) {
  at::manual_seed(seed);
  return at::randn({rows, columns}) * 0.05;
}

}  // namespace ecld
