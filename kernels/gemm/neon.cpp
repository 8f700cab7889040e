// The tiled product with NEON, which every 64-bit Arm processor has.

#if defined(__aarch64__)

#include <arm_neon.h>

#include "kernels/gemm/tiled.h"

namespace ecld {
namespace {

constexpr int64_t kLanes = 4;
constexpr int64_t kTileRows = 5;  // 20 sums, 5 vectors of x and some of weights: what 32 registers hold

uint16x4_t LoadHalves(const std::byte* from) {
  return vreinterpret_u16_u8(vld1_u8(reinterpret_cast<const uint8_t*>(from)));
}

template <DType kDtype>
constexpr int64_t kBytes = kDtype == DType::kF32 ? 4 : 2;

// Four weights as floats.
template <DType kDtype>
float32x4_t Load(const std::byte* from) {
  if constexpr (kDtype == DType::kBF16) {
    return vreinterpretq_f32_u32(vshll_n_u16(LoadHalves(from), 16));
  } else if constexpr (kDtype == DType::kF16) {
    return vcvt_f32_f16(vreinterpret_f16_u16(LoadHalves(from)));
  } else {
    return vreinterpretq_f32_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(from)));
  }
}

template <DType kDtype>
float32x4_t LoadTail(const std::byte* from, int64_t count) {
  float lanes[kLanes] = {};
  ToFloat(kDtype, from, static_cast<size_t>(count), lanes);
  return vld1q_f32(lanes);
}

template <int kRows>
using Sums = float32x4_t[kRows][kTileColumns];

// Adds four inputs' products. Unrolled by order: a compiler that keeps these loops keeps the sums in memory.
template <int kRows, class LoadX, class LoadWeight>
[[gnu::always_inline]] inline void AddFour(Sums<kRows>& sums, LoadX load_x, LoadWeight load_weight) {
  float32x4_t x[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) x[r] = load_x(r);
#pragma GCC unroll 8
  for (int c = 0; c < kTileColumns; ++c) {
    const float32x4_t weight = load_weight(c);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[r][c] = vfmaq_f32(sums[r][c], x[r], weight);
  }
}

template <DType kDtype, int kRows>
void Tile(const TileArgs& args) {
  Sums<kRows> sums;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < kTileColumns; ++c) sums[r][c] = vdupq_n_f32(0);
  const float* x = args.x;
  const auto columns = args.columns;
  int64_t k = 0;
  for (; k + kLanes <= args.k; k += kLanes)
    AddFour<kRows>(
        sums, [&](int r) { return vld1q_f32(x + r * args.x_stride + k); },
        [&](int c) { return Load<kDtype>(columns[c] + k * kBytes<kDtype>); });
  if (const int64_t rest = args.k - k; rest > 0)
    AddFour<kRows>(
        sums,
        [&](int r) {
          return LoadTail<DType::kF32>(reinterpret_cast<const std::byte*>(x + r * args.x_stride + k), rest);
        },
        [&](int c) { return LoadTail<kDtype>(columns[c] + k * kBytes<kDtype>, rest); });
  static_assert(kTileColumns == kLanes);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    float* y = args.y + r * args.y_stride;
    float32x4_t sum = vpaddq_f32(vpaddq_f32(sums[r][0], sums[r][1]), vpaddq_f32(sums[r][2], sums[r][3]));
    if (args.accumulate) sum = vaddq_f32(sum, vld1q_f32(y));
    vst1q_f32(y, sum);
  }
}

template <DType kDtype>
void TileOf(int64_t rows, const TileArgs& args) {
  switch (rows) {
    case 1:
      return Tile<kDtype, 1>(args);
    case 2:
      return Tile<kDtype, 2>(args);
    case 3:
      return Tile<kDtype, 3>(args);
    case 4:
      return Tile<kDtype, 4>(args);
    default:
      return Tile<kDtype, kTileRows>(args);
  }
}

template <DType kDtype>
void Widen(const std::byte* from, int64_t count, float* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) vst1q_f32(to + i, Load<kDtype>(from + i * kBytes<kDtype>));
  ToFloat(kDtype, from + i * kBytes<kDtype>, static_cast<size_t>(count - i), to + i);
}

// Each lane shifts the word of eight codes to its own.
template <int kBits>
uint32x4x2_t EightCodes(const std::byte* codes) {
  if constexpr (kBits == 8) {
    const uint16x8_t wide = vmovl_u8(vld1_u8(reinterpret_cast<const uint8_t*>(codes)));
    return {vmovl_u16(vget_low_u16(wide)), vmovl_high_u16(wide)};
  } else {
    const uint32x4_t word = vdupq_n_u32(EightCodesWord<kBits>(codes)), mask = vdupq_n_u32((1u << kBits) - 1);
    const int32x4_t first = {0, -kBits, -2 * kBits, -3 * kBits}, last = vsubq_s32(first, vdupq_n_s32(4 * kBits));
    return {vandq_u32(vshlq_u32(word, first), mask), vandq_u32(vshlq_u32(word, last), mask)};
  }
}

struct Codes {
  template <int kBits>
  static void Dequantize(const std::byte* codes, int64_t count, int zero, float scale, float* to) {
    const int32x4_t zeros = vdupq_n_s32(zero);
    int64_t i = 0;
    for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
      const uint32x4x2_t eight = EightCodes<kBits>(codes + i / 8 * kBits);
      for (int half = 0; half < 2; ++half) {
        const int32x4_t centred = vsubq_s32(vreinterpretq_s32_u32(eight.val[half]), zeros);
        vst1q_f32(to + i + half * kLanes, vmulq_n_f32(vcvtq_f32_s32(centred), scale));
      }
    }
    DequantizeCodes(kBits, codes + i / 8 * kBits, count - i, zero, scale, to + i);
  }
};

constexpr TileKernels kKernels = {.tile_rows = kTileRows,
                                  .tile = TileOf<DType::kF32>,
                                  .widen_bf16 = Widen<DType::kBF16>,
                                  .widen_f16 = Widen<DType::kF16>,
                                  .dequantize = DequantizeWith<Codes>,
                                  .direct_rows = kTileRows,
                                  .tile_bf16 = TileOf<DType::kBF16>,
                                  .tile_f16 = TileOf<DType::kF16>};

}  // namespace

void GemmNeon(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch&) {
  GemmTiled(kKernels, products, pool);
}

}  // namespace ecld

#endif
