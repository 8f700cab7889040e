#pragma once
// Rounding that can be learned: for each weight an offset before it is rounded, and for each group how far its grid
// reaches at either end. Rounding and clipping pass gradients straight through. The parameters are those of AutoRound
// (SignRound, Cheng et al. 2023, arXiv 2309.05516, eq. 3). Pure maths on one matrix; its rows are shared out among the
// threads of the pool, and the result does not depend on their number.

#include <ATen/core/Tensor.h>

#include "model/rounded_matrix.h"
#include "quantize/grid.h"

namespace ecld {

struct LearnedRounding {
  at::Tensor offset;     // [out, in], in steps of the grid, within [-0.5, 0.5]
  at::Tensor low, high;  // [out, groups], part of the group's range that the grid spans, within [0.25, 1]

  // Moves each parameter by `rate` against the sign of its gradient, as far as its range goes.
  void Step(const LearnedRounding& gradient, double rate);
};

// Offsets of zero; ends where FitGrid puts them for this clip.
LearnedRounding StartRounding(const at::Tensor& weights, const PackedFormat& format, Clip clip, DType scale_dtype,
                              ThreadPool& pool);

RoundedMatrix Round(const at::Tensor& weights, const LearnedRounding& rounding, const PackedFormat& format,
                    DType scale_dtype, ThreadPool& pool);

// of_values, [out, in]: the gradient of a loss to the values. -> to the parameters. No gradient passes where a code is
// clipped, nor where a zero point is.
LearnedRounding GradientOf(const at::Tensor& weights, const LearnedRounding& rounding, const PackedFormat& format,
                           DType scale_dtype, const at::Tensor& of_values, ThreadPool& pool);

}  // namespace ecld
