#include "quantize/descent.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>

#include "model/block_kernels.h"
#include "quantize/grid.h"

namespace ecld {
namespace {

constexpr float kMostRescale = 2;  // of a scale in one step, either way

// A group's columns at a time: what all errors so far make of the gradients of the loss is one product for all of them.
class Descent {
 public:
  Descent(const at::Tensor& weights, const at::Tensor& inputs, const at::Tensor& outputs, RoundedMatrix& rounded)
      : weights_(weights), inputs_(inputs), outputs_(outputs), rounded_(rounded), rows_(weights.size(0)) {
    errors_ = at::empty_like(weights_);
    for (int64_t group = 0; group < Groups(); ++group) TakeErrors(group);
  }

  void Sweep() {
    for (int64_t group = 0; group < Groups(); ++group) {
      const at::Tensor gradients = Codes(group);
      Scales(group, gradients);
      TakeErrors(group);
    }
  }

  double Loss() const {
    const at::Tensor gradients = Gradients(0, rounded_.in_features).t();
    return (gradients * errors_).sum(at::kDouble).item<double>();
  }

 private:
  int64_t Groups() const { return rounded_.format.Groups(rounded_.in_features); }
  int64_t First(int64_t group) const { return group * rounded_.format.GroupSize(rounded_.in_features); }
  int64_t Count(int64_t group) const {
    return std::min(rounded_.format.GroupSize(rounded_.in_features), rounded_.in_features - First(group));
  }
  GroupGrid& Grid(int64_t row, int64_t group) { return rounded_.grids[static_cast<size_t>(row * Groups() + group)]; }
  uint8_t& Code(int64_t row, int64_t column) {
    return rounded_.codes[static_cast<size_t>(row * rounded_.in_features + column)];
  }
  float OutputCost(int64_t row) const {
    return outputs_.defined() ? outputs_.const_data_ptr<float>()[row * rows_ + row] : 1.0f;
  }

  // Half the loss' gradients by the values of some columns, [columns, rows].
  at::Tensor Gradients(int64_t first, int64_t count) const {
    const at::Tensor of_inputs = at::mm(inputs_.narrow(0, first, count), errors_.t());
    return outputs_.defined() ? at::mm(of_inputs, outputs_) : of_inputs;
  }

  // Codes minus zero points of a group, [rows, columns].
  at::Tensor Steps(int64_t group) {
    const int64_t first = First(group), count = Count(group);
    at::Tensor steps = at::empty({rows_, count}, at::kFloat);
    float* to = steps.data_ptr<float>();
    for (int64_t row = 0; row < rows_; ++row)
      for (int64_t j = 0; j < count; ++j)
        *to++ = static_cast<float>(Code(row, first + j) - Grid(row, group).zero_point);
    return steps;
  }

  void TakeErrors(int64_t group) {
    const int64_t first = First(group), count = Count(group);
    at::Tensor scales = at::empty({rows_, 1}, at::kFloat);
    for (int64_t row = 0; row < rows_; ++row) scales.data_ptr<float>()[row] = Grid(row, group).scale;
    errors_.narrow(1, first, count).copy_(Steps(group).mul_(scales).sub_(weights_.narrow(1, first, count)));
  }

  // Returns the gradients after it.
  at::Tensor Codes(int64_t group) {
    const int64_t first = First(group), count = Count(group);
    const at::Tensor before = Gradients(first, count), own = inputs_.narrow(0, first, count).narrow(1, first, count);
    at::Tensor moved = at::zeros({count, rows_}, at::kFloat);  // G times what the values have moved by
    for (int64_t j = 0; j < count; ++j) {
      at::Tensor gradient = before.select(0, j).clone();
      if (j > 0) gradient.addmv_(moved.narrow(0, 0, j).t(), own.select(0, j).narrow(0, 0, j));
      Column(group, first + j, own[j][j].item<float>(), gradient.const_data_ptr<float>(),
             moved.data_ptr<float>() + j * rows_);
    }
    return at::addmm(before, own, moved);
  }

  // moved [rows]: zeros at first.
  void Column(int64_t group, int64_t column, float input_cost, const float* gradient, float* moved) {
    const auto max_code = static_cast<float>(rounded_.format.MaxCode());
    for (int64_t row = 0; row < rows_; ++row) {
      const float scale = Grid(row, group).scale, slope = gradient[row] + input_cost * moved[row];
      uint8_t& code = Code(row, column);
      const float wanted = static_cast<float>(code) * scale - slope / (input_cost * OutputCost(row));
      const float best = NearestCode(wanted, scale, 0, max_code), now = code;
      if (best == now) continue;
      code = static_cast<uint8_t>(best);
      const float move = (best - now) * scale;
      if (!outputs_.defined()) {
        moved[row] = move;
        continue;
      }
      const float* coupling = outputs_.const_data_ptr<float>() + row * rows_;
      for (int64_t other = 0; other < rows_; ++other) moved[other] += move * coupling[other];
    }
  }

  void Scales(int64_t group, const at::Tensor& gradients) {
    const int64_t first = First(group), count = Count(group);
    const at::Tensor steps = Steps(group), own = inputs_.narrow(0, first, count).narrow(1, first, count);
    at::Tensor slopes = (steps * gradients.t()).sum(1), curvature;
    const at::Tensor of_inputs = at::mm(steps, own);
    if (outputs_.defined())
      curvature = at::mm(of_inputs, steps.t()).mul_(outputs_);
    else
      curvature = (of_inputs * steps).sum(1);
    float* slope = slopes.data_ptr<float>();
    for (int64_t row = 0; row < rows_; ++row) {
      const float* coupling = curvature.const_data_ptr<float>() + (outputs_.defined() ? row * rows_ : 0);
      const float cost = coupling[row];
      GroupGrid& grid = Grid(row, group);
      if (!(cost > 0)) continue;
      const float scale =
          StoredScale(std::clamp(grid.scale - slope[row] / cost, grid.scale / kMostRescale, grid.scale * kMostRescale),
                      rounded_.scale_dtype);
      const float move = scale - grid.scale;
      if (!(scale > 0) || !(2 * slope[row] * move + cost * move * move < 0)) continue;
      grid.scale = scale;
      if (!outputs_.defined()) continue;
      for (int64_t other = 0; other < rows_; ++other) slope[other] += move * coupling[other];
    }
  }

  const at::Tensor &weights_, &inputs_, &outputs_;
  RoundedMatrix& rounded_;
  const int64_t rows_;
  at::Tensor errors_;  // [rows, in_features]: values - weights
};

}  // namespace

void Descend(const at::Tensor& weights, const at::Tensor& inputs, const at::Tensor& outputs, int64_t sweeps,
             RoundedMatrix& rounded) {
  assert(weights.is_contiguous());
  const TorchOnOneThread one_thread;  // many small operations, one after the other
  Descent descent(weights, inputs, outputs, rounded);
  for (int64_t sweep = 0; sweep < sweeps; ++sweep) descent.Sweep();
  rounded.loss = descent.Loss();
}

}  // namespace ecld
