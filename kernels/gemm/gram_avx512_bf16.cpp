// The Gram matrix of x rounded to bfloat16, by the dot products of pairs that AVX512_BF16 has (as avx512_bf16.cpp).
//
// A feature of two tokens is a pair. x is read once, row after row, and stored as [blocks, pairs, kBlock]: both factors
// of every product in one. A pair of one feature, broadcast, times the pairs of sixteen others adds to sixteen sums. A
// block of rows goes with a group of blocks of columns that stay in the second-level cache while all rows pass.

#if defined(__x86_64__)

#include <algorithm>

#include "kernels/gemm/gram.h"
#include "kernels/simd/avx512_intrinsics.h"

#define ECLD_TARGET __attribute__((target("avx512f,avx512bw,avx512bf16")))

namespace ecld {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kVectors = 2;
constexpr int64_t kBlock = kVectors * kLanes;  // features
constexpr int64_t kRows = 8;                   // of a block at a time: 16 sums, which hide the products' latency
constexpr int64_t kDepth = 128;                // pairs at a time: 16 KiB of a block
constexpr int64_t kGroup = 4;                  // blocks of columns
constexpr int64_t kMinPairs = 16;              // of a thread that packs

using Pair = uint32_t;  // the first token in the low half
using Tile = float[kBlock][kBlock];

ECLD_TARGET inline __m512i Widened(__m512 x) { return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x)); }

// Pairs [begin, end) of all features; a last token alone is paired with zeros, features beyond the last are zero.
ECLD_TARGET void Pack(const GramArgs& args, int64_t pairs, int64_t begin, int64_t end, Pair* to) {
  const int64_t features = args.features;
  for (int64_t p = begin; p < end; ++p) {
    const float* const first = args.x + 2 * p * features;
    const bool second = 2 * p + 1 < args.tokens;
    for (int64_t f = 0; f < (features + kBlock - 1) / kBlock * kBlock; f += kLanes) {
      const auto mask = static_cast<__mmask16>((1u << std::clamp<int64_t>(features - f, 0, kLanes)) - 1);
      const __m512 a = _mm512_maskz_loadu_ps(mask, first + f);
      const __m512 b = second ? _mm512_maskz_loadu_ps(mask, first + features + f) : _mm512_setzero_ps();
      _mm512_store_si512(to + (f / kBlock * pairs + p) * kBlock + f % kBlock,
                         _mm512_or_si512(Widened(a), _mm512_slli_epi32(Widened(b), 16)));
    }
  }
}

// Adds to kRows rows of a tile. rows, columns: [depth, kBlock], rows from the first of them on.
ECLD_TARGET void AddProducts(const Pair* rows, const Pair* columns, int64_t depth, float (*tile)[kBlock]) {
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_load_ps(tile[r] + v * kLanes);
  for (int64_t p = 0; p < depth; ++p) {
    __m512bh w[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) w[v] = (__m512bh)_mm512_load_si512(columns + p * kBlock + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const auto x = (__m512bh)_mm512_set1_epi32(static_cast<int>(rows[p * kBlock + r]));
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], x, w[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) _mm512_store_ps(tile[r] + v * kLanes, sums[r][v]);
}

// The sums of one block of rows with the blocks of columns [first, last), none of which is right of it.
void MultiplyGroup(const GramArgs& args, const Pair* x, int64_t pairs, int64_t row_block, int64_t first, int64_t last) {
  alignas(64) Tile tiles[kGroup] = {};
  for (int64_t p = 0; p < pairs; p += kDepth) {
    const Pair* const rows = x + (row_block * pairs + p) * kBlock;
    for (int64_t block = first; block < last; ++block)
      for (int64_t r = 0; r < kBlock; r += kRows)
        AddProducts(rows + r, x + (block * pairs + p) * kBlock, std::min(kDepth, pairs - p), tiles[block - first] + r);
  }
  for (int64_t block = first; block < last; ++block)
    for (int64_t r = 0; r < std::min(kBlock, args.features - row_block * kBlock); ++r) {
      float* const sums = args.sums + (row_block * kBlock + r) * args.features + block * kBlock;
      for (int64_t c = 0; c < std::min(kBlock, args.features - block * kBlock); ++c)
        sums[c] += tiles[block - first][r][c];
    }
}

}  // namespace

bool GramAvx512Bf16Supports(const GramArgs& args) {
  return !args.exact && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw");
}

void GramAvx512Bf16(const GramArgs& args, ThreadPool& pool, GramScratch& scratch) {
  const int64_t pairs = (args.tokens + 1) / 2, blocks = (args.features + kBlock - 1) / kBlock;
  auto* const x =
      reinterpret_cast<Pair*>(scratch.pairs.Reserve(static_cast<size_t>(blocks * kBlock * pairs) * sizeof(Pair)));
  pool.ParallelFor(pairs, kMinPairs, [&](int64_t begin, int64_t end) { Pack(args, pairs, begin, end, x); });
  // Group by group, from the diagonal down; all are dealt out at once, so that threads meet once.
  struct Task {
    int64_t row_block, first, last;
  };
  std::vector<Task> tasks;
  for (int64_t first = 0; first < blocks; first += kGroup)
    for (int64_t row_block = first; row_block < blocks; ++row_block)
      tasks.push_back({row_block, first, std::min(first + kGroup, row_block + 1)});
  pool.ShareOut(std::ssize(tasks), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Task& task = tasks[static_cast<size_t>(i)];
      MultiplyGroup(args, x, pairs, task.row_block, task.first, task.last);
    }
  });
}

}  // namespace ecld

#endif
