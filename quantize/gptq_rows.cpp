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

// Rounds a block of columns for kLanes rows at a time. All arrays are column by column: element (column, row) of a
// strip lies at column * rows + row, columns in the order of processing.
struct BlockRounder {
  const PackedFormat& format;
  const int64_t* order;    // [in]
  const float* root;       // [in, in]
  const GroupGrid* grids;  // [rows, groups]
  int64_t in, rows, groups, group_size;
  float* weights;  // [in, rows]; the block's own columns are used up
  float* errors;   // [kBlock, rows]: (weight - value) / U_ii
  uint8_t* codes;  // [rows, in], in the matrix' own order
  double* losses;  // [rows], added to

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
      const GroupGrid grid = l < lanes ? grids[(row + l) * groups + column / group_size] : GroupGrid{};
      scale[l] = grid.scale;
      zero_point[l] = static_cast<float>(grid.zero_point);
    }
    const auto max_code = static_cast<float>(format.MaxCode());
    for (int64_t l = 0; l < kLanes; ++l) {
      code[l] = NearestCode(weight[l], scale[l], zero_point[l], max_code);
      error[l] = (weight[l] - (code[l] - zero_point[l]) * scale[l]) * inverse_pivot;
    }
    for (int64_t l = 0; l < lanes; ++l) codes[(row + l) * in + column] = static_cast<uint8_t>(code[l]);
  }
};

// 1 / U_ii^2 of every column in the matrix' own order, [in].
std::vector<float> CostOfColumns(const HessianRoot& root) {
  at::Tensor cost = at::empty({root.order.size(0)}, at::kFloat);
  cost.index_copy_(0, root.order, root.root.diagonal().square().reciprocal());
  return {cost.data_ptr<float>(), cost.data_ptr<float>() + cost.numel()};
}

}  // namespace

RoundedMatrix QuantizeRows(const at::Tensor& weights, const HessianRoot& root, const PackedFormat& format, Clip clip,
                           DType scale_dtype, ThreadPool& pool) {
  assert(weights.is_contiguous());
  const int64_t rows = weights.size(0), in = weights.size(1), groups = format.Groups(in);
  RoundedMatrix result(format, scale_dtype, rows, in);
  const at::Tensor factors = root.root.contiguous();
  const std::vector<float> cost = CostOfColumns(root);
  std::vector<double> losses(static_cast<size_t>(rows));

  const auto round_strip = [&](int64_t first_row) {
    const int64_t count = std::min(kStrip, rows - first_row);
    GroupGrid* const grids = result.grids.data() + first_row * groups;
    for (int64_t row = 0; row < count; ++row) {
      const std::span whole(weights.const_data_ptr<float>() + (first_row + row) * in, static_cast<size_t>(in));
      ForGroups(whole, format, [&](size_t group, size_t first, std::span<const float> members) {
        grids[row * groups + static_cast<int64_t>(group)] =
            FitGrid(members, format, clip, scale_dtype, std::span(cost).subspan(first, members.size()));
      });
    }
    at::Tensor columns = weights.narrow(0, first_row, count).t().index_select(0, root.order);
    at::Tensor errors = at::empty({std::min(kBlock, in), count}, at::kFloat);
    const BlockRounder rounder{format,
                               root.order.const_data_ptr<int64_t>(),
                               factors.const_data_ptr<float>(),
                               grids,
                               in,
                               count,
                               groups,
                               format.GroupSize(in),
                               columns.data_ptr<float>(),
                               errors.data_ptr<float>(),
                               result.codes.data() + first_row * in,
                               losses.data() + first_row};
    for (int64_t first = 0; first < in; first += kBlock) {
      const int64_t end = std::min(first + kBlock, in);
      for (int64_t row = 0; row < count; row += kLanes)
        rounder.Round(first, end - first, row, std::min(kLanes, count - row));
      if (end == in) break;
      const at::Tensor later = factors.slice(0, first, end).slice(1, end, in);  // [end - first, rest]
      columns.slice(0, end, in).addmm_(later.t(), errors.slice(0, 0, end - first), 1, -1);
    }
  };
  const TorchOnOneThread one_thread;
  pool.ShareOut((rows + kStrip - 1) / kStrip, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;  // a thread's own, as is the number of threads that Torch takes
    const TorchOnOneThread one_thread_here;
    for (int64_t strip = begin; strip < end; ++strip) round_strip(strip * kStrip);
  });
  for (double loss : losses) result.loss += loss;
  return result;
}

}  // namespace ecld
