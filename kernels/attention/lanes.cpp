// Attention in one pass over the keys (Milakov and Gimelshein 2018, algorithm 3): running maximum, sum and weighted
// values, keys in blocks so that the maximum changes rarely. Inner loops run over eight independent lanes, which any
// compiler turns into vector code without being allowed to reorder sums.

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention/implementations.h"

namespace ecld {
namespace {

constexpr int64_t kLanes = 8;
constexpr int64_t kMaxHeadDim = 256;
constexpr int64_t kBlock = 32;  // keys

float Dot(const float* a, const float* b, int64_t count) {
  float lanes[2 * kLanes] = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes)
    for (int64_t l = 0; l < 2 * kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  for (int64_t width = kLanes; width > 0; width /= 2)
    for (int64_t l = 0; l < width; ++l) lanes[l] += lanes[l + width];
  return lanes[0];
}

void AttendOne(const AttentionArgs& args, int64_t row, int64_t head) {
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
    const float* values = args.values + begin * stride + kv_offset;
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
      const float weight = std::exp(weights[j] - largest);
      const float* value = values + j * stride;
      total += weight;
      for (int64_t d = 0; d < dim; ++d) sums[d] += weight * value[d];
    }
  }
  float* out = args.out + (row * args.num_heads + head) * dim;
  for (int64_t d = 0; d < dim; ++d) out[d] = sums[d] / total;
}

}  // namespace

bool AttentionLanesSupports(const AttentionArgs& args) {
  return args.head_dim % kLanes == 0 && args.head_dim <= kMaxHeadDim;
}

void AttentionLanes(const AttentionArgs& args, ThreadPool& pool) {
  // Later rows see more keys, so rows are dealt to the threads in turn.
  const int64_t threads = pool.size();
  const int64_t keys = args.rows * (args.first_position + args.rows);
  const int64_t min_chunk = keys * args.num_heads * args.head_dim < 32768 ? threads : 1;
  pool.ParallelFor(threads, min_chunk, [&](int64_t begin, int64_t end) {
    for (int64_t thread = begin; thread < end; ++thread)
      for (int64_t i = thread; i < args.rows * args.num_heads; i += threads)
        AttendOne(args, i / args.num_heads, i % args.num_heads);
  });
}

}  // namespace ecld
