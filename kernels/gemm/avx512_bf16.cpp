// Products of dense bfloat16 weights with activations rounded to bfloat16, for many rows of x (prompts, batches), by
// the dot products of pairs that AVX512_BF16 has (products exact, sums float32, numbers below 2^-126 taken for zero).
//
// Two inputs of a row of x, or of a weight row, are a pair. x is stored as [row blocks, pairs, kRowTile]; weights are
// packed, a panel at a time that stays in the second-level cache while rows of x pass, as [tiles, pairs, kColumnTile].
// So a pair of x is broadcast to a vector of sixteen outputs, whose sums need no adding up across lanes.
//
// Where caches hold all of x, a panel is one tile and deep. Else it is several tiles and shallow, so that what is read
// of x from further away serves them all (Goto and van de Geijn 2008, section 4), and rows are shared out as columns
// are, so that there are enough pieces for the threads.

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
constexpr int64_t kPanelPairs = 3072;  // of all its tiles, 384 KiB
constexpr int64_t kDeepPairs = 1024, kShallowPairs = 768;
constexpr int64_t kWideTiles = kPanelPairs / kShallowPairs;
constexpr int64_t kNearBytes = 2 << 20;         // of x: a panel of one tile is enough, caches hold the rest
constexpr int64_t kRowsAtOnce = 32 * kRowTile;  // of x with a wide panel, the packing of which they outweigh
// Below, reading the weights is what takes the time, which avx512_bf16_dot.cpp does once.
constexpr int64_t kMinRows = 8;
constexpr int64_t kMinProducts = 1 << 18;  // per thread
constexpr int64_t kMinPieces = 8;          // per thread, before blocks become wider

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

// How products of the same rows are cut: into blocks of outputs, and panels of inputs.
struct Cut {
  int64_t columns, rows, panel_pairs;
};

// `whole` in equal parts of at most `most`, but for rounding up to a multiple of `step`.
int64_t Part(int64_t whole, int64_t most, int64_t step) {
  const int64_t parts = (whole + most - 1) / most;
  return ((whole + parts - 1) / parts + step - 1) / step * step;
}

// Sums depend on panel_pairs alone, which the number of threads has no part in.
Cut CutOf(std::span<const GemmArgs> products, int threads) {
  const int64_t m = products.front().m, pairs = Pairs(products.front().weight.in_features);
  if (m * pairs * static_cast<int64_t>(sizeof(Pair)) <= kNearBytes) return {kColumnTile, m, kDeepPairs};
  Cut cut{kColumnTile, Part(m, kRowsAtOnce, kRowTile), Part(pairs, kShallowPairs, kLanes)};
  int64_t tiles = 0;
  for (const GemmArgs& args : products) tiles += (args.weight.out_features + kColumnTile - 1) / kColumnTile;
  const int64_t pieces = tiles * ((m + cut.rows - 1) / cut.rows);
  cut.columns *= std::clamp<int64_t>(pieces / (threads * kMinPieces), 1, kWideTiles);
  return cut;
}

void Multiply(const GemmArgs& args, const Pair* x, const OutputBlock& block, int64_t panel_pairs) {
  alignas(64) __m512i panel[kPanelPairs * kVectors];
  const int64_t n = args.weight.out_features, k = args.weight.in_features, pairs = Pairs(k);
  const int64_t end = block.column + block.columns, row_end = block.row + block.rows;
  for (int64_t first = 0; first < pairs; first += panel_pairs) {
    const int64_t depth = std::min(panel_pairs, pairs - first);
    const int64_t tile_size = panel_pairs * kVectors;
    for (int64_t column = block.column, tile = 0; column < end; column += kColumnTile, ++tile)
      PackPanel(args.weight, column, std::min(kColumnTile, end - column), 2 * first, std::min(2 * depth, k - 2 * first),
                panel + tile * tile_size);
    // Whole panels only, of the same rows or of the next.
    const bool last = first + depth == pairs;
    const int64_t next_row = last ? end : block.column, next_first = last ? 0 : 2 * (first + depth);
    const bool fetch = block.columns == kColumnTile && next_row + kColumnTile <= n;
    for (int64_t row = block.row; row < row_end; row += kRowTile)
      for (int64_t column = block.column, tile = 0; column < end; column += kColumnTile, ++tile)
        MultiplyRows(std::min(kRowTile, row_end - row),
                     {.x = x + row * pairs + first * kRowTile,
                      .panel = panel + tile * tile_size,
                      .pairs = depth,
                      .accumulate = first > 0,
                      .y = args.y + row * n + column,
                      .y_stride = n,
                      .columns = std::min(kColumnTile, end - column),
                      .next = fetch && row == block.row ? args.weight.data + (next_row * k + next_first) * 2 : nullptr,
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
  const Cut cut = CutOf(products, pool.size());
  const int64_t min_blocks = 1 + kMinProducts / (cut.columns * k * cut.rows + 1);
  ForEachBlock(products, cut.columns, cut.rows, min_blocks, pool,
               [&](const GemmArgs& args, const OutputBlock& block) { Multiply(args, x, block, cut.panel_pairs); });
}

}  // namespace ecld

#endif
