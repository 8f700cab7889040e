// Attention in one pass over the keys (Milakov and Gimelshein 2018, algorithm 3): running maximum, sum and weighted
// values, keys in blocks so that the maximum changes rarely. Inner loops run over eight independent lanes, which any
// compiler turns into vector code without being allowed to reorder sums. The same body is compiled once for the
// plainest CPU of its kind and, on x86-64, once with AVX2 and FMA.

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/implementations.h"

namespace ecld {
namespace {

constexpr int64_t kLanes = 8;
constexpr int64_t kMaxHeadDim = 256;
constexpr int64_t kBlock = 32;  // keys

// Inlined, so that each caller's instruction set applies.
#define ECLD_INLINE [[gnu::always_inline]] inline

ECLD_INLINE float Dot(const float* a, const float* b, int64_t count) {
  static_assert(kLanes == 8);
  float lanes[2 * kLanes] = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes)
    for (int64_t l = 0; l < 2 * kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  for (int64_t l = 0; l < 8; ++l) lanes[l] += lanes[l + 8];
  for (int64_t l = 0; l < 4; ++l) lanes[l] += lanes[l + 4];
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

// sums[dim] += weights[count] * values[count, dim]; four rows at a time, as sums would otherwise go through memory for
// each row.
ECLD_INLINE void AddValues(const float* weights, const float* values, int64_t stride, int64_t count, int64_t dim,
                           float* __restrict sums) {
  int64_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const float *w = weights + j, *v0 = values + j * stride, *v1 = v0 + stride, *v2 = v1 + stride, *v3 = v2 + stride;
    for (int64_t d = 0; d < dim; ++d) sums[d] += (w[0] * v0[d] + w[1] * v1[d]) + (w[2] * v2[d] + w[3] * v3[d]);
  }
  for (; j < count; ++j)
    for (int64_t d = 0; d < dim; ++d) sums[d] += weights[j] * values[j * stride + d];
}

ECLD_INLINE void AttendOne(const AttentionArgs& args, int64_t row, int64_t head) {
  const int64_t dim = args.head_dim;
  const int64_t stride = args.num_kv_heads * dim;
  const int64_t kv_offset = head / (args.num_heads / args.num_kv_heads) * dim;
  const int64_t end = args.first_position + row + 1;
  const float* query = args.query + (row * args.num_heads + head) * dim;
  float sums[kMaxHeadDim] = {};
  float largest = -std::numeric_limits<float>::infinity(), total = 0;
  for (int64_t begin = args.FirstKey(row); begin < end; begin += kBlock) {
    const int64_t count = std::min(kBlock, end - begin);
    const float* keys = args.keys + begin * stride + kv_offset;
    float weights[kBlock];
    float block_largest = largest;
    for (int64_t j = 0; j < count; ++j) {
      weights[j] = Dot(query, keys + j * stride, dim) * args.scale;
      block_largest = std::max(block_largest, weights[j]);
    }
    if (block_largest > largest) {
      const float shrink = std::exp(largest - block_largest);
      for (int64_t d = 0; d < dim; ++d) sums[d] *= shrink;
      total *= shrink;
      largest = block_largest;
    }
    for (int64_t j = 0; j < count; ++j) {
      weights[j] = std::exp(weights[j] - largest);
      total += weights[j];
    }
    AddValues(weights, args.values + begin * stride + kv_offset, stride, count, dim, sums);
  }
  float* out = args.out + (row * args.num_heads + head) * dim;
  for (int64_t d = 0; d < dim; ++d) out[d] = sums[d] / total;
}

void AttendPlain(const AttentionArgs& args, int64_t row, int64_t head) { AttendOne(args, row, head); }

using Attend = void (*)(const AttentionArgs& args, int64_t row, int64_t head);

void ForAllRows(const AttentionArgs& args, ThreadPool& pool, Attend attend) {
  // Later rows see more keys, so rows are dealt to the threads in turn.
  const int64_t threads = pool.size();
  const int64_t keys = args.rows * (args.first_position + args.rows);
  const int64_t min_chunk = keys * args.num_heads * args.head_dim < 32768 ? threads : 1;
  pool.ParallelFor(threads, min_chunk, [&](int64_t begin, int64_t end) {
    for (int64_t thread = begin; thread < end; ++thread)
      for (int64_t i = thread; i < args.rows * args.num_heads; i += threads)
        attend(args, i / args.num_heads, i % args.num_heads);
  });
}

}  // namespace

bool AttentionLanesSupports(const AttentionArgs& args) {
  return args.head_dim % kLanes == 0 && args.head_dim <= kMaxHeadDim;
}

void AttentionLanes(const AttentionArgs& args, ThreadPool& pool) { ForAllRows(args, pool, AttendPlain); }

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void AttendAvx2(const AttentionArgs& args, int64_t row, int64_t head) {
  AttendOne(args, row, head);
}

bool AttentionLanesAvx2Supports(const AttentionArgs& args) {
  return AttentionLanesSupports(args) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

void AttentionLanesAvx2(const AttentionArgs& args, ThreadPool& pool) { ForAllRows(args, pool, AttendAvx2); }
#endif

}  // namespace ecld
