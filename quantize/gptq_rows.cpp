#include "quantize/gptq_rows.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cassert>
#include <span>

#include "model/block_kernels.h"

namespace ecld {
namespace {

constexpr int64_t kBlock = 128;  // columns between two updates of the rest
constexpr int64_t kStrip = 64;   // rows that a thread carries through all columns
constexpr int64_t kLanes = 32;   // of them in step: fixed, for vectors, and too many to be unrolled instead

// Rounds blocks of columns of some rows. All arrays are column by column: element (column, row) of a strip lies at
// column * rows + row, rows and columns in the order of processing.
struct BlockRounder {
  PackedFormat format;
  const int64_t* order;      // [in]: the matrix' own columns
  const int64_t* row_order;  // [rows]: its own rows
  const float* root;         // [in, in]
  const GroupGrid* grids;    // [rows of the matrix, groups]
  int64_t in, rows, groups, group_size;
  float* weights;  // [in, rows]; the block's own columns are used up
  float* errors;   // [kBlock, rows]: (weight - value) / U_ii
  uint8_t* codes;  // [rows of the matrix, in], in the matrix' own order
  double* losses;  // [rows], added to

  // For kLanes rows at a time, that do not depend on each other.
  void Round(int64_t first, int64_t columns, int64_t row, int64_t lanes) const {
    float block[kBlock][kLanes] = {};
    for (int64_t j = 0; j < columns; ++j) std::copy_n(weights + (first + j) * rows + row, lanes, block[j]);
    float loss[kLanes] = {};
    for (int64_t j = 0; j < columns; ++j) {
      const float* factors = root + (first + j) * in + first;
      float error[kLanes];
      RoundColumn(order[first + j], 1 / factors[j], row, lanes, block[j], error);
      for (int64_t k = j + 1; k < columns; ++k)
        for (int64_t l = 0; l < kLanes; ++l) block[k][l] -= factors[k] * error[l];
      for (int64_t l = 0; l < kLanes; ++l) loss[l] += error[l] * error[l];
      std::copy_n(error, lanes, errors + j * rows + row);
    }
    for (int64_t l = 0; l < lanes; ++l) losses[row + l] += loss[l];
  }

  // column: of the matrix itself. Rows beyond lanes are zeros on a grid of 1, so their error is zero.
  void RoundColumn(int64_t column, float inverse_pivot, int64_t row, int64_t lanes, const float* weight,
                   float* error) const {
    float scale[kLanes], zero_point[kLanes], code[kLanes];
    for (int64_t l = 0; l < kLanes; ++l) {
      const GroupGrid grid = l < lanes ? grids[row_order[row + l] * groups + column / group_size] : GroupGrid{};
      scale[l] = grid.scale;
      zero_point[l] = static_cast<float>(grid.zero_point);
    }
    const auto max_code = static_cast<float>(format.MaxCode());
    for (int64_t l = 0; l < kLanes; ++l) {
      code[l] = NearestCode(weight[l], scale[l], zero_point[l], max_code);
      error[l] = (weight[l] - (code[l] - zero_point[l]) * scale[l]) * inverse_pivot;
    }
    for (int64_t l = 0; l < lanes; ++l) codes[row_order[row + l] * in + column] = static_cast<uint8_t>(code[l]);
  }

  // For all rows, one after the other in each column. row_root: [rows, row_stride], U of the outputs. moved [columns,
  // rows]: what the rows before the strip take off its weights. Leaves in row_errors [columns, rows] what its own give
  // to the rows behind it, before U.
  void RoundCoupled(int64_t first, int64_t columns, const float* row_root, int64_t row_stride, const float* moved,
                    float* row_errors) const {
    float corner[kStrip][kStrip] = {}, inverse_row_pivot[kStrip];
    for (int64_t row = 0; row < rows; ++row) {
      inverse_row_pivot[row] = 1 / row_root[row * row_stride + row];
      std::copy_n(row_root + row * row_stride + row + 1, rows - row - 1, corner[row] + row + 1);
    }
    const auto max_code = static_cast<float>(format.MaxCode());
    for (int64_t j = 0; j < columns; ++j) {
      const float* factors = root + (first + j) * in + first;
      const float inverse_pivot = 1 / factors[j];
      const int64_t column = order[first + j], group = column / group_size;
      const float* weight = weights + (first + j) * rows;
      float* error = errors + j * rows;
      float taken[kStrip] = {};
      std::copy_n(moved + j * rows, rows, taken);
      for (int64_t row = 0; row < rows; ++row) {
        const GroupGrid grid = grids[row_order[row] * groups + group];
        const auto zero_point = static_cast<float>(grid.zero_point);
        const float wanted = weight[row] - taken[row];
        const float code = NearestCode(wanted, grid.scale, zero_point, max_code);
        const float value = (code - zero_point) * grid.scale;
        codes[row_order[row] * in + column] = static_cast<uint8_t>(code);
        error[row] = (weight[row] - value) * inverse_pivot;
        const float row_error = (wanted - value) * inverse_row_pivot[row];
        row_errors[j * rows + row] = row_error;
        const float cost = row_error * inverse_pivot;
        losses[row] += static_cast<double>(cost * cost);
        for (int64_t later = 0; later < kStrip; ++later) taken[later] += corner[row][later] * row_error;
      }
      for (int64_t k = j + 1; k < columns; ++k) {
        float* later = weights + (first + k) * rows;
        for (int64_t row = 0; row < rows; ++row) later[row] -= factors[k] * error[row];
      }
    }
  }
};

// Some rows on their way through the columns.
struct Strip {
  at::Tensor columns;  // [in, rows]
  at::Tensor errors;   // [kBlock, rows]
  BlockRounder rounder;

  // Takes what rounding columns [first, end) did off the columns behind them.
  void Update(const at::Tensor& factors, int64_t first, int64_t end) {
    const int64_t in = factors.size(0);
    if (end == in) return;
    const at::Tensor later = factors.slice(0, first, end).slice(1, end, in);  // [end - first, rest]
    columns.slice(0, end, in).addmm_(later.t(), errors.slice(0, 0, end - first), 1, -1);
  }
};

class MatrixRounder {
 public:
  MatrixRounder(const at::Tensor& weights, const HessianRoot& inputs, const HessianRoot* outputs, Clip clip,
                ThreadPool& pool, RoundedMatrix& result)
      : weights_(weights),
        inputs_(inputs),
        factors_(inputs.root.contiguous()),
        row_order_(outputs ? outputs->order : at::arange(weights.size(0), at::kLong)),
        clip_(clip),
        pool_(pool),
        result_(result),
        cost_(PivotCosts(inputs)),
        losses_(static_cast<size_t>(weights.size(0))) {
    if (outputs) row_factors_ = outputs->root.contiguous();
  }

  void Run() {
    if (row_factors_.defined())
      RunCoupled();
    else
      ForStrips([&](int64_t index) {
        Strip strip = StripAt(index);
        for (int64_t first = 0; first < result_.in_features; first += kBlock) {
          const int64_t end = std::min(first + kBlock, result_.in_features);
          for (int64_t row = 0; row < strip.rounder.rows; row += kLanes)
            strip.rounder.Round(first, end - first, row, std::min(kLanes, strip.rounder.rows - row));
          strip.Update(factors_, first, end);
        }
      });
    for (double loss : losses_) result_.loss += loss;
  }

 private:
  template <class Body>
  void ForStrips(Body body) {
    const TorchOnOneThread one_thread;
    pool_.ShareOut((result_.rows + kStrip - 1) / kStrip, 1, [&](int64_t begin, int64_t end) {
      const at::NoGradGuard no_grad;  // a thread's own, as is the number of threads that Torch takes
      const TorchOnOneThread one_thread_here;
      for (int64_t strip = begin; strip < end; ++strip) body(strip);
    });
  }

  // Its rows, and the grids of their groups.
  Strip StripAt(int64_t index) {
    const int64_t first_row = index * kStrip, count = std::min(kStrip, result_.rows - first_row);
    const int64_t in = result_.in_features, groups = result_.format.Groups(in);
    const int64_t* order = row_order_.const_data_ptr<int64_t>() + first_row;
    for (int64_t row = 0; row < count; ++row) {
      const std::span whole(weights_.const_data_ptr<float>() + order[row] * in, static_cast<size_t>(in));
      ForGroups(whole, result_.format, [&](size_t group, size_t first, std::span<const float> members) {
        result_.grids[static_cast<size_t>(order[row] * groups) + group] =
            FitGrid(members, result_.format, clip_, result_.scale_dtype,
                    std::span(cost_.const_data_ptr<float>() + first, members.size()));
      });
    }
    const at::Tensor rows = row_factors_.defined() ? weights_.index_select(0, row_order_.narrow(0, first_row, count))
                                                   : weights_.narrow(0, first_row, count);
    Strip strip{rows.t().index_select(0, inputs_.order),
                at::empty({std::min(kBlock, in), count}, at::kFloat),
                {result_.format}};
    BlockRounder& rounder = strip.rounder;
    rounder.order = inputs_.order.const_data_ptr<int64_t>();
    rounder.row_order = order;
    rounder.root = factors_.const_data_ptr<float>();
    rounder.grids = result_.grids.data();
    rounder.in = in;
    rounder.rows = count;
    rounder.groups = groups;
    rounder.group_size = result_.format.GroupSize(in);
    rounder.weights = strip.columns.data_ptr<float>();
    rounder.errors = strip.errors.data_ptr<float>();
    rounder.codes = result_.codes.data();
    rounder.losses = losses_.data() + first_row;
    return strip;
  }

  // Strips follow each other within a block of columns: rows give to all rows behind them.
  void RunCoupled() {
    const TorchOnOneThread one_thread;
    std::vector<Strip> strips(static_cast<size_t>((result_.rows + kStrip - 1) / kStrip));
    ForStrips([&](int64_t index) { strips[static_cast<size_t>(index)] = StripAt(index); });
    for (int64_t first = 0; first < result_.in_features; first += kBlock) {
      const int64_t end = std::min(first + kBlock, result_.in_features), columns = end - first;
      at::Tensor row_errors = at::empty({result_.rows, columns}, at::kFloat);  // of all strips so far
      int64_t first_row = 0;
      for (Strip& strip : strips) {
        const int64_t count = strip.rounder.rows;
        at::Tensor moved = at::zeros({columns, count}, at::kFloat), errors = at::empty({columns, count}, at::kFloat);
        if (first_row > 0)
          at::mm_out(moved, row_errors.narrow(0, 0, first_row).t(),
                     row_factors_.slice(0, 0, first_row).narrow(1, first_row, count));
        const float* corner = row_factors_.const_data_ptr<float>() + first_row * result_.rows + first_row;
        strip.rounder.RoundCoupled(first, columns, corner, result_.rows, moved.data_ptr<float>(),
                                   errors.data_ptr<float>());
        row_errors.narrow(0, first_row, count).copy_(errors.t());
        first_row += count;
      }
      ForStrips([&](int64_t index) { strips[static_cast<size_t>(index)].Update(factors_, first, end); });
    }
  }

  const at::Tensor& weights_;
  const HessianRoot& inputs_;
  const at::Tensor factors_;    // [in, in]
  at::Tensor row_factors_;      // [rows, rows]; undefined: rows do not depend on each other
  const at::Tensor row_order_;  // [rows]
  const Clip clip_;
  ThreadPool& pool_;
  RoundedMatrix& result_;
  const at::Tensor cost_;  // [in]
  std::vector<double> losses_;
};

}  // namespace

RoundedMatrix QuantizeRows(const at::Tensor& weights, const HessianRoot& inputs, const HessianRoot* outputs,
                           const PackedFormat& format, Clip clip, DType scale_dtype, ThreadPool& pool) {
  assert(weights.is_contiguous());
  RoundedMatrix result(format, scale_dtype, weights.size(0), weights.size(1));
  MatrixRounder(weights, inputs, outputs, clip, pool, result).Run();
  return result;
}

}  // namespace ecld
