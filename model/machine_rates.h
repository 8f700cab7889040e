#pragma once
// How fast this machine multiplies matrices, for the times that plans tell. Measured when a plan first asks, which
// takes about a quarter of a second each, and once for all plans of a run.

#include <optional>

#include "checkpoint/config.h"
#include "core/threads.h"

namespace ecld {

class MachineRates {
 public:
  // pool: the threads that passes will use; must outlive this.
  MachineRates(ModelConfig config, ThreadPool& pool) : config_(std::move(config)), pool_(&pool) {}
  // Of a machine whose rates are known.
  MachineRates(double gemm_flops, double kernel_flops) : gemm_flops_(gemm_flops), kernel_flops_(kernel_flops) {}

  // Floating-point operations per second of float32 products through Torch, the best of a few.
  double GemmFlops();
  // The same of the products that blocks of this config are calibrated with (block_kernels.h).
  double KernelFlops();
  // For a pass that measures a rate of its own. REQUIRES: the rates are this machine's.
  ThreadPool& pool() { return *pool_; }

 private:
  ModelConfig config_;
  ThreadPool* pool_ = nullptr;
  std::optional<double> gemm_flops_, kernel_flops_;
};

}  // namespace ecld
