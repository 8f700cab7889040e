#pragma once
// y[m, out_features] = x[m, in_features] * weight[out_features, in_features]^T, weight dense or packed, x and y
// float32. The products of each row are accumulated in float32. Implementations differ in speed, not in meaning:
// reference.cpp is the definition, and every other one agrees with it up to the order of the sums (the difference is
// below 4e-7 of the largest sum of absolute products). Where the caller allows it (exact = false), an implementation
// may round the activations: against dense bfloat16 weights to bfloat16, to nearest, which puts each product off by at
// most 2^-8 of it; and against interleaved packed weights to 8 bits, symmetric, one scale for each group of at most 128
// inputs; int8_portable.cpp defines that. How a row is rounded does not depend on the other rows.

#include <cstddef>
#include <cstdint>
#include <span>
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
  bool exact = true;   // x stays float32
  // Where x is rounded to 8 bits and the weights have more than 4, what the rounding leaves over is rounded and
  // multiplied as well: for products that need it, at twice the operations. (With fewer bits the weights' own rounding
  // is far larger.)
  bool fine = false;
};

// Memory that products need besides their outputs. Kept by the caller, so that a decoding loop does not allocate.
class GemmScratch {
 public:
  // At least `bytes`, 64-byte aligned; what it held before is lost.
  std::byte* Reserve(size_t bytes);

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> lines_;
};

// Runs the first implementation in the list that supports the problem, or the one named. THROWS Error when the name is
// unknown, or the named one does not support this problem or this CPU. The result does not depend on the pool's size.
void Gemm(const GemmArgs& args, ThreadPool& pool, std::string_view implementation = "");

// Several products of the same x, m and exact (query, key and value of a block, or gate and up): the activations are
// prepared once and the threads meet once. The results are those of the products alone.
void Gemm(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch,
          std::string_view implementation = "");

}  // namespace ecld
