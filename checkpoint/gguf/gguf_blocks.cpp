#include "checkpoint/gguf/gguf_blocks.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <mutex>
#include <vector>

#include "checkpoint/export/packed_group.h"
#include "core/error.h"

namespace ecld {
namespace {

constexpr int64_t kBlock = 32;

// What Q4_1 adds to n * d.
float Offset(const PackedGroup& group) { return static_cast<float>(-group.zero_point) * group.scale; }

// What of the types can hold the groups seen so far, and the first group that none can.
struct Fit {
  bool q4_0 = true, q4_1 = true, q5_0 = true;  // Q8_0 holds whatever is no problem
  std::string problem;
  int64_t problem_row = 0;

  void Add(const WeightView& weight, int64_t row, const PackedGroup& group) {
    if (!problem.empty()) return;
    const PackedFormat& format = weight.format;
    CodeRange range{-group.zero_point, format.MaxCode() - group.zero_point};
    if (!group.ScaleIsHalf() || range.low < -128 || range.high > 127)  // then it depends on the codes that are there
      range = RangeOf(weight, row, group);
    problem_row = row;
    problem = ScaleProblem(weight, row, group);
    if (problem.empty() && (range.low < -128 || range.high > 127))
      problem = fmt::format(
          "{} reaches {} steps below its zero point and {} above; GGUF's Q8_0 has 128 and 127: symmetric 8 bits fit",
          PlaceOf(row, group), -range.low, range.high);
    q4_0 &= range.low >= -8 && range.high <= 7;
    q5_0 &= range.low >= -16 && range.high <= 15;
    q4_1 &= format.bits <= 4 && group.ScaleIsHalf() && group.scale > 0 && IsHalf(Offset(group));
  }
  void Add(const Fit& other) {
    q4_0 &= other.q4_0;
    q4_1 &= other.q4_1;
    q5_0 &= other.q5_0;
    if (!other.problem.empty() && (problem.empty() || other.problem_row < problem_row)) {
      problem = other.problem;
      problem_row = other.problem_row;
    }
  }
};

void PutHalf(uint16_t half, std::byte* out) { std::memcpy(out, &half, sizeof half); }

// Two elements a byte: j in the low half, j + 16 in the high one.
void PutNibbles(const std::array<int, kBlock>& codes, std::byte* out) {
  for (int j = 0; j < 16; ++j) out[j] = static_cast<std::byte>((codes[j] & 15) | ((codes[j + 16] & 15) << 4));
}

void EncodeBlock(const PackedGroup& group, const uint8_t* codes, GgmlType type, std::byte* out) {
  const int bias = type == GgmlType::kQ4_0   ? 8 - group.zero_point
                   : type == GgmlType::kQ5_0 ? 16 - group.zero_point
                   : type == GgmlType::kQ8_0 ? -group.zero_point
                                             : 0;
  std::array<int, kBlock> n;
  for (size_t i = 0; i < n.size(); ++i) n[i] = codes[i] + bias;
  PutHalf(group.HalfScale(), out);
  switch (type) {
    case GgmlType::kQ4_0:
      return PutNibbles(n, out + 2);
    case GgmlType::kQ4_1:
      PutHalf(FloatToHalf(Offset(group)), out + 2);
      return PutNibbles(n, out + 4);
    case GgmlType::kQ5_0: {
      uint32_t high = 0;
      for (size_t i = 0; i < n.size(); ++i) high |= static_cast<uint32_t>(n[i] >> 4) << i;
      std::memcpy(out + 2, &high, sizeof high);
      return PutNibbles(n, out + 6);
    }
    default:
      for (size_t i = 0; i < n.size(); ++i) out[2 + i] = static_cast<std::byte>(n[i]);
  }
}

}  // namespace

GgmlType FitGgufType(const WeightView& weight, const std::string& where, ThreadPool& pool) {
  assert(weight.packed() && !weight.interleaved);
  const int64_t in = weight.in_features, groups = weight.format.Groups(in);
  if (in % kBlock != 0)
    Fail(where, "is {} and has {} inputs; GGUF stores {} inputs together, so a multiple of {} would fit",
         weight.format.Name(), in, kBlock, kBlock);
  if (groups > 1 && weight.format.group_size % kBlock != 0)
    Fail(where, "is {}; GGUF has a scale for {} inputs, so a group_size that is a multiple of {} would fit",
         weight.format.Name(), kBlock, kBlock);
  Fit fit;
  std::mutex mutex;
  pool.ParallelFor(weight.out_features, 64, [&](int64_t begin, int64_t end) {
    Fit part;
    for (int64_t row = begin; row < end; ++row)
      for (int64_t group = 0; group < groups; ++group) part.Add(weight, row, ReadGroup(weight, row, group));
    std::lock_guard lock(mutex);
    fit.Add(part);
  });
  if (!fit.problem.empty()) Fail(where, "is {}: {}", weight.format.Name(), fit.problem);
  return fit.q4_0 ? GgmlType::kQ4_0 : fit.q4_1 ? GgmlType::kQ4_1 : fit.q5_0 ? GgmlType::kQ5_0 : GgmlType::kQ8_0;
}

void EncodeGgufRow(const WeightView& weight, int64_t row, GgmlType type, std::byte* out) {
  const int64_t in = weight.in_features, size = weight.format.GroupSize(in);
  std::vector<uint8_t> codes(static_cast<size_t>(in));
  ReadCodes(weight, row, 0, in, codes.data());
  const int64_t bytes = InfoOf(type).block_bytes;
  PackedGroup group;
  for (int64_t begin = 0; begin < in; begin += kBlock, out += bytes) {
    if (begin % size == 0) group = ReadGroup(weight, row, begin / size);
    EncodeBlock(group, &codes[static_cast<size_t>(begin)], type, out);
  }
}

}  // namespace ecld
