#include "model/block_training.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/block_walker.h"

namespace ecld {

at::Tensor BlockLoss(const at::Tensor& student, const at::Tensor& teacher) {
  at::Tensor error = (student - teacher).square().sum(-1);
  return (error / teacher.square().sum(-1).clamp_min(1e-12)).mean();
}

double MeanBlockLoss(const Block& block, const at::Tensor& states, const at::Tensor& targets, int64_t first) {
  at::NoGradGuard no_grad;
  double sum = 0;
  const int64_t windows = states.size(0) - first;
  ForWindowBatches(windows, states.size(1), [&](int64_t begin, int64_t count) {
    at::Tensor student = block.Forward(states.narrow(0, first + begin, count));
    sum += BlockLoss(student, targets.narrow(0, first + begin, count)).item<double>() * static_cast<double>(count);
  });
  return sum / static_cast<double>(windows);
}

int64_t HeldOutWindows(int64_t windows, double share) {
  return std::max<int64_t>(1, std::llround(static_cast<double>(windows) * share));
}

std::vector<int64_t> ShuffledIndices(int64_t count, Random& random) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  return order;
}

}  // namespace ecld
