// Products of dense bfloat16 weights with activations rounded to bfloat16, for a few rows of x (decoding), by the dot
// products of pairs that AVX512_BF16 has (products exact, sums float32, numbers below 2^-126 taken for zero). Weights
// are taken as they lie, each read from memory once; avx512_bf16.cpp has many rows, where it pays to turn them first.

#if defined(__x86_64__)

#include <algorithm>
#include <array>

#include "kernels/gemm/column_blocks.h"
#include "kernels/gemm/implementations.h"
#include "kernels/gemm/sum_lanes.h"
#include "kernels/simd/avx512_intrinsics.h"

#define ECLD_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define ECLD_INLINE ECLD_TARGET inline __attribute__((always_inline))

namespace ecld {
namespace {

constexpr int64_t kMaxRows = 16;  // of x: above, turned weights are faster
constexpr int64_t kRowTile = 6, kColumnTile = 4;
constexpr int64_t kStep = 32;              // inputs of a vector
constexpr int64_t kMinProducts = 1 << 17;  // per thread: below, waking another costs more than it brings

__mmask32 First(int64_t count) {
  return static_cast<__mmask32>((uint64_t{1} << std::clamp<int64_t>(count, 0, kStep)) - 1);
}

int64_t RoundUp(int64_t inputs) { return (inputs + kStep - 1) / kStep * kStep; }

// A row of x, and zeros up to a multiple of kStep.
ECLD_TARGET void RoundRow(const float* x, int64_t k, uint16_t* to) {
  for (int64_t i = 0; i < k; i += kStep) {
    const __mmask32 mask = First(k - i);
    const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), x + i);
    const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), x + i + 16);
    _mm512_store_si512(to + i, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
}

struct DotTile {
  const uint16_t* x;  // [rows, stride]
  int64_t stride, k;
  std::array<const std::byte*, kColumnTile> columns;  // k weights each; one may stand several times
  int64_t ahead;                                      // bytes from these weights to those needed next
  float* y;                                           // [rows, columns], rows y_stride apart
  int64_t y_stride;
  __mmask8 mask;  // of the columns that exist
};

// Inputs [i, i + kStep) of which those in the mask exist.
template <int kRows>
ECLD_INLINE void AddStep(const DotTile& tile, int64_t i, __mmask32 mask, __m512 (*sums)[kColumnTile]) {
  __m512bh x[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) x[r] = (__m512bh)_mm512_load_si512(tile.x + r * tile.stride + i);
#pragma GCC unroll 16
  for (int c = 0; c < kColumnTile; ++c) {
    const std::byte* const from = tile.columns[static_cast<size_t>(c)] + 2 * i;
    const __m512i w = mask == ~__mmask32{0} ? _mm512_loadu_si512(from) : _mm512_maskz_loadu_epi16(mask, from);
    __builtin_prefetch(from + tile.ahead, 0, 2);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sums[r][c] = _mm512_dpbf16_ps(sums[r][c], x[r], (__m512bh)w);
  }
}

template <int kRows>
ECLD_TARGET void MultiplyTile(const DotTile& tile) {
  __m512 sums[kRows][kColumnTile];
#pragma GCC unroll 16
  for (auto& row : sums)
#pragma GCC unroll 16
    for (auto& sum : row) sum = _mm512_setzero_ps();
  int64_t i = 0;
  for (; i + kStep <= tile.k; i += kStep) AddStep<kRows>(tile, i, ~__mmask32{0}, sums);
  if (i < tile.k) AddStep<kRows>(tile, i, First(tile.k - i), sums);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) _mm_mask_storeu_ps(tile.y + r * tile.y_stride, tile.mask, SumLanes(sums[r]));
}

template <int kRows = kRowTile>
void MultiplyRows(int64_t rows, const DotTile& tile) {
  if (rows == kRows) return MultiplyTile<kRows>(tile);
  if constexpr (kRows > 1) return MultiplyRows<kRows - 1>(rows, tile);
}

void MultiplyColumns(const GemmArgs& args, const uint16_t* x, int64_t column, int64_t columns) {
  const int64_t n = args.weight.out_features, k = args.weight.in_features, stride = RoundUp(k);
  DotTile tile{.x = nullptr,
               .stride = stride,
               .k = k,
               .columns = {},
               .ahead = 0,
               .y = nullptr,
               .y_stride = n,
               .mask = static_cast<__mmask8>((1 << columns) - 1)};
  for (int64_t c = 0; c < kColumnTile; ++c)
    tile.columns[static_cast<size_t>(c)] = args.weight.data + (column + std::min(c, columns - 1)) * k * 2;
  const int64_t tiles = (args.m + kRowTile - 1) / kRowTile;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t row = args.m * i / tiles;
    tile.x = x + row * stride;
    tile.y = args.y + row * n + column;
    tile.ahead = i == 0 ? kColumnTile * k * 2 : 0;
    MultiplyRows(args.m * (i + 1) / tiles - row, tile);
  }
}

}  // namespace

bool GemmAvx512Bf16DotSupports(const GemmArgs& args) {
  return !args.exact && args.m <= kMaxRows && !args.weight.packed() && args.weight.dtype == DType::kBF16 &&
         __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}

void GemmAvx512Bf16Dot(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch) {
  const GemmArgs& front = products.front();
  const int64_t m = front.m, k = front.weight.in_features, stride = RoundUp(k);
  auto* const x = reinterpret_cast<uint16_t*>(scratch.Reserve(static_cast<size_t>(m * stride) * sizeof(uint16_t)));
  for (int64_t row = 0; row < m; ++row) RoundRow(front.x + row * k, k, x + row * stride);
  const int64_t min_blocks = 1 + kMinProducts / (kColumnTile * k * m + 1);
  ForEachColumnBlock(
      products, kColumnTile, min_blocks, pool,
      [x](const GemmArgs& args, int64_t column, int64_t columns) { MultiplyColumns(args, x, column, columns); });
}

}  // namespace ecld

#endif
