#include "kernels/packing/weight_view.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/packing/interleaved.h"
#include "kernels/packing/packing.h"

namespace ecld {
namespace {

void ReadPackedRow(const WeightView& weight, int64_t row, float* out) {
  const PackedFormat& format = weight.format;
  const int64_t groups = format.Groups(weight.in_features);
  const int64_t group_size = format.GroupSize(weight.in_features);
  const std::byte* codes = weight.codes + row * format.CodeWords(weight.in_features) * 4;
  const std::byte* scales = weight.scales + row * groups * SizeOf(weight.scale_dtype);
  std::array<uint8_t, 256> chunk;
  for (int64_t group = 0; group < groups; ++group) {
    float scale;
    ToFloat(weight.scale_dtype, scales + group * SizeOf(weight.scale_dtype), 1, &scale);
    auto zero = static_cast<uint8_t>(format.MidCode());
    if (!format.symmetric) UnpackBits(format.bits, weight.zero_points + group * 4, row, 1, &zero, groups);
    const int64_t end = std::min(weight.in_features, (group + 1) * group_size);
    for (int64_t begin = group * group_size; begin < end; begin += 256) {
      const int64_t count = std::min<int64_t>(256, end - begin);
      UnpackBits(format.bits, codes, begin, count, chunk.data());
      for (int64_t i = 0; i < count; ++i) out[begin + i] = static_cast<float>(chunk[i] - zero) * scale;
    }
  }
}

void ReadInterleavedRow(const WeightView& weight, int64_t row, float* out) {
  const PackedFormat& format = weight.format;
  const int64_t tile = row / kTileOutputs, lane = row % kTileOutputs;
  const int64_t group_size = format.GroupSize(weight.in_features);
  for (int64_t begin = 0; begin < weight.in_features; begin += kBlockInputs) {
    const int64_t group = begin / group_size;
    float scale;
    ToFloat(weight.scale_dtype,
            TileScales(weight, tile, group) + lane * static_cast<int64_t>(SizeOf(weight.scale_dtype)), 1, &scale);
    const int zero = format.symmetric ? format.MidCode() : std::to_integer<int>(TileZeros(weight, tile, group)[lane]);
    const std::byte* block = BlockAt(weight, tile, begin / kBlockInputs);
    std::array<uint32_t, kBlockInputs / 4> fours;
    for (int four = 0; four < std::ssize(fours); ++four) fours[four] = FourCodes(format.bits, block, lane, four);
    std::array<uint8_t, kBlockInputs> codes;
    std::memcpy(codes.data(), fours.data(), codes.size());
    const int64_t count = std::min(kBlockInputs, weight.in_features - begin);
    for (int64_t i = 0; i < count; ++i) out[begin + i] = static_cast<float>(codes[i] - zero) * scale;
  }
}

}  // namespace

void ReadRow(const WeightView& weight, int64_t row, float* out) {
  if (weight.interleaved) return ReadInterleavedRow(weight, row, out);
  if (weight.packed()) return ReadPackedRow(weight, row, out);
  const auto count = static_cast<size_t>(weight.in_features);
  ToFloat(weight.dtype, weight.data + static_cast<size_t>(row) * count * SizeOf(weight.dtype), count, out);
}

uint64_t StoredBytes(const WeightView& weight) {
  if (weight.interleaved) return InterleavedBytes(weight);
  const auto rows = static_cast<uint64_t>(weight.out_features);
  if (!weight.packed()) return rows * static_cast<uint64_t>(weight.in_features) * SizeOf(weight.dtype);
  const PackedFormat& format = weight.format;
  const auto groups = static_cast<uint64_t>(format.Groups(weight.in_features));
  uint64_t bytes = rows * static_cast<uint64_t>(format.CodeWords(weight.in_features)) * 4;
  bytes += rows * groups * SizeOf(weight.scale_dtype);
  if (!format.symmetric) bytes += static_cast<uint64_t>(format.ZeroWords(weight.out_features)) * groups * 4;
  return bytes;
}

}  // namespace ecld
