// The tiled product with AVX2, FMA and F16C. Function attributes let any x86-64 compiler build it; whether the CPU has
// them is asked at run time. Loops over registers are unrolled by pragma: -O2 of GCC would keep the sums in memory.

#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/gemm/tiled.h"

#define ECLD_TARGET __attribute__((target("avx2,fma,f16c")))

namespace ecld {
namespace {

constexpr int64_t kLanes = 8;

// Sums of the lanes of four vectors, in order.
ECLD_TARGET inline __m128 SumLanes(const __m256* v) {
  const __m256 ab = _mm256_hadd_ps(v[0], v[1]), cd = _mm256_hadd_ps(v[2], v[3]);
  const __m256 abcd = _mm256_hadd_ps(ab, cd);
  return _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps(abcd, 1));
}

template <DType kDtype>
ECLD_TARGET inline __m256 Load(const std::byte* from) {
  if constexpr (kDtype == DType::kF32) return _mm256_loadu_ps(reinterpret_cast<const float*>(from));
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  if constexpr (kDtype == DType::kF16) return _mm256_cvtph_ps(bits);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

template <DType kDtype, int kRows>
ECLD_TARGET void Tile(const TileArgs& args) {
  __m256 sums[kRows][kTileColumns];
#pragma GCC unroll 16
  for (auto& row : sums)
#pragma GCC unroll 16
    for (auto& sum : row) sum = _mm256_setzero_ps();
  constexpr int64_t bytes = kDtype == DType::kF32 ? 4 : 2;
  int64_t k = 0;
  for (; k + kLanes <= args.k; k += kLanes) {
    __m256 x[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) x[r] = _mm256_loadu_ps(args.x + r * args.x_stride + k);
#pragma GCC unroll 16
    for (int c = 0; c < kTileColumns; ++c) {
      const __m256 w = Load<kDtype>(args.columns[c] + k * bytes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sums[r][c] = _mm256_fmadd_ps(x[r], w, sums[r][c]);
    }
  }
  if (k < args.k) {
    alignas(32) int32_t lanes[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) lanes[i] = i < args.k - k ? -1 : 0;
    const __m256i mask = _mm256_load_si256(reinterpret_cast<const __m256i*>(lanes));
#pragma GCC unroll 16
    for (int c = 0; c < kTileColumns; ++c) {
      float tail[kLanes] = {};
      ToFloat(kDtype, args.columns[c] + k * bytes, static_cast<size_t>(args.k - k), tail);
      const __m256 w = _mm256_loadu_ps(tail);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r)
        sums[r][c] = _mm256_fmadd_ps(_mm256_maskload_ps(args.x + r * args.x_stride + k, mask), w, sums[r][c]);
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
    default:
      return Tile<kDtype, 3>(args);
  }
}

ECLD_TARGET void WidenBf16(const std::byte* from, int64_t count, float* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * 2));
    _mm256_storeu_ps(to + i, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16)));
  }
  ToFloat(DType::kBF16, from + i * 2, static_cast<size_t>(count - i), to + i);
}

ECLD_TARGET void WidenF16(const std::byte* from, int64_t count, float* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * 2))));
  ToFloat(DType::kF16, from + i * 2, static_cast<size_t>(count - i), to + i);
}

// Each lane shifts the word of eight codes to its own.
template <int kBits>
ECLD_TARGET __m256i EightCodes(const std::byte* codes) {
  if constexpr (kBits == 8) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes)));
  } else {
    const __m256i word = _mm256_set1_epi32(static_cast<int>(EightCodesWord<kBits>(codes)));
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i shifted = _mm256_srlv_epi32(word, _mm256_mullo_epi32(lanes, _mm256_set1_epi32(kBits)));
    return _mm256_and_si256(shifted, _mm256_set1_epi32((1 << kBits) - 1));
  }
}

struct Codes {
  template <int kBits>
  ECLD_TARGET static void Dequantize(const std::byte* codes, int64_t count, int zero, float scale, float* to) {
    const __m256i zeros = _mm256_set1_epi32(zero);
    const __m256 scales = _mm256_set1_ps(scale);
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      const __m256i centred = _mm256_sub_epi32(EightCodes<kBits>(codes + i / 8 * kBits), zeros);
      _mm256_storeu_ps(to + i, _mm256_mul_ps(_mm256_cvtepi32_ps(centred), scales));
    }
    DequantizeCodes(kBits, codes + i / 8 * kBits, count - i, zero, scale, to + i);
  }
};

constexpr TileKernels kKernels = {.tile_rows = 3,
                                  .tile = TileOf<DType::kF32>,
                                  .widen_bf16 = WidenBf16,
                                  .widen_f16 = WidenF16,
                                  .dequantize = DequantizeWith<Codes>,
                                  .direct_rows = 6,
                                  .tile_bf16 = TileOf<DType::kBF16>,
                                  .tile_f16 = TileOf<DType::kF16>};

}  // namespace

bool GemmAvx2Supports(const GemmArgs& args) {
  // Every CPU with these two has F16C; clang 14 cannot ask for it.
  return !args.weight.interleaved && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

void GemmAvx2(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch&) {
  GemmTiled(kKernels, products, pool);
}

}  // namespace ecld

#endif
