// The tiled product with AVX-512 (F). See avx2.cpp for how it is built.

#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/gemm/tiled.h"

#define ECLD_TARGET __attribute__((target("avx512f")))

// GCC 12 takes the deliberately undefined operands inside its own intrinsics for a mistake.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace ecld {
namespace {

constexpr int64_t kLanes = 16;

// Sums of the lanes of four vectors, in order: pairs are interleaved and added until each quarter holds all four.
ECLD_TARGET inline __m128 SumLanes(const __m512* v) {
  const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
  const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
  const __m512d ab2 = _mm512_castps_pd(ab), cd2 = _mm512_castps_pd(cd);
  const __m512 abcd =
      _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab2, cd2)), _mm512_castpd_ps(_mm512_unpackhi_pd(ab2, cd2)));
  const __m128 low = _mm_add_ps(_mm512_castps512_ps128(abcd), _mm512_extractf32x4_ps(abcd, 1));
  return _mm_add_ps(low, _mm_add_ps(_mm512_extractf32x4_ps(abcd, 2), _mm512_extractf32x4_ps(abcd, 3)));
}

template <int kRows>
ECLD_TARGET void Tile(const TileArgs& args) {
  __m512 sums[kRows][kTileColumns];
  for (auto& row : sums)
    for (auto& sum : row) sum = _mm512_setzero_ps();
  int64_t k = 0;
  for (; k + kLanes <= args.k; k += kLanes) {
    __m512 x[kRows];
    for (int r = 0; r < kRows; ++r) x[r] = _mm512_loadu_ps(args.x + r * args.x_stride + k);
    for (int c = 0; c < kTileColumns; ++c) {
      const __m512 w = _mm512_loadu_ps(args.panel + c * args.panel_stride + k);
      for (int r = 0; r < kRows; ++r) sums[r][c] = _mm512_fmadd_ps(x[r], w, sums[r][c]);
    }
  }
  if (k < args.k) {
    const auto mask = static_cast<__mmask16>((1u << (args.k - k)) - 1);
    for (int c = 0; c < kTileColumns; ++c) {
      const __m512 w = _mm512_maskz_loadu_ps(mask, args.panel + c * args.panel_stride + k);
      for (int r = 0; r < kRows; ++r)
        sums[r][c] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, args.x + r * args.x_stride + k), w, sums[r][c]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    float* y = args.y + r * args.y_stride;
    __m128 sum = SumLanes(sums[r]);
    if (args.accumulate) sum = _mm_add_ps(sum, _mm_loadu_ps(y));
    _mm_storeu_ps(y, sum);
  }
}

void TileOf(int64_t rows, const TileArgs& args) {
  switch (rows) {
    case 1:
      return Tile<1>(args);
    case 2:
      return Tile<2>(args);
    case 3:
      return Tile<3>(args);
    case 4:
      return Tile<4>(args);
    case 5:
      return Tile<5>(args);
    default:
      return Tile<6>(args);
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

// Each lane shifts the word of its eight codes to its own.
template <int kBits>
ECLD_TARGET __m512i SixteenCodes(const std::byte* codes) {
  if constexpr (kBits == 8) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  } else {
    const __m512i low = _mm512_set1_epi32(static_cast<int>(EightCodesWord<kBits>(codes)));
    const __m512i words = _mm512_mask_set1_epi32(low, 0xff00, static_cast<int>(EightCodesWord<kBits>(codes + kBits)));
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
    const __m512i shifted = _mm512_srlv_epi32(words, _mm512_mullo_epi32(lanes, _mm512_set1_epi32(kBits)));
    return _mm512_and_si512(shifted, _mm512_set1_epi32((1 << kBits) - 1));
  }
}

template <int kBits>
ECLD_TARGET void Dequantize(const std::byte* codes, int64_t count, int zero, float scale, float* to) {
  const __m512i zeros = _mm512_set1_epi32(zero);
  const __m512 scales = _mm512_set1_ps(scale);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const __m512i centred = _mm512_sub_epi32(SixteenCodes<kBits>(codes + i / 8 * kBits), zeros);
    _mm512_storeu_ps(to + i, _mm512_mul_ps(_mm512_cvtepi32_ps(centred), scales));
  }
  DequantizeCodes(kBits, codes + i / 8 * kBits, count - i, zero, scale, to + i);
}

void DequantizeOf(int bits, const std::byte* codes, int64_t count, int zero, float scale, float* to) {
  switch (bits) {
    case 2:
      return Dequantize<2>(codes, count, zero, scale, to);
    case 3:
      return Dequantize<3>(codes, count, zero, scale, to);
    case 4:
      return Dequantize<4>(codes, count, zero, scale, to);
    default:
      return Dequantize<8>(codes, count, zero, scale, to);
  }
}

constexpr TileKernels kKernels = {
    .tile_rows = 6, .tile = TileOf, .widen_bf16 = WidenBf16, .widen_f16 = WidenF16, .dequantize = DequantizeOf};

}  // namespace

bool GemmAvx512Supports(const GemmArgs& args) { return !args.weight.interleaved && __builtin_cpu_supports("avx512f"); }

void GemmAvx512(const GemmArgs& args, ThreadPool& pool) { GemmTiled(kKernels, args, pool); }

}  // namespace ecld

#endif
