#pragma once
// y[m, out_features] = x[m, in_features] * weight[out_features, in_features]^T, weight dense or packed, x and y
// float32. The product of each row is accumulated in float32. Implementations differ in speed, not in meaning:
// reference.cpp is the definition, and every other one must match it within Tolerance.

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/threads.h"
#include "kernels/packing/weight_view.h"

namespace ecld {

struct GemmArgs {
  WeightView weight;
  const float* x = nullptr;  // [m, in_features], row-major
  int64_t m = 0;
  float* y = nullptr;  // [m, out_features], row-major, written whole
};

// Runs the first implementation in the list that supports the problem, or the one named (THROWS Error when unknown,
// or when it does not support this problem or this CPU).
void Gemm(const GemmArgs& args, ThreadPool& pool, std::string_view implementation = "");

}  // namespace ecld
