// The tiled product with AVX-512 (F). See avx2.cpp for how it is built.

#if defined(__x86_64__)

#include "kernels/gemm/sum_lanes.h"
#include "kernels/gemm/tiled.h"
#include "kernels/simd/avx512_intrinsics.h"

#define ECLD_TARGET __attribute__((target("avx512f")))

namespace ecld {
namespace {

constexpr int64_t kLanes = 16;

template <DType kDtype>
ECLD_TARGET inline __m512 Load(const std::byte* from) {
  if constexpr (kDtype == DType::kF32) return _mm512_loadu_ps(from);
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  if constexpr (kDtype == DType::kF16) return _mm512_cvtph_ps(bits);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

template <DType kDtype, int kRows>
ECLD_TARGET void Tile(const TileArgs& args) {
  __m512 sums[kRows][kTileColumns];
#pragma GCC unroll 16
  for (auto& row : sums)
#pragma GCC unroll 16
    for (auto& sum : row) sum = _mm512_setzero_ps();
  constexpr int64_t bytes = kDtype == DType::kF32 ? 4 : 2;
  int64_t k = 0;
  for (; k + kLanes <= args.k; k += kLanes) {
    __m512 x[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) x[r] = _mm512_loadu_ps(args.x + r * args.x_stride + k);
#pragma GCC unroll 16
    for (int c = 0; c < kTileColumns; ++c) {
      const __m512 w = Load<kDtype>(args.columns[c] + k * bytes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sums[r][c] = _mm512_fmadd_ps(x[r], w, sums[r][c]);
    }
  }
  if (k < args.k) {
    const auto mask = static_cast<__mmask16>((1u << (args.k - k)) - 1);
#pragma GCC unroll 16
    for (int c = 0; c < kTileColumns; ++c) {
      float tail[kLanes] = {};
      ToFloat(kDtype, args.columns[c] + k * bytes, static_cast<size_t>(args.k - k), tail);
      const __m512 w = _mm512_loadu_ps(tail);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r)
        sums[r][c] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, args.x + r * args.x_stride + k), w, sums[r][c]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    float* y = args.y + r * args.y_stride;
    __m128 sum = SumLanes(sums[r]);
    if (args.accumulate) sum = _mm_add_ps(sum, _mm_loadu_ps(y));
    _mm_storeu_ps(y, sum);
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
    case 5:
      return Tile<kDtype, 5>(args);
    default:
      return Tile<kDtype, 6>(args);
  }
}

ECLD_TARGET void WidenBf16(const std::byte* from, int64_t count, float* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i * 2));
    _mm512_storeu_ps(to + i, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16)));
  }
  ToFloat(DType::kBF16, from + i * 2, static_cast<size_t>(count - i), to + i);
}

ECLD_TARGET void WidenF16(const std::byte* from, int64_t count, float* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    _mm512_storeu_ps(to + i, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i * 2))));
  ToFloat(DType::kF16, from + i * 2, static_cast<size_t>(count - i), to + i);
}

// The words of sixteen codes, lane i shifted so that its code is lowest; above the code are bits of others.
template <int kBits>
ECLD_TARGET inline __m512i SixteenCodes(const std::byte* codes) {
  const __m128i words = _mm_set_epi64x(
      0, static_cast<int64_t>(uint64_t{EightCodesWord<kBits>(codes + kBits)} << 32 | EightCodesWord<kBits>(codes)));
  const __m512i halves = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
                                                  _mm512_castsi128_si512(words));
  return _mm512_srlv_epi32(
      halves, _mm512_setr_epi32(0, kBits, 2 * kBits, 3 * kBits, 4 * kBits, 5 * kBits, 6 * kBits, 7 * kBits, 0, kBits,
                                2 * kBits, 3 * kBits, 4 * kBits, 5 * kBits, 6 * kBits, 7 * kBits));
}

struct Codes {
  // Codes below 8 bits are looked up among all values, which repeat: of a lane's index only the lowest four bits count,
  // and those that lie above the code then make no difference.
  template <int kBits>
  ECLD_TARGET static void Dequantize(const std::byte* codes, int64_t count, int zero, float scale, float* to) {
    const __m512i zeros = _mm512_set1_epi32(zero);
    const __m512 scales = _mm512_set1_ps(scale);
    const __m512i every = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i all_codes = _mm512_and_si512(every, _mm512_set1_epi32((1 << kBits) - 1));
    const __m512 values = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(all_codes, zeros)), scales);
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      const std::byte* const from = codes + i / 8 * kBits;
      if constexpr (kBits == 8) {
        const __m512i eight = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
        _mm512_storeu_ps(to + i, _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(eight, zeros)), scales));
      } else {
        _mm512_storeu_ps(to + i, _mm512_permutexvar_ps(SixteenCodes<kBits>(from), values));
      }
    }
    DequantizeCodes(kBits, codes + i / 8 * kBits, count - i, zero, scale, to + i);
  }
};

constexpr TileKernels kKernels = {.tile_rows = 6,
                                  .tile = TileOf<DType::kF32>,
                                  .widen_bf16 = WidenBf16,
                                  .widen_f16 = WidenF16,
                                  .dequantize = DequantizeWith<Codes>,
                                  .direct_rows = 12,
                                  .tile_bf16 = TileOf<DType::kBF16>,
                                  .tile_f16 = TileOf<DType::kF16>};

}  // namespace

bool GemmAvx512Supports(const GemmArgs& args) { return !args.weight.interleaved && __builtin_cpu_supports("avx512f"); }

void GemmAvx512(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch&) {
  GemmTiled(kKernels, products, pool);
}

}  // namespace ecld

#endif
