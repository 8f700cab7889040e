#pragma once
// The groups of a packed matrix one by one, for formats that lay them out otherwise.

#include <cstdint>
#include <string>

#include "kernels/packing/weight_view.h"

namespace ecld {

inline bool IsHalf(float value) { return HalfToFloat(FloatToHalf(value)) == value; }

// What is the same for all codes of a group of one row: weight = (u - zero_point) * scale.
struct PackedGroup {
  float scale = 0;
  int zero_point = 0;
  int64_t begin = 0, end = 0;  // inputs

  bool ScaleIsHalf() const { return IsHalf(scale); }
  // As F16. A scale that F16 does not hold can only belong to a group of zeros (ScaleProblem), and any scale does
  // there.
  uint16_t HalfScale() const { return ScaleIsHalf() ? FloatToHalf(scale) : uint16_t{0}; }
};

// REQUIRES: weight is packed, not interleaved.
PackedGroup ReadGroup(const WeightView& weight, int64_t row, int64_t index);

// The codes of inputs [begin, end) of a row.
void ReadCodes(const WeightView& weight, int64_t row, int64_t begin, int64_t end, uint8_t* codes);

// The least and the largest u - zero_point of a group.
struct CodeRange {
  int low = 0, high = 0;
};
CodeRange RangeOf(const WeightView& weight, int64_t row, const PackedGroup& group);

// Why the weights of this group cannot have an F16 scale; empty where they can.
std::string ScaleProblem(const WeightView& weight, int64_t row, const PackedGroup& group);

// "row 3, inputs 32 to 63"
std::string PlaceOf(int64_t row, const PackedGroup& group);

}  // namespace ecld
