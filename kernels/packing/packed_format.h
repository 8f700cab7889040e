#pragma once
// The low-bit group format in which a weight matrix [out_features, in_features] is stored: what the bits mean.
// FORMAT.md draws them. The bytes are those of compressed-tensors "pack-quantized" (its release 0.18 and later), so a
// packed matrix is mapped from a checkpoint and used as it is.
//
//   codes        uint32 [out_features, CodeWords(in)]   unsigned code u in [0, 2^bits), little-endian dense bit stream
//                                                       along in_features; each row starts on a new word
//   scales       F32/F16/BF16 [out_features, Groups(in)]
//   zero_points  uint32 [ZeroWords(out), Groups(in)]    only asymmetric; unsigned, packed along out_features
//
//   weight = (u - zero_point) * scale;  symmetric: zero_point = 2^(bits-1)
//
// The last group of a row may be shorter than group_size ("ragged"): 576 inputs in groups of 128 are 5 groups.

#include <cstdint>
#include <string>

namespace ecld {

struct PackedFormat {
  int bits = 4;              // 2 to 6, or 8
  int64_t group_size = 128;  // inputs that share a scale; 0 = the whole row
  bool symmetric = true;

  bool operator==(const PackedFormat&) const = default;

  int MaxCode() const { return (1 << bits) - 1; }
  int MidCode() const { return 1 << (bits - 1); }
  int64_t GroupSize(int64_t in_features) const { return group_size > 0 ? group_size : in_features; }
  int64_t Groups(int64_t in_features) const {
    return (in_features + GroupSize(in_features) - 1) / GroupSize(in_features);
  }
  int64_t CodeWords(int64_t in_features) const { return (in_features * bits + 31) / 32; }
  int64_t ZeroWords(int64_t out_features) const { return (out_features * bits + 31) / 32; }
  bool Ragged(int64_t in_features) const { return in_features % GroupSize(in_features) != 0; }

  // "W4 g128 sym", for people and reports.
  std::string Name() const;
};

// Whether ECLD has a layout for it.
bool IsFormat(const PackedFormat& format);

// THROWS Error naming the field when bits, group_size are not ones ECLD has a layout for. Groups: 0 or a multiple of
// 8 from 8 to 2^30.
void CheckFormat(const PackedFormat& format, const std::string& where);

}  // namespace ecld
