#pragma once
// A matrix in training that lies on the grid it is stored in (packed_format.h). Two things are learned: for each weight
// a latent code, a real number that is rounded to the code, and for each group how much longer or shorter its scale
// becomes. What the model is run with is always what would be written: (code - zero point) * scale, the scale rounded
// to the type it is stored in.
//
// Gradients go straight through both roundings (Bengio et al. 2013, arXiv 1308.3432, section 3.3; not for a latent
// code that is beyond the ends of its grid). Because a code does not change with its scale, the gradient of a scale is
// the true one. Zero points stay: they are whole numbers, a step of which moves a whole group by a step of its grid,
// and learning them with the scales gains nothing over the scales alone (Chen et al. 2024, EfficientQAT, arXiv
// 2407.11062, section 4).

#include <ATen/core/Tensor.h>

#include "model/rounded_matrix.h"

namespace ecld {

class GridMatrix {
 public:
  // Codes are those of `rounded`. dense, [rows, in_features], undefined where there is none: latent codes then lie
  // where those weights do, as near as their codes allow; else each in the middle of its code.
  GridMatrix(const RoundedMatrix& rounded, const at::Tensor& dense, ThreadPool& pool);

  // What an optimizer changes.
  at::Tensor latent;   // [rows, in_features], in steps of the grid
  at::Tensor stretch;  // [rows, groups], of scales; begins at 1

  RoundedMatrix Round(ThreadPool& pool) const;
  // Into values, contiguous [rows, in_features]: those of Round, without codes on the way.
  void Values(const at::Tensor& values, ThreadPool& pool) const;

  // Turns the gradient at the values into that at latent codes, in place; returns that at the stretches.
  at::Tensor TakeGradient(const at::Tensor& gradient, ThreadPool& pool) const;

 private:
  template <class Body>  // (int64_t first, int64_t count, int64_t group, const GroupGrid& grid)
  void ForAllGroups(ThreadPool& pool, Body body) const;

  PackedFormat format_;
  DType scale_dtype_;
  std::vector<GroupGrid> begun_;  // the grids with stretches of 1
};

}  // namespace ecld
