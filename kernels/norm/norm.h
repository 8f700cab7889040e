#pragma once
// RMSNorm (Zhang and Sennrich 2019, equation 4): y = x / sqrt(mean(x^2) + eps) * weight, over the last axis.

#include <cstdint>

#include "core/threads.h"

namespace ecld {

struct RmsNormArgs {
  const float* x = nullptr;       // [rows, width]
  const float* weight = nullptr;  // [width]
  int64_t rows = 0, width = 0;
  float eps = 1e-6f;
  float* y = nullptr;  // [rows, width]; may be x
};

void RmsNorm(const RmsNormArgs& args, ThreadPool& pool);

}  // namespace ecld
