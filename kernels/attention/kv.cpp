#include "kernels/attention/kv.h"

#include <cassert>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/dtype.h"

namespace ecld {
namespace {

// Elements `stride` apart, from the first on.
void ReadVector(const KvShape& shape, const std::byte* first, int64_t stride, const float* scale, float* to) {
  for (int64_t d = 0; d < shape.head_dim; ++d) {
    const std::byte* element = first + d * stride * Bits(shape.type) / 8;
    if (shape.type == KvType::kQ8)
      to[d] = static_cast<float>(static_cast<int8_t>(*element)) * *scale;
    else
      ToFloat(shape.type == KvType::kF32 ? DType::kF32 : DType::kF16, element, 1, to + d);
  }
}

float FromCode(std::byte pair, bool high, float scale) {
  const int code = std::to_integer<int>(high ? pair >> 4 : pair & std::byte{15});
  return (static_cast<float>(code) - kMiddleCode) * scale;
}

}  // namespace

int64_t TurnSize(int64_t head_dim) { return head_dim & -head_dim; }

void Turn(float* vector, int64_t head_dim) {
  const int64_t size = TurnSize(head_dim);
  for (int64_t step = 1; step < size; step *= 2)
    for (int64_t i = 0; i < head_dim; ++i)
      if ((i & step) == 0) {
        const float low = vector[i], high = vector[i + step];
        vector[i] = low + high;
        vector[i + step] = low - high;
      }
  const float scale = 1 / std::sqrt(static_cast<float>(size));
  for (int64_t i = 0; i < head_dim; ++i) vector[i] *= scale;
}

void ReadKey(const KvView& view, int64_t head, int64_t position, float* key) {
  const KvShape& shape = view.shape;
  const auto* block = view.KeyBlock<std::byte>(head, position);
  const float* scale = view.KeyScales(head) + position;
  const int64_t column = position % kKeyBlock, half = shape.KeyHalf();
  if (shape.type != KvType::kQ4) return ReadVector(shape, block + column * Bits(shape.type) / 8, kKeyBlock, scale, key);
  for (int64_t d = 0; d < shape.head_dim; ++d)
    key[d] = FromCode(block[d % half * kKeyBlock + column], d >= half, *scale);
  Turn(key, shape.head_dim);
}

void ReadValue(const KvView& view, int64_t head, int64_t position, float* value) {
  const KvShape& shape = view.shape;
  const auto* row = view.ValueRow<std::byte>(head, position);
  const float* scale = view.ValueScales(head) + position;
  if (shape.type != KvType::kQ4) return ReadVector(shape, row, 1, scale, value);
  for (int64_t d = 0; d < shape.head_dim; ++d) value[d] = FromCode(row[d / 32 * 16 + d % 16], d % 32 >= 16, *scale);
  Turn(value, shape.head_dim);
}

void CopyKv(const KvView& from, int64_t count, const KvView& to) {
  assert(count <= from.capacity && count <= to.capacity);
  const KvShape& shape = from.shape;
  const int64_t blocks = (count + kKeyBlock - 1) / kKeyBlock;
  for (int64_t head = 0; head < shape.num_kv_heads; ++head) {
    std::memcpy(to.KeyBlock<std::byte>(head, 0), from.KeyBlock<std::byte>(head, 0),
                static_cast<size_t>(blocks * shape.KeyBlockBytes()));
    std::memcpy(to.ValueRow<std::byte>(head, 0), from.ValueRow<std::byte>(head, 0),
                static_cast<size_t>(count * shape.ValueRowBytes()));
    if (!shape.Scaled()) continue;
    std::memcpy(to.KeyScales(head), from.KeyScales(head), static_cast<size_t>(count) * sizeof(float));
    std::memcpy(to.ValueScales(head), from.ValueScales(head), static_cast<size_t>(count) * sizeof(float));
  }
}

}  // namespace ecld
