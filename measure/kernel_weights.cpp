#include "measure/kernel_weights.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/memory.h"
#include "core/progress.h"
#include "core/random.h"
#include "kernels/packing/interleaved.h"
#include "measure/memory_stream.h"

namespace ecld {
namespace {

constexpr uint64_t kLineBytes = 64;

uint64_t RoundUp(uint64_t bytes) { return (bytes + kLineBytes - 1) / kLineBytes * kLineBytes; }

// Small numbers, of which none is so small that arithmetic would be slow on it.
void FillBf16(std::byte* to, int64_t count, Random& random) {
  std::vector<float> some(4096);
  for (float& value : some) value = static_cast<float>((random.Uniform() + 0.01) * 0.01);
  for (int64_t i = 0; i < count; i += std::ssize(some))
    FromFloat(DType::kBF16, some.data(), static_cast<size_t>(std::min<int64_t>(count - i, std::ssize(some))),
              to + 2 * i);
}

// One matrix in row order. `parts` holds it.
WeightView RandomRows(int64_t out_features, int64_t in_features, const std::optional<PackedFormat>& format,
                      std::vector<std::byte>& parts) {
  Random random(1);
  WeightView view{.out_features = out_features, .in_features = in_features, .dtype = DType::kBF16};
  if (!format) {
    parts.resize(static_cast<size_t>(out_features * in_features * 2));
    FillBf16(parts.data(), out_features * in_features, random);
    view.data = parts.data();
    return view;
  }
  const int64_t groups = format->Groups(in_features);
  const auto code_bytes = static_cast<size_t>(out_features * format->CodeWords(in_features) * 4);
  const size_t scale_bytes = RoundUp(static_cast<uint64_t>(out_features * groups * 2));
  const auto zero_bytes = format->symmetric ? 0 : static_cast<size_t>(format->ZeroWords(out_features) * groups * 4);
  parts.resize(code_bytes + scale_bytes + zero_bytes);
  for (std::byte& byte : parts) byte = static_cast<std::byte>(random.Next());
  FillBf16(parts.data() + code_bytes, out_features * groups, random);
  view.format = *format;
  view.codes = parts.data();
  view.scales = parts.data() + code_bytes;
  if (!format->symmetric) view.zero_points = parts.data() + code_bytes + scale_bytes;
  return view;
}

}  // namespace

ColdWeights::ColdWeights(int64_t out_features, int64_t in_features, const std::optional<PackedFormat>& format,
                         bool interleaved, ThreadPool& pool) {
  std::vector<std::byte> parts;
  const WeightView rows = RandomRows(out_features, in_features, format, parts);
  const uint64_t stride = RoundUp(interleaved ? InterleavedBytes(rows) : parts.size());
  const uint64_t copies = 1 + 2 * LastCacheBytes() / stride;
  if (copies * stride > AvailableMemoryBytes() / 2)
    Fail("", "timing a matrix of {} x {} takes {}, more than half of the memory that is free", out_features,
         in_features, FormatBytes(copies * stride));
  lines_.resize(copies * stride / kLineBytes);
  for (uint64_t copy = 0; copy < copies; ++copy) {
    std::byte* const to = reinterpret_cast<std::byte*>(lines_.data()) + copy * stride;
    if (interleaved) {
      if (copy == 0)
        Interleave(rows, to, pool);
      else
        std::memcpy(to, lines_.data(), stride);
      views_.push_back(InterleavedView(rows, to));
      continue;
    }
    std::memcpy(to, parts.data(), parts.size());
    WeightView view = rows;
    for (const std::byte* WeightView::*part :
         {&WeightView::data, &WeightView::codes, &WeightView::scales, &WeightView::zero_points})
      if (view.*part) view.*part = to + (view.*part - parts.data());
    views_.push_back(view);
  }
}

}  // namespace ecld
