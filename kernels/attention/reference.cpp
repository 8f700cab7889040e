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

// The scale that takes the largest element to `most`; not a number where an element is none, so that none is lost.
float ScaleOf(const float* from, int64_t count, float most) {
  float largest = 0, lost = 0;
  for (int64_t d = 0; d < count; ++d) {
    largest = std::max(largest, std::fabs(from[d]));
    lost += from[d] * 0;
  }
  return largest / most + lost;
}

int Rounded(float element, float scale) {
  return scale > 0 ? static_cast<int>(std::nearbyint(element * (1 / scale))) : 0;
}

// Elements `stride` apart. Returns the scale of q8.
float WriteVector(KvType type, const float* from, int64_t count, std::byte* first, int64_t stride) {
  const float scale = ScaleOf(from, count, 127);
  for (int64_t d = 0; d < count; ++d) {
    if (type == KvType::kQ8)
      first[d * stride] = static_cast<std::byte>(Rounded(from[d], scale));
    else if (type == KvType::kF16)
      FromFloat(DType::kF16, from + d, 1, first + d * stride * 2);
    else
      FromFloat(DType::kF32, from + d, 1, first + d * stride * 4);
  }
  return scale;
}

void WriteCode(float element, float scale, std::byte* pair, bool high) {
  const float code = scale > 0 ? std::nearbyint(element * (1 / scale) + kMiddleCode) : 0;
  const auto bits = static_cast<std::byte>(std::clamp(static_cast<int>(code), 0, 15));
  *pair = high ? (*pair & std::byte{0x0f}) | bits << 4 : (*pair & std::byte{0xf0}) | bits;
}

void AppendCodes(const KvView& view, int64_t head, int64_t position, float* key, float* value) {
  const int64_t head_dim = view.shape.head_dim, half = view.shape.KeyHalf();
  for (float* vector : {key, value}) Turn(vector, head_dim);
  const float key_scale = view.KeyScales(head)[position] = ScaleOf(key, head_dim, kMiddleCode);
  const float value_scale = view.ValueScales(head)[position] = ScaleOf(value, head_dim, kMiddleCode);
  auto* keys = view.KeyBlock<std::byte>(head, position) + position % kKeyBlock;
  auto* values = view.ValueRow<std::byte>(head, position);
  for (int64_t d = 0; d < head_dim; ++d) {
    WriteCode(key[d], key_scale, keys + d % half * kKeyBlock, d >= half);
    WriteCode(value[d], value_scale, values + d / 32 * 16 + d % 16, d % 32 >= 16);
  }
}

void Append(const KvView& view, int64_t position, float* key, float* value) {
  const KvShape& shape = view.shape;
  for (int64_t head = 0; head < shape.num_kv_heads; ++head, key += shape.head_dim, value += shape.head_dim) {
    if (shape.type == KvType::kQ4) {
      AppendCodes(view, head, position, key, value);
      continue;
    }
    const float key_scale =
        WriteVector(shape.type, key, shape.head_dim,
                    view.KeyBlock<std::byte>(head, position) + position % kKeyBlock * Bits(shape.type) / 8, kKeyBlock);
    const float value_scale =
        WriteVector(shape.type, value, shape.head_dim, view.ValueRow<std::byte>(head, position), 1);
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
