#include "checkpoint/export/packed_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <vector>

#include "kernels/packing/packing.h"

namespace ecld {

PackedGroup ReadGroup(const WeightView& weight, int64_t row, int64_t index) {
  assert(weight.packed() && !weight.interleaved);
  const PackedFormat& format = weight.format;
  const int64_t groups = format.Groups(weight.in_features), size = format.GroupSize(weight.in_features);
  PackedGroup group;
  const auto width = static_cast<int64_t>(SizeOf(weight.scale_dtype));
  ToFloat(weight.scale_dtype, weight.scales + (row * groups + index) * width, 1, &group.scale);
  auto zero_point = static_cast<uint8_t>(format.MidCode());
  if (!format.symmetric) UnpackBits(format.bits, weight.zero_points + index * 4, row, 1, &zero_point, groups);
  group.zero_point = zero_point;
  group.begin = index * size;
  group.end = std::min(weight.in_features, group.begin + size);
  return group;
}

void ReadCodes(const WeightView& weight, int64_t row, int64_t begin, int64_t end, uint8_t* codes) {
  const std::byte* words = weight.codes + row * weight.format.CodeWords(weight.in_features) * 4;
  UnpackBits(weight.format.bits, words, begin, end - begin, codes);
}

CodeRange RangeOf(const WeightView& weight, int64_t row, const PackedGroup& group) {
  std::vector<uint8_t> codes(static_cast<size_t>(group.end - group.begin));
  ReadCodes(weight, row, group.begin, group.end, codes.data());
  const auto [least, most] = std::minmax_element(codes.begin(), codes.end());
  return {*least - group.zero_point, *most - group.zero_point};
}

std::string ScaleProblem(const WeightView& weight, int64_t row, const PackedGroup& group) {
  if (group.ScaleIsHalf()) return "";
  const CodeRange range = RangeOf(weight, row, group);
  if (range.low == 0 && range.high == 0) return "";
  return fmt::format(
      "the scale {} of {} is not an F16 number, as scales are there; those of BF16 from 7.7e-06 to 65280 are",
      group.scale, PlaceOf(row, group));
}

std::string PlaceOf(int64_t row, const PackedGroup& group) {
  return fmt::format("row {}, inputs {} to {}", row, group.begin, group.end - 1);
}

}  // namespace ecld
