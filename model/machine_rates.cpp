#include "model/machine_rates.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>

#include "model/block_kernels.h"

namespace ecld {
namespace {

// The best rate of a product of so many operations, in a quarter of a second.
template <class Product>
double BestRate(double operations, const Product& product) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  const auto start = Clock::now();
  do {
    const auto before = Clock::now();
    product();
    best = std::max(best, operations / std::chrono::duration<double>(Clock::now() - before).count());
  } while (Clock::now() - start < std::chrono::milliseconds(250));
  return best;
}

}  // namespace

double MachineRates::GemmFlops() {
  if (gemm_flops_) return *gemm_flops_;
  constexpr int64_t kSize = 768;  // large enough to reach the rate of a decoder's products, small enough to be quick
  at::Tensor a = at::ones({kSize, kSize}), b = at::ones({kSize, kSize}), c = at::empty({kSize, kSize});
  gemm_flops_ = BestRate(2.0 * kSize * kSize * kSize, [&] { at::mm_out(c, a, b); });
  return *gemm_flops_;
}

double MachineRates::KernelFlops() {
  if (kernel_flops_) return *kernel_flops_;
  constexpr int64_t kLargest = 2048, kRows = 512;
  const int64_t in = std::min(kLargest, config_.hidden_size), out = std::min(kLargest, config_.intermediate_size);
  const at::Tensor x = at::ones({kRows, in}), weight = at::ones({out, in});
  BlockKernels kernels(config_, *pool_);
  kernel_flops_ = BestRate(2.0 * kRows * static_cast<double>(in * out), [&] { kernels.Linears(x, {{weight, {}}}); });
  return *kernel_flops_;
}

}  // namespace ecld
