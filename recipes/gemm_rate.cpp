#include "recipes/gemm_rate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>

namespace ecld {

double MeasureGemmFlops() {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kSize = 768;  // large enough to reach the rate of a decoder's products, small enough to be quick
  constexpr double kOperations = 2.0 * kSize * kSize * kSize;
  at::Tensor a = at::ones({kSize, kSize}), b = at::ones({kSize, kSize}), c = at::empty({kSize, kSize});
  double best = 0;
  auto start = Clock::now();
  do {
    auto before = Clock::now();
    at::mm_out(c, a, b);
    best = std::max(best, kOperations / std::chrono::duration<double>(Clock::now() - before).count());
  } while (Clock::now() - start < std::chrono::milliseconds(80));
  return best;
}

}  // namespace ecld
