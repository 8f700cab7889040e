#pragma once
// How fast this machine multiplies matrices, for the time estimates of plans. Each takes about a quarter of a second.

#include "checkpoint/config.h"

namespace ecld {

// Floating-point operations per second of float32 products through Torch, the best of a few.
double MeasureGemmFlops();

// The same of the products that blocks of this checkpoint are calibrated with (model/block_kernels.h).
double MeasureKernelFlops(const ModelConfig& config);

}  // namespace ecld
