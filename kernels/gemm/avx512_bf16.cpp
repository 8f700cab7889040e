// Products of dense bfloat16 weights with activations rounded to bfloat16, for many rows of x (prompts, batches), by
// the dot products of pairs that AVX512_BF16 has (products exact, sums float32, numbers below 2^-126 taken for zero).
//
// Two inputs of a row of x, or of a weight row, are a pair. x is stored as [row blocks, pairs, kRowTile]; weights are
// packed, a panel at a time that stays in the second-level cache while all rows of x pass, as [pairs, kColumnTile].
// So a pair of x is broadcast to a vector of sixteen outputs, whose sums need no adding up across lanes.

#if defined(__x86_64__)

#include <algorithm>
#include <array>

#include "kernels/gemm/column_blocks.h"
#include "kernels/gemm/implementations.h"
#include "kernels/simd/avx512_intrinsics.h"

#define ECLD_TARGET __attribute__((target("avx512f,avx512bw,avx512bf16")))

namespace ecld {
namespace {

constexpr int64_t kLanes = 16;  // outputs of a vector, each with a pair
constexpr int64_t kVectors = 2;
constexpr int64_t kColumnTile = kVectors * kLanes;
constexpr int64_t kRowTile = 12;       // 24 sums, 2 vectors of weights, one of x: what 32 registers hold
constexpr int64_t kPanelPairs = 1024;  // 128 KiB
// Below, reading the weights is what takes the time, which avx512_bf16_dot.cpp does once.
constexpr int64_t kMinRows = 8;
constexpr int64_t kMinProducts = 1 << 18;  // per thread

using Pair = uint32_t;  // the first input in the low half

int64_t Pairs(int64_t inputs) { return (inputs + 1) / 2; }

// The first count of sixteen or thirty-two lanes.
__mmask16 First16(int64_t count) { return static_cast<__mmask16>((1u << std::clamp<int64_t>(count, 0, 16)) - 1); }
__mmask32 First32(int64_t count) {
  return static_cast<__mmask32>((uint64_t{1} << std::clamp<int64_t>(count, 0, 32)) - 1);
}

// Rows [begin, end) of x, at most kRowTile, as pairs [Pairs(k), kRowTile].
ECLD_TARGET void PackRows(const GemmArgs& args, int64_t begin, int64_t end, Pair* to) {
  const int64_t k = args.weight.in_features;
  for (int64_t row = begin; row < end; ++row)
    for (int64_t i = 0; i < k; i += 16) {
      alignas(32) std::array<Pair, 8> pairs;
      const __m512 x = _mm512_maskz_loadu_ps(First16(k - i), args.x + row * k + i);
      _mm256_store_si256(reinterpret_cast<__m256i*>(pairs.data()), (__m256i)_mm512_cvtneps_pbh(x));
      const int64_t count = std::min<int64_t>(8, Pairs(k - i));
      for (int64_t p = 0; p < count; ++p) to[(i / 2 + p) * kRowTile + row - begin] = pairs[static_cast<size_t>(p)];
    }
}

// Sixteen rows of sixteen pairs; afterwards vector p holds pair p of each row. Two steps transpose within quarters of
// the vectors, two more the quarters themselves.
ECLD_TARGET inline void Transpose(__m512i* v) {
  __m512i t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 16
  for (int c = 0; c < 4; ++c) {
    const __m512i even0 = _mm512_shuffle_i32x4(v[c], v[4 + c], 0x88), odd0 = _mm512_shuffle_i32x4(v[c], v[4 + c], 0xdd);
    const __m512i even1 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0x88);
    const __m512i odd1 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0xdd);
    t[c] = _mm512_shuffle_i32x4(even0, even1, 0x88);
    t[4 + c] = _mm512_shuffle_i32x4(odd0, odd1, 0x88);
    t[8 + c] = _mm512_shuffle_i32x4(even0, even1, 0xdd);
    t[12 + c] = _mm512_shuffle_i32x4(odd0, odd1, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) v[i] = t[i];
}

// Inputs [first, first + depth) of `columns` weight rows, as pairs [.., kColumnTile]; what is missing is zero. Writes
// whole sixteens of pairs.
ECLD_TARGET void PackPanel(const WeightView& weight, int64_t column, int64_t columns, int64_t first, int64_t depth,
                           __m512i* to) {
  for (int64_t vector = 0; vector < kVectors; ++vector) {
    const std::byte* const rows = weight.data + ((column + vector * kLanes) * weight.in_features + first) * 2;
    for (int64_t i = 0; i < depth; i += 2 * kLanes) {
      const __mmask32 mask = First32(depth - i);
      __m512i v[kLanes];
#pragma GCC unroll 16
      for (int64_t r = 0; r < kLanes; ++r)
        v[r] = vector * kLanes + r < columns ? _mm512_maskz_loadu_epi16(mask, rows + (r * weight.in_features + i) * 2)
                                             : _mm512_setzero_si512();
      Transpose(v);
#pragma GCC unroll 16
      for (int64_t p = 0; p < kLanes; ++p) to[(i / 2 + p) * kVectors + vector] = v[p];
    }
  }
}

struct BlockArgs {
  const Pair* x;         // [pairs, kRowTile]
  const __m512i* panel;  // [pairs, kVectors]
  int64_t pairs;
  bool accumulate;  // add to y instead of setting it
  float* y;         // [rows, columns], rows y_stride apart
  int64_t y_stride, columns;
  // The weights of the next panel, rows row_bytes apart, to be fetched meanwhile; nullptr: none.
  const std::byte* next = nullptr;
  int64_t row_bytes = 0;
};

// A cache line holds sixteen pairs: while sixteen pass, the line at the same place of each row of the next panel is
// asked for. A few rows of x are multiplied sooner than memory delivers, which would wait while a panel is packed.
inline void FetchNext(const BlockArgs& args, int64_t pair) {
  constexpr int64_t kRowsOfPair = kColumnTile / kLanes;
  const std::byte* const line = args.next + pair % kLanes * kRowsOfPair * args.row_bytes + pair / kLanes * 64;
  for (int64_t r = 0; r < kRowsOfPair; ++r) __builtin_prefetch(line + r * args.row_bytes, 0, 2);
}

template <int kRows>
ECLD_TARGET void MultiplyBlock(const BlockArgs& args) {
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 16
  for (auto& row : sums)
#pragma GCC unroll 16
    for (auto& sum : row) sum = _mm512_setzero_ps();
  for (int64_t p = 0; p < args.pairs; ++p) {
    if (args.next) FetchNext(args, p);
    __m512bh w[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) w[v] = (__m512bh)_mm512_load_si512(args.panel + p * kVectors + v);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const auto x = (__m512bh)_mm512_set1_epi32(static_cast<int>(args.x[p * kRowTile + r]));
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], x, w[v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const __mmask16 mask = First16(args.columns - v * kLanes);
      float* const y = args.y + r * args.y_stride + v * kLanes;
      if (args.accumulate) sums[r][v] = _mm512_add_ps(sums[r][v], _mm512_maskz_loadu_ps(mask, y));
      _mm512_mask_storeu_ps(y, mask, sums[r][v]);
    }
}

template <int kRows = kRowTile>
void MultiplyRows(int64_t rows, const BlockArgs& args) {
  if (rows == kRows) return MultiplyBlock<kRows>(args);
  if constexpr (kRows > 1) return MultiplyRows<kRows - 1>(rows, args);
}

void MultiplyColumns(const GemmArgs& args, const Pair* x, int64_t column, int64_t columns) {
  alignas(64) __m512i panel[kPanelPairs * kVectors];
  const int64_t n = args.weight.out_features, k = args.weight.in_features, pairs = Pairs(k);
  for (int64_t first = 0; first < pairs; first += kPanelPairs) {
    const int64_t depth = std::min(kPanelPairs, pairs - first);
    PackPanel(args.weight, column, columns, 2 * first, std::min(2 * depth, k - 2 * first), panel);
    // Whole panels only, of the same rows or of the next.
    const bool last = first + depth == pairs;
    const int64_t next_row = last ? column + kColumnTile : column, next_first = last ? 0 : 2 * (first + depth);
    const bool fetch = next_row + kColumnTile <= n;
    for (int64_t row = 0; row < args.m; row += kRowTile)
      MultiplyRows(std::min(kRowTile, args.m - row),
                   {.x = x + row * pairs + first * kRowTile,
                    .panel = panel,
                    .pairs = depth,
                    .accumulate = first > 0,
                    .y = args.y + row * n + column,
                    .y_stride = n,
                    .columns = columns,
                    .next = fetch && row == 0 ? args.weight.data + (next_row * k + next_first) * 2 : nullptr,
                    .row_bytes = k * 2});
  }
}

}  // namespace

bool GemmAvx512Bf16Supports(const GemmArgs& args) {
  return !args.exact && args.m >= kMinRows && !args.weight.packed() && args.weight.dtype == DType::kBF16 &&
         __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw");
}

void GemmAvx512Bf16(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch) {
  const GemmArgs& front = products.front();
  const int64_t m = front.m, k = front.weight.in_features, pairs = Pairs(k);
  const int64_t row_blocks = (m + kRowTile - 1) / kRowTile;
  auto* const x = reinterpret_cast<Pair*>(scratch.Reserve(row_blocks * kRowTile * pairs * sizeof(Pair)));
  pool.ParallelFor(row_blocks, 1 + kMinProducts / 4 / (kRowTile * k + 1), [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block)
      PackRows(front, block * kRowTile, std::min(m, (block + 1) * kRowTile), x + block * kRowTile * pairs);
  });
  const int64_t min_blocks = 1 + kMinProducts / (kColumnTile * k * m + 1);
  ForEachColumnBlock(
      products, kColumnTile, min_blocks, pool,
      [x](const GemmArgs& args, int64_t column, int64_t columns) { MultiplyColumns(args, x, column, columns); });
}

}  // namespace ecld

#endif
