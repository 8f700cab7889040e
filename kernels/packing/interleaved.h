#pragma once
// The order in which a processor reads a packed matrix: sixteen outputs lie side by side, so that one 64-byte load
// holds four inputs' codes of each, ready for an 8-bit dot product (VNNI, NEON). Made once from the row order of
// packed_format.h when a model is opened to run fast; the values are the same. INTERLEAVED.md draws it.
//
//   std::vector<std::byte> bytes(InterleavedBytes(rows));
//   Interleave(rows, bytes.data(), pool);
//   WeightView fast = InterleavedView(rows, bytes.data());
//
// A tile is 16 outputs; the inputs are padded to a multiple of 32 and the outputs to one of 16, with codes and scales
// of zero. A block is 32 inputs of one tile, bits * 64 bytes; "lane r" is byte 4r..4r+3 of a 64-byte vector:
//
//   8 bits  8 vectors; vector v, lane r, byte j = code of input 4v + j of output r
//   4 bits  4 vectors; low nibble = input 4v + j, high nibble = input 16 + 4v + j
//   2 bits  2 vectors; bits 2p..2p+1 = input 8p + 4v + j, p = 0..3
//   3 bits  the low two bits as "2 bits" (2 vectors), then 1 vector of high bits: bit p = input 4p + j, p = 0..7
//   5 bits  the low four bits as "4 bits" (4 vectors), then 1 vector of high bits as those of 3
//   6 bits  the low four bits as "4 bits" (4 vectors), then the high two as "2 bits" (2 vectors)
//
//   codes        [tiles, padded_in / 32] blocks                      64-byte aligned
//   scales       scale_dtype [tiles, groups, 16]                     64-byte aligned
//   zero_points  uint8 [tiles, groups, 16], only asymmetric          64-byte aligned

#include <cstddef>
#include <cstdint>

#include "core/threads.h"
#include "kernels/packing/weight_view.h"

namespace ecld {

inline constexpr int64_t kTileOutputs = 16;
inline constexpr int64_t kBlockInputs = 32;

// Whether the layout can hold it: groups of a multiple of 32 inputs, or the whole row.
bool CanInterleave(const PackedFormat& format);

// Bytes of all three arrays together. REQUIRES: rows is packed and CanInterleave.
uint64_t InterleavedBytes(const WeightView& rows);

// The view of the interleaved form of rows whose bytes lie at `bytes` (64-byte aligned).
WeightView InterleavedView(const WeightView& rows, const std::byte* bytes);

// Fills bytes[InterleavedBytes(rows)]. Every byte is written, so equal weights give equal bytes.
void Interleave(const WeightView& rows, std::byte* bytes, ThreadPool& pool);

// Where things are. tile < Tiles, block < Blocks, group < Groups of the format.
inline int64_t Tiles(const WeightView& weight) { return (weight.out_features + kTileOutputs - 1) / kTileOutputs; }
inline int64_t Blocks(const WeightView& weight) { return (weight.in_features + kBlockInputs - 1) / kBlockInputs; }
inline int64_t BlockBytes(int bits) { return bits * int64_t{64}; }
inline const std::byte* BlockAt(const WeightView& weight, int64_t tile, int64_t block) {
  return weight.codes + (tile * Blocks(weight) + block) * BlockBytes(weight.format.bits);
}
inline const std::byte* TileScales(const WeightView& weight, int64_t tile, int64_t group) {
  const int64_t row = tile * weight.format.Groups(weight.in_features) + group;
  return weight.scales + row * kTileOutputs * static_cast<int64_t>(SizeOf(weight.scale_dtype));
}
inline const std::byte* TileZeros(const WeightView& weight, int64_t tile, int64_t group) {
  return weight.zero_points + (tile * weight.format.Groups(weight.in_features) + group) * kTileOutputs;
}

// Inputs 4 * four .. 4 * four + 3 of output `lane` of a block, a byte each, the first lowest. 0 <= four < 8.
uint32_t FourCodes(int bits, const std::byte* block, int64_t lane, int four);

}  // namespace ecld
