#include "kernels/packing/interleaved.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "kernels/packing/packing.h"

namespace ecld {
namespace {

constexpr int kFours = kBlockInputs / 4;
constexpr int64_t kTilesPerChunk = 4;  // a thread's least

struct Parts {
  int64_t codes, scales, zero_points;  // bytes, each a multiple of 64
};

int64_t RoundUp(int64_t bytes) { return (bytes + 63) / 64 * 64; }

Parts PartsOf(const WeightView& weight) {
  const int64_t groups = Tiles(weight) * weight.format.Groups(weight.in_features) * kTileOutputs;
  return {.codes = Tiles(weight) * Blocks(weight) * BlockBytes(weight.format.bits),
          .scales = RoundUp(groups * static_cast<int64_t>(SizeOf(weight.scale_dtype))),
          .zero_points = weight.format.symmetric ? 0 : RoundUp(groups)};
}

uint32_t Load(const std::byte* from) {
  uint32_t word;
  std::memcpy(&word, from, 4);
  return word;
}

void Store(std::byte* to, uint32_t word) { std::memcpy(to, &word, 4); }

// The lowest four codes of a bit stream, each moved to a byte of its own.
template <int kBits>
uint32_t Spread(uint32_t stream) {
  if constexpr (kBits == 8) {
    return stream;
  } else {
    constexpr uint32_t kPair = (1u << (2 * kBits)) - 1, kOne = (1u << kBits) - 1;
    stream &= (1u << (4 * kBits)) - 1;
    stream = (stream & kPair) | (stream << (16 - 2 * kBits) & kPair << 16);
    return (stream & kOne * 0x00010001u) | (stream << (8 - kBits) & kOne * 0x01000100u);
  }
}

using Fours = std::array<uint32_t, kFours>;  // 32 codes, a byte each

// words: the kBits words of 32 codes of a row.
template <int kBits>
Fours SpreadBlock(const std::array<uint32_t, kBits>& words) {
  Fours fours;
  for (int q = 0; q < kFours; ++q) {
    const int bit = 4 * kBits * q, word = bit / 32, shift = bit % 32;
    uint64_t pair = words[word];
    if (shift + 4 * kBits > 32) pair |= uint64_t{words[word + 1]} << 32;
    fours[q] = Spread<kBits>(static_cast<uint32_t>(pair >> shift));
  }
  return fours;
}

// Puts one output's 32 codes into its lane of the block's vectors, 64 bytes apart.
template <int kBits>
void WriteLane(const Fours& fours, std::byte* lane) {
  if constexpr (kBits == 8) {
    for (int q = 0; q < kFours; ++q) Store(lane + 64 * q, fours[q]);
  } else if constexpr (kBits >= 4) {
    constexpr uint32_t kNibbles = 0x0f0f0f0f;
    uint32_t high[2] = {};
    for (int v = 0; v < 4; ++v) Store(lane + 64 * v, (fours[v] & kNibbles) | (fours[4 + v] & kNibbles) << 4);
    for (int q = 0; q < kFours; ++q) {
      if constexpr (kBits == 5) high[0] |= (fours[q] >> 4 & 0x01010101u) << q;
      if constexpr (kBits == 6) high[q % 2] |= (fours[q] >> 4 & 0x03030303u) << (q / 2 * 2);
    }
    for (int v = 4; v < kBits; ++v) Store(lane + 64 * v, high[v - 4]);
  } else {
    uint32_t high = 0;
    for (int v = 0; v < 2; ++v) {
      uint32_t low = 0;
      for (int p = 0; p < 4; ++p) {
        low |= (fours[2 * p + v] & 0x03030303u) << (2 * p);
        high |= (fours[2 * p + v] >> 2 & 0x01010101u) << (2 * p + v);
      }
      Store(lane + 64 * v, low);
    }
    if constexpr (kBits == 3) Store(lane + 128, high);
  }
}

// The codes of one tile; lanes of outputs that do not exist are left as they are.
template <int kBits>
void InterleaveCodes(const WeightView& rows, int64_t tile, std::byte* to) {
  const int64_t row_bytes = rows.format.CodeWords(rows.in_features) * 4;
  const int64_t outputs = std::min(kTileOutputs, rows.out_features - tile * kTileOutputs);
  const int64_t whole = rows.in_features / kBlockInputs, rest = rows.in_features % kBlockInputs;
  for (int64_t block = 0; block < Blocks(rows); ++block) {
    for (int64_t r = 0; r < outputs; ++r) {
      const std::byte* from = rows.codes + (tile * kTileOutputs + r) * row_bytes + block * kBits * 4;
      std::array<uint32_t, kBits> words{};
      std::memcpy(words.data(), from, static_cast<size_t>(block < whole ? kBits * 4 : (rest * kBits + 31) / 32 * 4));
      Fours fours = SpreadBlock<kBits>(words);
      if (block == whole) {  // what a file holds after the last code is not a code
        uint8_t codes[kBlockInputs];
        std::memcpy(codes, fours.data(), sizeof(codes));
        std::fill(codes + rest, codes + kBlockInputs, uint8_t{0});
        std::memcpy(fours.data(), codes, sizeof(codes));
      }
      WriteLane<kBits>(fours, to + block * BlockBytes(kBits) + 4 * r);
    }
  }
}

void InterleaveTileCodes(const WeightView& rows, int64_t tile, std::byte* to) {
  switch (rows.format.bits) {
    case 2:
      return InterleaveCodes<2>(rows, tile, to);
    case 3:
      return InterleaveCodes<3>(rows, tile, to);
    case 4:
      return InterleaveCodes<4>(rows, tile, to);
    case 5:
      return InterleaveCodes<5>(rows, tile, to);
    case 6:
      return InterleaveCodes<6>(rows, tile, to);
    default:
      return InterleaveCodes<8>(rows, tile, to);
  }
}

// [16 outputs, groups] -> [groups, 16] of one tile.
void InterleaveScales(const WeightView& rows, int64_t tile, std::byte* to) {
  const auto size = static_cast<int64_t>(SizeOf(rows.scale_dtype));
  const int64_t groups = rows.format.Groups(rows.in_features);
  const int64_t outputs = std::min(kTileOutputs, rows.out_features - tile * kTileOutputs);
  for (int64_t r = 0; r < outputs; ++r)
    for (int64_t group = 0; group < groups; ++group)
      std::memcpy(to + (group * kTileOutputs + r) * size,
                  rows.scales + ((tile * kTileOutputs + r) * groups + group) * size, static_cast<size_t>(size));
}

void InterleaveZeros(const WeightView& rows, int64_t tile, std::byte* to) {
  const int64_t groups = rows.format.Groups(rows.in_features);
  const int64_t outputs = std::min(kTileOutputs, rows.out_features - tile * kTileOutputs);
  for (int64_t group = 0; group < groups; ++group)
    UnpackBits(rows.format.bits, rows.zero_points + group * 4, tile * kTileOutputs, outputs,
               reinterpret_cast<uint8_t*>(to + group * kTileOutputs), groups);
}

}  // namespace

bool CanInterleave(const PackedFormat& format) { return format.group_size % kBlockInputs == 0; }

uint64_t InterleavedBytes(const WeightView& rows) {
  const Parts parts = PartsOf(rows);
  return static_cast<uint64_t>(parts.codes + parts.scales + parts.zero_points);
}

WeightView InterleavedView(const WeightView& rows, const std::byte* bytes) {
  const Parts parts = PartsOf(rows);
  WeightView view = rows;
  view.codes = bytes;
  view.scales = bytes + parts.codes;
  view.zero_points = rows.format.symmetric ? nullptr : view.scales + parts.scales;
  view.interleaved = true;
  return view;
}

void Interleave(const WeightView& rows, std::byte* bytes, ThreadPool& pool) {
  assert(rows.packed() && !rows.interleaved && CanInterleave(rows.format));
  const Parts parts = PartsOf(rows);
  std::byte* const scales = bytes + parts.codes;
  std::byte* const zeros = scales + parts.scales;
  const int64_t tiles = Tiles(rows), groups = rows.format.Groups(rows.in_features) * kTileOutputs;
  const int64_t code_bytes = Blocks(rows) * BlockBytes(rows.format.bits);
  const int64_t scale_bytes = groups * static_cast<int64_t>(SizeOf(rows.scale_dtype));
  std::fill(scales + tiles * scale_bytes, zeros, std::byte{0});
  if (!rows.format.symmetric) std::fill(zeros + tiles * groups, zeros + parts.zero_points, std::byte{0});
  pool.ParallelFor(tiles, kTilesPerChunk, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      if (rows.out_features - tile * kTileOutputs < kTileOutputs) {
        std::fill_n(bytes + tile * code_bytes, code_bytes, std::byte{0});
        std::fill_n(scales + tile * scale_bytes, scale_bytes, std::byte{0});
        if (!rows.format.symmetric) std::fill_n(zeros + tile * groups, groups, std::byte{0});
      }
      InterleaveTileCodes(rows, tile, bytes + tile * code_bytes);
      InterleaveScales(rows, tile, scales + tile * scale_bytes);
      if (!rows.format.symmetric) InterleaveZeros(rows, tile, zeros + tile * groups);
    }
  });
}

uint32_t FourCodes(int bits, const std::byte* block, int64_t lane, int four) {
  block += 4 * lane;
  const auto nibbles = [&] { return Load(block + 64 * (four % 4)) >> (4 * (four / 4)) & 0x0f0f0f0fu; };
  const auto pairs = [&](int vector) {
    return Load(block + 64 * (vector + four % 2)) >> (2 * (four / 2)) & 0x03030303u;
  };
  const auto single = [&](int vector) { return Load(block + 64 * vector) >> four & 0x01010101u; };
  switch (bits) {
    case 2:
      return pairs(0);
    case 3:
      return pairs(0) | single(2) << 2;
    case 4:
      return nibbles();
    case 5:
      return nibbles() | single(4) << 4;
    case 6:
      return nibbles() | pairs(4) << 4;
    default:
      return Load(block + 64 * four);
  }
}

}  // namespace ecld
