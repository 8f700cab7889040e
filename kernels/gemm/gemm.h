#pragma once
// y[m, out_features] = x[m, in_features] * weight[out_features, in_features]^T, weight dense or packed, x and y
// float32. The products of each row are accumulated in float32. Implementations differ in speed, not in meaning:
// reference.cpp is the definition, and every other one agrees with it up to the order of the sums (the difference is
// below 4e-7 of the largest sum of absolute products).

#include <cstdint>
#include <string_view>

#include "core/threads.h"
#include "kernels/packing/weight_view.h"

namespace ecld {

struct GemmArgs {
  WeightView weight;
  const float* x = nullptr;  // [m, in_features], row-major
  int64_t m = 0;
  float* y = nullptr;  // [m, out_features], row-major, written whole
};

// Runs the first implementation in the list that supports the problem, or the one named. THROWS Error when the name is
// unknown, or the named one does not support this problem or this CPU. The result does not depend on the pool's size.
void Gemm(const GemmArgs& args, ThreadPool& pool, std::string_view implementation = "");

}  // namespace ecld
