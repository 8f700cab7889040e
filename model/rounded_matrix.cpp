#include "model/rounded_matrix.h"

#include <ATen/ATen.h>

#include <cassert>

#include "kernels/packing/packing.h"

namespace ecld {
namespace {

std::vector<uint32_t> PackZeroPoints(const RoundedMatrix& rounded) {
  const int64_t groups = rounded.format.Groups(rounded.in_features);
  std::vector<uint32_t> words(static_cast<size_t>(rounded.format.ZeroWords(rounded.rows) * groups), 0);
  std::vector<uint8_t> column(static_cast<size_t>(rounded.rows));
  for (int64_t group = 0; group < groups; ++group) {
    for (int64_t row = 0; row < rounded.rows; ++row)
      column[static_cast<size_t>(row)] =
          static_cast<uint8_t>(rounded.grids[static_cast<size_t>(row * groups + group)].zero_point);
    PackBits(rounded.format.bits, column.data(), rounded.rows, words.data() + group, groups);
  }
  return words;
}

}  // namespace

int64_t ChunkRows(int64_t in_features) {
  constexpr int64_t kChunkElements = 4 << 20;
  return std::max<int64_t>(1, kChunkElements / in_features / kZeroPointRows) * kZeroPointRows;
}

RoundedMatrix::RoundedMatrix(const PackedFormat& its_format, DType its_scale_dtype, int64_t its_rows,
                             int64_t its_in_features)
    : format(its_format),
      scale_dtype(its_scale_dtype),
      rows(its_rows),
      in_features(its_in_features),
      codes(static_cast<size_t>(rows * in_features)),
      grids(static_cast<size_t>(rows * format.Groups(in_features))) {}

at::Tensor RoundedMatrix::Values(ThreadPool& pool) const {
  at::Tensor values = at::empty({rows, in_features}, at::kFloat);
  float* const all = values.data_ptr<float>();
  pool.ParallelFor(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const std::span row_codes(codes.data() + row * in_features, static_cast<size_t>(in_features));
      ForGroups(row_codes, format, [&](size_t group, size_t first, std::span<const uint8_t> members) {
        const GroupGrid& grid = grids[static_cast<size_t>(row * format.Groups(in_features)) + group];
        float* value = all + row * in_features + first;
        for (const uint8_t code : members) *value++ = static_cast<float>(code - grid.zero_point) * grid.scale;
      });
    }
  });
  return values;
}

RoundedMatrix ReadRounded(const WeightView& weight, ThreadPool& pool) {
  assert(weight.packed() && !weight.interleaved);
  RoundedMatrix rounded(weight.format, weight.scale_dtype, weight.out_features, weight.in_features);
  const PackedFormat& format = weight.format;
  const int64_t words = format.CodeWords(rounded.in_features), groups = format.Groups(rounded.in_features);
  constexpr int64_t kWord = sizeof(uint32_t);
  const auto scale_size = static_cast<int64_t>(SizeOf(weight.scale_dtype));
  pool.ParallelFor(rounded.rows, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scales(static_cast<size_t>(groups));
    for (int64_t row = begin; row < end; ++row) {
      UnpackBits(format.bits, weight.codes + row * words * kWord, 0, rounded.in_features,
                 rounded.codes.data() + row * rounded.in_features);
      ToFloat(weight.scale_dtype, weight.scales + row * groups * scale_size, scales.size(), scales.data());
      GroupGrid* grids = rounded.grids.data() + row * groups;
      for (const float scale : scales) *grids++ = {scale, format.MidCode()};
    }
  });
  if (format.symmetric) return rounded;
  std::vector<uint8_t> column(static_cast<size_t>(rounded.rows));
  for (int64_t group = 0; group < groups; ++group) {
    UnpackBits(format.bits, weight.zero_points + group * kWord, 0, rounded.rows, column.data(), groups);
    for (int64_t row = 0; row < rounded.rows; ++row)
      rounded.grids[static_cast<size_t>(row * groups + group)].zero_point = column[static_cast<size_t>(row)];
  }
  return rounded;
}

PackedRows Pack(const RoundedMatrix& rounded, ThreadPool& pool) {
  const int64_t words = rounded.format.CodeWords(rounded.in_features);
  const size_t scale_size = SizeOf(rounded.scale_dtype);
  PackedRows packed;
  packed.codes.resize(static_cast<size_t>(rounded.rows * words));
  pool.ParallelFor(rounded.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      PackBits(rounded.format.bits, rounded.codes.data() + row * rounded.in_features, rounded.in_features,
               packed.codes.data() + row * words);
  });
  packed.scales.resize(rounded.grids.size() * scale_size);
  for (size_t i = 0; i < rounded.grids.size(); ++i)
    FromFloat(rounded.scale_dtype, &rounded.grids[i].scale, 1, &packed.scales[i * scale_size]);
  if (!rounded.format.symmetric) packed.zero_points = PackZeroPoints(rounded);
  return packed;
}

void WriteRows(CheckpointWriter& out, const TensorSpec& target, int64_t first, const RoundedMatrix& rounded,
               ThreadPool& pool) {
  assert(first % kZeroPointRows == 0);
  const PackedFormat& format = rounded.format;
  const PackedRows packed = Pack(rounded, pool);
  const int64_t groups = format.Groups(rounded.in_features), words = format.CodeWords(rounded.in_features);
  const auto write = [&](const char* part, int64_t offset, auto bytes) {
    out.WritePiece(target.module + part, static_cast<uint64_t>(offset), std::as_bytes(std::span(bytes)));
  };
  constexpr int64_t kWord = sizeof(uint32_t);
  write(".weight_packed", first * words * kWord, std::span(packed.codes));
  write(".weight_scale", first * groups * static_cast<int64_t>(SizeOf(rounded.scale_dtype)), std::span(packed.scales));
  if (!format.symmetric)
    write(".weight_zero_point", first * format.bits / 32 * groups * kWord, std::span(packed.zero_points));
  if (first + rounded.rows < target.shape[0]) return;
  const int64_t shape[2] = {target.shape[0], target.shape[1]};
  write(".weight_shape", 0, std::span(shape));
}

}  // namespace ecld
