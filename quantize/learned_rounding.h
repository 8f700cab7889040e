#pragma once
// Rounding that can be learned: for each weight an offset before it is rounded, and for each group how far its grid
// reaches at either end. Rounding and clipping pass gradients straight through. The parameters are those of AutoRound
// (SignRound, Cheng et al. 2023, arXiv 2309.05516, eq. 3). Pure maths on one matrix.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "quantize/grid.h"

namespace ecld {

struct LearnedRounding {
  at::Tensor offset;     // [out, in], in steps of the grid, within [-0.5, 0.5]
  at::Tensor low, high;  // [out, groups], part of the group's range that the grid spans, within [0.25, 1]

  std::vector<at::Tensor> Parameters() const { return {offset, low, high}; }
  // Brings the parameters back into their ranges after a step.
  void Clamp();
};

// Offsets of zero; ends where FitGrid puts them for this clip.
LearnedRounding StartRounding(const at::Tensor& weights, const PackedFormat& format, Clip clip, DType scale_dtype);

struct RoundedTensors {
  at::Tensor values;       // [out, in], (code - zero_point) * scale; differentiable in the parameters
  at::Tensor codes;        // [out, in], float
  at::Tensor scales;       // [out, groups], values that scale_dtype holds
  at::Tensor zero_points;  // [out, groups], float
};
RoundedTensors Round(const at::Tensor& weights, const LearnedRounding& rounding, const PackedFormat& format,
                     DType scale_dtype);

}  // namespace ecld
