// The definition of attention: two plain passes over the scores of each query, one for their maximum and one for the
// weighted sum, in double where sums are long.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/attention/implementations.h"

namespace ecld {
namespace {

void AttendOne(const AttentionArgs& args, int64_t row, int64_t head) {
  const int64_t kv_head = head / (args.num_heads / args.num_kv_heads);
  const int64_t first = args.FirstKey(row), last = args.first_position + row;
  const float* query = args.query + (row * args.num_heads + head) * args.head_dim;
  std::vector<double> scores;
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t j = first; j <= last; ++j) {
    const float* key = args.keys + (j * args.num_kv_heads + kv_head) * args.head_dim;
    double dot = 0;
    for (int64_t d = 0; d < args.head_dim; ++d) dot += static_cast<double>(query[d]) * key[d];
    scores.push_back(dot * args.scale);
    largest = std::max(largest, scores.back());
  }
  std::vector<double> sums(static_cast<size_t>(args.head_dim));
  double total = 0;
  for (int64_t j = first; j <= last; ++j) {
    const float* value = args.values + (j * args.num_kv_heads + kv_head) * args.head_dim;
    const double weight = std::exp(scores[static_cast<size_t>(j - first)] - largest);
    total += weight;
    for (int64_t d = 0; d < args.head_dim; ++d) sums[static_cast<size_t>(d)] += weight * value[d];
  }
  float* out = args.out + (row * args.num_heads + head) * args.head_dim;
  for (int64_t d = 0; d < args.head_dim; ++d) out[d] = static_cast<float>(sums[static_cast<size_t>(d)] / total);
}

}  // namespace

void AttentionReference(const AttentionArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.rows * args.num_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) AttendOne(args, i / args.num_heads, i % args.num_heads);
  });
}

}  // namespace ecld
