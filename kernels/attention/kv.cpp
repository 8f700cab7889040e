#include "kernels/attention/kv.h"

#include <cassert>
#include <cstring>

#include "core/dtype.h"

namespace ecld {
namespace {

// Elements `stride` apart, from the first on.
void ReadVector(const KvShape& shape, const std::byte* first, int64_t stride, const float* scale, float* to) {
  for (int64_t d = 0; d < shape.head_dim; ++d) {
    const std::byte* element = first + d * stride * shape.ElementBytes();
    if (shape.type == KvType::kQ8)
      to[d] = static_cast<float>(static_cast<int8_t>(*element)) * *scale;
    else
      ToFloat(shape.type == KvType::kF32 ? DType::kF32 : DType::kF16, element, 1, to + d);
  }
}

}  // namespace

void ReadKey(const KvView& view, int64_t head, int64_t position, float* key) {
  const KvShape& shape = view.shape;
  const int64_t block = position / kKeyBlock;
  const int64_t first = head * view.capacity * shape.head_dim + block * kKeyBlock * shape.head_dim;
  ReadVector(shape, view.data + (first + position % kKeyBlock) * shape.ElementBytes(), kKeyBlock,
             view.KeyScales(head) + position, key);
}

void ReadValue(const KvView& view, int64_t head, int64_t position, float* value) {
  const KvShape& shape = view.shape;
  const int64_t first = (head * view.capacity + position) * shape.ValueStride();
  ReadVector(shape, view.data + shape.KeyBytes(view.capacity) + first * shape.ElementBytes(), 1,
             view.ValueScales(head) + position, value);
}

void CopyKv(const KvView& from, int64_t count, const KvView& to) {
  assert(count <= from.capacity && count <= to.capacity);
  const KvShape& shape = from.shape;
  const auto blocks = static_cast<size_t>((count + kKeyBlock - 1) / kKeyBlock);
  const auto positions = static_cast<size_t>(count);
  for (int64_t head = 0; head < shape.num_kv_heads; ++head) {
    const auto element = static_cast<size_t>(shape.ElementBytes());
    std::memcpy(to.data + head * to.capacity * shape.head_dim * shape.ElementBytes(),
                from.data + head * from.capacity * shape.head_dim * shape.ElementBytes(),
                blocks * kKeyBlock * static_cast<size_t>(shape.head_dim) * element);
    std::memcpy(
        to.data + shape.KeyBytes(to.capacity) + head * to.capacity * shape.ValueStride() * shape.ElementBytes(),
        from.data + shape.KeyBytes(from.capacity) + head * from.capacity * shape.ValueStride() * shape.ElementBytes(),
        positions * static_cast<size_t>(shape.ValueStride()) * element);
    if (shape.type != KvType::kQ8) continue;
    std::memcpy(to.KeyScales(head), from.KeyScales(head), positions * sizeof(float));
    std::memcpy(to.ValueScales(head), from.ValueScales(head), positions * sizeof(float));
  }
}

}  // namespace ecld
