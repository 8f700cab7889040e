// The definition of attention: two plain passes over the scores of each query, one for their maximum and one for the
// weighted sum, in double where sums are long. And of what a cache stores.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/dtype.h"
#include "kernels/attention/implementations.h"

namespace ecld {
namespace {

void AttendOne(const AttentionArgs& args, const AttentionPiece& piece, int64_t row, int64_t head) {
  const int64_t head_dim = piece.kv.shape.head_dim;
  const int64_t kv_head = head / (args.num_heads / piece.kv.shape.num_kv_heads);
  const int64_t last = piece.first_position + row, first = args.FirstKey(last);
  const float* query = piece.query + (row * args.num_heads + head) * head_dim;
  std::vector<float> stored(static_cast<size_t>(head_dim));
  std::vector<double> scores;
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t j = first; j <= last; ++j) {
    ReadKey(piece.kv, kv_head, j, stored.data());
    double dot = 0;
    for (int64_t d = 0; d < head_dim; ++d) dot += static_cast<double>(query[d]) * stored[static_cast<size_t>(d)];
    scores.push_back(dot * args.scale);
    largest = std::max(largest, scores.back());
  }
  std::vector<double> sums(static_cast<size_t>(head_dim));
  double total = 0;
  for (int64_t j = first; j <= last; ++j) {
    ReadValue(piece.kv, kv_head, j, stored.data());
    const double weight = std::exp(scores[static_cast<size_t>(j - first)] - largest);
    total += weight;
    for (size_t d = 0; d < sums.size(); ++d) sums[d] += weight * stored[d];
  }
  float* out = piece.out + (row * args.num_heads + head) * head_dim;
  for (size_t d = 0; d < sums.size(); ++d) out[d] = static_cast<float>(sums[d] / total);
}

void Run(const AttentionArgs& args, ThreadPool& pool, AttentionScratch&) {
  for (const AttentionPiece& piece : args.pieces)
    pool.ParallelFor(piece.rows * args.num_heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) AttendOne(args, piece, i / args.num_heads, i % args.num_heads);
    });
}

// Elements `stride` apart. Returns the scale of q8.
float WriteVector(KvType type, const float* from, int64_t count, std::byte* first, int64_t stride) {
  float largest = 0;
  for (int64_t d = 0; d < count; ++d) largest = std::max(largest, std::fabs(from[d]));
  const float scale = largest / 127, inverse = largest > 0 ? 127 / largest : 0;
  for (int64_t d = 0; d < count; ++d) {
    if (type == KvType::kQ8)
      first[d * stride] = static_cast<std::byte>(static_cast<int8_t>(std::nearbyint(from[d] * inverse)));
    else if (type == KvType::kF16)
      FromFloat(DType::kF16, from + d, 1, first + d * stride * 2);
    else
      FromFloat(DType::kF32, from + d, 1, first + d * stride * 4);
  }
  return scale;
}

void Append(const KvView& view, int64_t position, const float* key, const float* value) {
  const KvShape& shape = view.shape;
  for (int64_t head = 0; head < shape.num_kv_heads; ++head) {
    const int64_t block = head * view.capacity + position / kKeyBlock * kKeyBlock;
    const float key_scale =
        WriteVector(shape.type, key + head * shape.head_dim, shape.head_dim,
                    view.data + (block * shape.head_dim + position % kKeyBlock) * shape.ElementBytes(), kKeyBlock);
    const float value_scale =
        WriteVector(shape.type, value + head * shape.head_dim, shape.head_dim,
                    view.data + shape.KeyBytes(view.capacity) +
                        (head * view.capacity + position) * shape.ValueStride() * shape.ElementBytes(),
                    1);
    if (shape.type != KvType::kQ8) continue;
    view.KeyScales(head)[position] = key_scale;
    view.ValueScales(head)[position] = value_scale;
  }
}

bool Always() { return true; }

}  // namespace

constinit const AttentionImplementation kAttentionReference = {
    .name = "reference", .supports = Always, .run = Run, .append = Append};

}  // namespace ecld
