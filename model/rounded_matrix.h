#pragma once
// What every way of rounding makes of some rows of a matrix, the values it stands for, and its way to disk and back:
// packed as kernels/packing/packed_format.h draws it, and written piece by piece, so that a matrix of any size needs no
// more memory than a chunk of its rows.

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "core/threads.h"
#include "kernels/packing/group_grid.h"
#include "kernels/packing/weight_view.h"

namespace ecld {

constexpr int64_t kZeroPointRows = 32;  // zero points of this many rows fill whole words at any width

// Rows of a large matrix that are rounded at a time, a multiple of kZeroPointRows.
int64_t ChunkRows(int64_t in_features);

// Calls body(group, first, members) for every group of a row, `first` the place of its first member.
template <class Member, class Body>
void ForGroups(std::span<Member> row, const PackedFormat& format, Body body) {
  const auto size = static_cast<size_t>(format.GroupSize(std::ssize(row)));
  for (size_t group = 0, first = 0; first < row.size(); ++group, first += size)
    body(group, first, row.subspan(first, std::min(size, row.size() - first)));
}

struct RoundedMatrix {
  RoundedMatrix(const PackedFormat& its_format, DType its_scale_dtype, int64_t its_rows, int64_t its_in_features);

  // (code - zero point) * scale, as ReadRow gives it: float [rows, in_features].
  at::Tensor Values(ThreadPool& pool) const;

  PackedFormat format;
  DType scale_dtype;  // holds the scales of the grids exactly
  int64_t rows, in_features;
  std::vector<uint8_t> codes;    // [rows, in_features]
  std::vector<GroupGrid> grids;  // [rows, groups]
  double loss = 0;               // what rounding cost, as whoever rounded counts it
};

// Codes and grids of a packed matrix as they are stored. REQUIRES: weight.packed(), and not interleaved.
RoundedMatrix ReadRounded(const WeightView& weight, ThreadPool& pool);

struct PackedRows {
  std::vector<uint32_t> codes;        // [rows, CodeWords(in_features)]
  std::vector<std::byte> scales;      // [rows, groups] of scale_dtype
  std::vector<uint32_t> zero_points;  // [ZeroWords(rows), groups]; empty when symmetric
};
PackedRows Pack(const RoundedMatrix& rounded, ThreadPool& pool);

// Packs and writes rows [first, ...) of target, and with the last of them what stands beside a matrix once. REQUIRES:
// first is a multiple of kZeroPointRows; target has the format, and out's type is that of the scales.
void WriteRows(CheckpointWriter& out, const TensorSpec& target, int64_t first, const RoundedMatrix& rounded,
               ThreadPool& pool);

}  // namespace ecld
