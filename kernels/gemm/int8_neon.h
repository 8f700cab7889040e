#pragma once
// The product with 8-bit activations for NEON; see int8_tiled.h. The body of two sources that differ in the dot
// product: each defines ECLD_TARGET, ECLD_INLINE and, in an unnamed namespace,
//
//   kRows: the most rows of x in a tile; each takes 4 registers for sums and 2 for activations, out of 32
//   AddDots<kLane>(int32x4_t sums, int8x16_t codes, int8x16_t inputs): sums[i] + the sum over j < 4 of
//     codes[4 * i + j] * inputs[4 * kLane + j]
//
// A vector of 64 bytes of a block is four registers of four outputs each. Codes are signed bytes; 8-bit ones become so
// by taking 128 from them and from their zero point.

#include <arm_neon.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kernels/gemm/int8_tiled.h"

namespace ecld {
namespace {

constexpr int kQuarters = 4;
template <int kCount>
using Int8Sums = int32x4_t[kCount][kQuarters];
template <int kCount>
using Int8Inputs = int8x16_t[kCount][2];  // a block's 32

ECLD_TARGET void Quantize(const float* x, int64_t blocks, int8_t* codes, float* scale, int32_t* minus_sum) {
  const int64_t count = blocks * kBlockInputs;
  uint32x4_t largest = vdupq_n_u32(0);
  for (int64_t i = 0; i < count; i += 4)
    largest = vmaxq_u32(largest, vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + i))));
  const ActivationScale rounding = ScaleOfActivations(vmaxvq_u32(largest));
  *scale = rounding.scale;
  *minus_sum = 0;
  if (rounding.inverse == 0) {
    std::memset(codes, 0, static_cast<size_t>(count));
    return;
  }
  int32x4_t sum = vdupq_n_s32(0);
  for (int64_t i = 0; i < count; i += 8) {
    const int32x4_t low = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i), rounding.inverse));
    const int32x4_t high = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i + 4), rounding.inverse));
    sum = vaddq_s32(sum, vaddq_s32(low, high));
    vst1_s8(codes + i, vqmovn_s16(vcombine_s16(vqmovn_s32(low), vqmovn_s32(high))));
  }
  *minus_sum = -vaddvq_s32(sum);
}

ECLD_INLINE float32x4_t LoadScales(DType dtype, const std::byte* scales, int quarter) {
  if (dtype == DType::kF32) return vld1q_f32(reinterpret_cast<const float*>(scales) + 4 * quarter);
  const uint16x4_t narrow = vld1_u16(reinterpret_cast<const uint16_t*>(scales) + 4 * quarter);
  if (dtype == DType::kF16) return vcvt_f32_f16(vreinterpret_f16_u16(narrow));
  return vreinterpretq_f32_u32(vshll_n_u16(narrow, 16));
}

ECLD_INLINE uint8x16_t LoadBytes(const std::byte* from) { return vld1q_u8(reinterpret_cast<const uint8_t*>(from)); }

template <int kShift>
ECLD_INLINE uint8x16_t ShiftRight(uint8x16_t bytes) {
  if constexpr (kShift == 0)
    return bytes;
  else
    return vshrq_n_u8(bytes, kShift);
}

// The codes of "four" number kFour out of the bytes of its vector and those of the vector of high bits, if there is
// one.
template <int kBits, int kFour>
ECLD_INLINE int8x16_t Codes(uint8x16_t bytes, uint8x16_t high) {
  constexpr int kPlace = kFour / kVectors<kBits>;
  if constexpr (kBits == 8) return vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(128)));
  constexpr int kLowBits = kBits >= 4 ? 4 : 2, kHighBits = kBits - kLowBits;
  uint8x16_t codes = ShiftRight<kLowBits * kPlace>(bytes);
  if constexpr (kHighBits > 0) codes = vsliq_n_u8(codes, ShiftRight<kFour / kHighBits * kHighBits>(high), kLowBits);
  constexpr bool kTopmost = kHighBits == 0 && (kPlace + 1) * kBits == 8;
  return vreinterpretq_s8_u8(kTopmost ? codes : vandq_u8(codes, vdupq_n_u8((1 << kBits) - 1)));
}

template <int kBits, int kFour, int kCount>
ECLD_INLINE void AddFour(uint8x16_t bytes, uint8x16_t high, int quarter, const Int8Inputs<kCount>& inputs,
                         Int8Sums<kCount>& sums) {
  const int8x16_t codes = Codes<kBits, kFour>(bytes, high);
#pragma GCC unroll 4
  for (int r = 0; r < kCount; ++r) sums[r][quarter] = AddDots<kFour % 4>(sums[r][quarter], codes, inputs[r][kFour / 4]);
}

// All that vector kVector of the block holds.
template <int kBits, int kVector, int kCount, int... kPlace>
ECLD_INLINE void AddVector(const std::byte* block, const Int8Inputs<kCount>& inputs, Int8Sums<kCount>& sums,
                           std::integer_sequence<int, kPlace...>) {
#pragma GCC unroll 4
  for (int quarter = 0; quarter < kQuarters; ++quarter) {
    // Loads stay behind this: all of them at once would not leave registers for the sums.
    asm volatile("" ::: "memory");
    const uint8x16_t bytes = LoadBytes(block + 64 * kVector + 16 * quarter);
    constexpr int kHighVector = kVectors<kBits> + (kBits == 6 ? kVector % 2 : 0);
    const uint8x16_t high =
        kBits == 3 || kBits == 5 || kBits == 6 ? LoadBytes(block + 64 * kHighVector + 16 * quarter) : bytes;
    (AddFour<kBits, kPlace * kVectors<kBits> + kVector>(bytes, high, quarter, inputs, sums), ...);
  }
}

template <int kBits, int kCount, int... kVector>
ECLD_INLINE void AddBlock(const std::byte* block, const int8_t* x, int64_t stride, Int8Sums<kCount>& sums,
                          std::integer_sequence<int, kVector...>) {
  Int8Inputs<kCount> inputs;
#pragma GCC unroll 4
  for (int r = 0; r < kCount; ++r) {
    inputs[r][0] = vld1q_s8(x + r * stride);
    inputs[r][1] = vld1q_s8(x + r * stride + 16);
  }
  (AddVector<kBits, kVector>(block, inputs, sums, std::make_integer_sequence<int, 8 / kVectors<kBits>>()), ...);
}

// -zero * sum of the activations' codes, where an integer sum starts.
template <int kBits>
ECLD_INLINE int32x4_t Start(const std::byte* zeros, int quarter, int32_t minus_sum) {
  constexpr int kOffset = kBits == 8 ? 128 : 0;
  if (!zeros) return vdupq_n_s32(((1 << (kBits - 1)) - kOffset) * minus_sum);
  uint32_t four;
  std::memcpy(&four, zeros + 4 * quarter, sizeof(four));
  const uint16x8_t wide = vmovl_u8(vcreate_u8(four));
  const int32x4_t zero = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
  return vmulq_n_s32(vsubq_s32(zero, vdupq_n_s32(kOffset)), minus_sum);
}

template <int kBits, int kCount>
ECLD_TARGET void Multiply(const Int8Tile& tile) {
  const WeightView& weight = tile.weight;
  const Int8Activations& x = tile.x;
  const int64_t all_blocks = Blocks(weight), group_blocks = GroupBlocks(weight);
  const std::byte* codes = BlockAt(weight, tile.tile, 0);
  const std::byte* scales = TileScales(weight, tile.tile, 0);
  const std::byte* zeros = weight.format.symmetric ? nullptr : TileZeros(weight, tile.tile, 0);
  const int8_t* inputs = x.codes;
  std::array<float, kCount * kTileOutputs> totals{};  // touched once a group: registers are for the sums
  for (int64_t block = 0, piece = 0; block < all_blocks;) {
    const int64_t group_end = std::min(all_blocks, block + group_blocks);
    for (; block < group_end; ++piece) {
      Int8Sums<kCount> sums;
#pragma GCC unroll 4
      for (int r = 0; r < kCount; ++r)
#pragma GCC unroll 4
        for (int q = 0; q < kQuarters; ++q)
          sums[r][q] = Start<kBits>(zeros, q, x.minus_sums[piece * x.group_stride + r]);
      for (const int64_t end = std::min(group_end, block + kActivationBlocks); block < end; ++block) {
        AddBlock<kBits, kCount>(codes, inputs, x.stride, sums, std::make_integer_sequence<int, kVectors<kBits>>());
        codes += BlockBytes(kBits);
        inputs += kBlockInputs;
      }
#pragma GCC unroll 4
      for (int q = 0; q < kQuarters; ++q) {
        const float32x4_t scale = LoadScales(weight.scale_dtype, scales, q);
#pragma GCC unroll 4
        for (int r = 0; r < kCount; ++r) {
          float* total = totals.data() + r * kTileOutputs + 4 * q;
          const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(sums[r][q]), scale);
          vst1q_f32(total, vfmaq_n_f32(vld1q_f32(total), scaled, x.scales[piece * x.group_stride + r]));
        }
      }
    }
    scales += static_cast<int64_t>(SizeOf(weight.scale_dtype)) * kTileOutputs;
    if (zeros) zeros += kTileOutputs;
  }
  for (int64_t r = 0; r < kCount; ++r)
    std::copy_n(totals.data() + r * kTileOutputs, TileWidth(tile), tile.y + r * tile.y_stride);
}

template <int kBits, int kCount>
void ByRows(const Int8Tile& tile) {
  if constexpr (kCount > 1)
    if (tile.rows < kCount) return ByRows<kBits, kCount - 1>(tile);
  Multiply<kBits, kCount>(tile);
}

void MultiplyOf(const Int8Tile& tile) {
  switch (tile.weight.format.bits) {
    case 2:
      return ByRows<2, kRows>(tile);
    case 3:
      return ByRows<3, kRows>(tile);
    case 4:
      return ByRows<4, kRows>(tile);
    case 5:
      return ByRows<5, kRows>(tile);
    case 6:
      return ByRows<6, kRows>(tile);
    default:
      return ByRows<8, kRows>(tile);
  }
}

constexpr Int8Kernels kKernels = {.rows = kRows, .quantize = Quantize, .multiply = MultiplyOf};

}  // namespace
}  // namespace ecld
