#include "quantize/packed_rows.h"

#include <cassert>
#include <span>

#include "kernels/packing/packing.h"

namespace ecld {

std::vector<uint32_t> PackZeroPoints(const PackedFormat& format, const std::vector<uint8_t>& zero_points, int64_t rows,
                                     int64_t groups) {
  std::vector<uint32_t> words(static_cast<size_t>(format.ZeroWords(rows) * groups), 0);
  std::vector<uint8_t> column(static_cast<size_t>(rows));
  for (int64_t group = 0; group < groups; ++group) {
    for (int64_t row = 0; row < rows; ++row)
      column[static_cast<size_t>(row)] = zero_points[static_cast<size_t>(row * groups + group)];
    PackBits(format.bits, column.data(), rows, words.data() + group, groups);
  }
  return words;
}

PackedRows PackRows(const PackedFormat& format, int64_t rows, int64_t in_features, const std::vector<uint8_t>& codes,
                    const std::vector<GroupGrid>& grids, DType scale_dtype) {
  const int64_t words = format.CodeWords(in_features);
  PackedRows packed;
  packed.codes.resize(static_cast<size_t>(rows * words));
  for (int64_t row = 0; row < rows; ++row)
    PackBits(format.bits, codes.data() + row * in_features, in_features, packed.codes.data() + row * words);
  packed.scales.resize(grids.size() * SizeOf(scale_dtype));
  std::vector<uint8_t> zero_points(grids.size());
  for (size_t i = 0; i < grids.size(); ++i) {
    FromFloat(scale_dtype, &grids[i].scale, 1, &packed.scales[i * SizeOf(scale_dtype)]);
    zero_points[i] = static_cast<uint8_t>(grids[i].zero_point);
  }
  if (!format.symmetric) packed.zero_points = PackZeroPoints(format, zero_points, rows, format.Groups(in_features));
  return packed;
}

void WriteRows(CheckpointWriter& out, const TensorSpec& target, int64_t first, const PackedRows& rows) {
  assert(first % kZeroPointRows == 0);
  const PackedFormat& format = *target.format;
  const int64_t groups = format.Groups(target.shape[1]), words = format.CodeWords(target.shape[1]);
  const size_t scale_size = SizeOf(out.config().dtype);
  out.WritePiece(target.module + ".weight_packed", static_cast<uint64_t>(first * words) * sizeof(uint32_t),
                 std::as_bytes(std::span(rows.codes)));
  out.WritePiece(target.module + ".weight_scale", static_cast<uint64_t>(first * groups) * scale_size, rows.scales);
  if (!format.symmetric)
    out.WritePiece(target.module + ".weight_zero_point",
                   static_cast<uint64_t>(first * format.bits / 32 * groups) * sizeof(uint32_t),
                   std::as_bytes(std::span(rows.zero_points)));
}

void WriteShape(CheckpointWriter& out, const TensorSpec& target) {
  const int64_t shape[2] = {target.shape[0], target.shape[1]};
  out.Write(target.module + ".weight_shape", std::as_bytes(std::span(shape)));
}

}  // namespace ecld
