#pragma once
// Rows of a quantized matrix on their way to disk: packed as kernels/packing/packed_format.h draws them, and written
// piece by piece, so that a matrix of any size needs no more memory than a chunk of its rows.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "quantize/grid.h"

namespace ecld {

constexpr int64_t kZeroPointRows = 32;  // zero points of this many rows fill whole words at any width

struct PackedRows {
  std::vector<uint32_t> codes;        // [rows, CodeWords(in_features)]
  std::vector<std::byte> scales;      // [rows, Groups(in_features)] of scale_dtype
  std::vector<uint32_t> zero_points;  // [ZeroWords(rows), Groups(in_features)]; empty when symmetric
};

// Packs codes [rows, in_features] and their grids [rows, groups] (whose scales scale_dtype holds exactly).
PackedRows PackRows(const PackedFormat& format, int64_t rows, int64_t in_features, const std::vector<uint8_t>& codes,
                    const std::vector<GroupGrid>& grids, DType scale_dtype);

// zero_points [rows, groups], one code each -> the words of PackedRows.
std::vector<uint32_t> PackZeroPoints(const PackedFormat& format, const std::vector<uint8_t>& zero_points, int64_t rows,
                                     int64_t groups);

// Writes rows [first, ...) of target. REQUIRES: first is a multiple of kZeroPointRows, target has a format.
void WriteRows(CheckpointWriter& out, const TensorSpec& target, int64_t first, const PackedRows& rows);

// What stands beside them once per matrix.
void WriteShape(CheckpointWriter& out, const TensorSpec& target);

}  // namespace ecld
