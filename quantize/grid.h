#pragma once
// The grid of one group of weights (kernels/packing/group_grid.h): which scale and zero point it gets, and rounding to
// it. Pure maths on floats; the bytes are kernels/packing's business.

#include <cstdint>
#include <span>

#include "core/dtype.h"
#include "kernels/packing/group_grid.h"
#include "kernels/packing/packed_format.h"

namespace ecld {

enum class Clip {
  kMinMax,  // the grid spans the group's whole range
  kMse,     // the range is shrunk where that lowers the rounding error
};

struct Range {
  float low, high;
};
// The least and the greatest of the weights and zero.
Range RangeOf(std::span<const float> weights);

// The grid that spans [low, high] (widened to hold zero), in the convention of compressed-tensors: symmetric
// scale = max(|low|, |high|) / ((2^bits - 1) / 2), asymmetric scale = (high - low) / (2^bits - 1). The scale is rounded
// to scale_dtype (F32, F16, BF16), the type it is stored in; one that rounds to zero becomes that type's epsilon.
GroupGrid GridOfRange(float low, float high, const PackedFormat& format, DType scale_dtype);

// The grid of a group of finite weights. kMse tries ranges shrunk by 1 % steps down to 20 % of the full one, takes
// the least sum of |error|^2.4 (the norm GPTQ implementations use), and stops once 5 steps brought nothing better.
// cost: of an error in each weight; empty: all the same.
GroupGrid FitGrid(std::span<const float> weights, const PackedFormat& format, Clip clip, DType scale_dtype,
                  std::span<const float> cost = {});

// Nearest codes, ties to even, and what rounding cost: the sum of squared errors.
// REQUIRES: codes holds weights.size().
double RoundToGrid(std::span<const float> weights, const GroupGrid& grid, int bits, uint8_t* codes);

}  // namespace ecld
