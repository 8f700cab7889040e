#include "model/block_training.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "model/block_walker.h"

namespace ecld {

at::Tensor BlockLoss(const at::Tensor& student, const at::Tensor& teacher) {
  at::Tensor error = (student - teacher).square().sum(-1);
  return (error / teacher.square().sum(-1).clamp_min(1e-12)).mean();
}

double MeanBlockLoss(const BlockOps& ops, const Block& block, const at::Tensor& states, const at::Tensor& targets,
                     int64_t first) {
  at::NoGradGuard no_grad;
  double sum = 0;
  const int64_t windows = states.size(0) - first;
  ForWindowBatches(windows, states.size(1), [&](int64_t begin, int64_t count) {
    at::Tensor student = block.Forward(ops, states.narrow(0, first + begin, count));
    sum += BlockLoss(student, targets.narrow(0, first + begin, count)).item<double>() * static_cast<double>(count);
  });
  return sum / static_cast<double>(windows);
}

int64_t HeldOutWindows(int64_t windows, double share) {
  return std::max<int64_t>(1, std::llround(static_cast<double>(windows) * share));
}

void RequireWindowsToTrainOn(const PlanInput& input, int64_t batch_windows, double held_out) {
  if (batch_windows < 1) Fail(input.where + ".batch_windows", "{} is below 1", batch_windows);
  if (!(held_out > 0 && held_out < 1)) Fail(input.where + ".held_out", "{} is not between 0 and 1", held_out);
  const int64_t windows = input.calibration_windows, held = HeldOutWindows(windows, held_out);
  if (held >= windows)
    Fail(input.where, "{} calibration windows leave none to train on beside {} held out", windows, held);
}

std::vector<int64_t> ShuffledIndices(int64_t count, Random& random) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  return order;
}

}  // namespace ecld
