#include "kernels/gemm/tiled.h"

#include <algorithm>
#include <array>

#include "kernels/packing/packing.h"

namespace ecld {
namespace {

constexpr int64_t kPanelColumns = 32;  // weight rows of a panel
constexpr int64_t kPanelDepth = 1024;  // inputs of a panel; a multiple of 8, so that codes start on whole bytes
// Rows 4 KiB apart would fall into the same cache sets.
constexpr int64_t kPanelStride = kPanelDepth + 16;
constexpr int64_t kMinProducts = 1 << 17;  // per thread: below, waking another costs more than it brings

static_assert(kPanelColumns % kTileColumns == 0 && kPanelDepth % 8 == 0);

struct Panel {
  alignas(64) std::array<float, kPanelColumns * kPanelStride> values;
};

// weight[row, first .. first + count) as floats.
void ReadPackedPart(const TileKernels& kernels, const WeightView& weight, int64_t row, int64_t first, int64_t count,
                    float* to) {
  const PackedFormat& format = weight.format;
  const int64_t groups = format.Groups(weight.in_features), group_size = format.GroupSize(weight.in_features);
  const std::byte* codes = weight.codes + row * format.CodeWords(weight.in_features) * 4;
  const auto scale_bytes = static_cast<int64_t>(SizeOf(weight.scale_dtype));
  for (int64_t i = first; i < first + count;) {
    const int64_t group = i / group_size;
    const int64_t end = std::min(first + count, (group + 1) * group_size);
    float scale;
    ToFloat(weight.scale_dtype, weight.scales + (row * groups + group) * scale_bytes, 1, &scale);
    auto zero = static_cast<uint8_t>(format.MidCode());
    if (!format.symmetric) UnpackBits(format.bits, weight.zero_points + group * 4, row, 1, &zero, groups);
    kernels.dequantize(format.bits, codes + i * format.bits / 8, end - i, zero, scale, to + (i - first));
    i = end;
  }
}

void ReadPart(const TileKernels& kernels, const WeightView& weight, int64_t row, int64_t first, int64_t count,
              float* to) {
  if (weight.packed()) return ReadPackedPart(kernels, weight, row, first, count, to);
  const auto bytes = static_cast<int64_t>(SizeOf(weight.dtype));
  const std::byte* from = weight.data + (row * weight.in_features + first) * bytes;
  if (weight.dtype == DType::kBF16) return kernels.widen_bf16(from, count, to);
  if (weight.dtype == DType::kF16) return kernels.widen_f16(from, count, to);
  ToFloat(weight.dtype, from, static_cast<size_t>(count), to);
}

// All rows of x times one panel.
void MultiplyPanel(const TileKernels& kernels, const GemmArgs& args, const Panel& panel, int64_t column,
                   int64_t columns, int64_t first, int64_t depth) {
  const int64_t n = args.weight.out_features, k = args.weight.in_features;
  for (int64_t row = 0; row < args.m; row += kernels.tile_rows) {
    const int64_t rows = std::min(kernels.tile_rows, args.m - row);
    for (int64_t c = 0; c < columns; c += kTileColumns) {
      TileArgs tile{.x = args.x + row * k + first,
                    .panel = panel.values.data() + c * kPanelStride,
                    .x_stride = k,
                    .panel_stride = kPanelStride,
                    .k = depth,
                    .accumulate = first > 0,
                    .y = args.y + row * n + column + c,
                    .y_stride = n};
      if (c + kTileColumns <= columns) {
        kernels.tile(rows, tile);
        continue;
      }
      // The last columns do not fill a tile: compute it whole aside and copy what exists.
      std::array<float, 16 * kTileColumns> aside;
      const bool accumulate = tile.accumulate;
      float* const y = tile.y;
      tile.accumulate = false;
      tile.y = aside.data();
      tile.y_stride = kTileColumns;
      kernels.tile(rows, tile);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t i = 0; i < columns - c; ++i) {
          const float value = aside[static_cast<size_t>(r * kTileColumns + i)];
          y[r * n + i] = accumulate ? y[r * n + i] + value : value;
        }
    }
  }
}

void MultiplyColumns(const TileKernels& kernels, const GemmArgs& args, int64_t column, int64_t columns) {
  Panel panel;
  // Columns that only fill up the last tile are computed and dropped; they must hold numbers.
  for (int64_t c = columns; c % kTileColumns != 0; ++c)
    std::fill_n(panel.values.data() + c * kPanelStride, kPanelDepth, 0.0f);
  const int64_t k = args.weight.in_features;
  for (int64_t first = 0; first < k; first += kPanelDepth) {
    const int64_t depth = std::min(kPanelDepth, k - first);
    for (int64_t c = 0; c < columns; ++c)
      ReadPart(kernels, args.weight, column + c, first, depth, panel.values.data() + c * kPanelStride);
    MultiplyPanel(kernels, args, panel, column, columns, first, depth);
  }
}

}  // namespace

void GemmTiled(const TileKernels& kernels, const GemmArgs& args, ThreadPool& pool) {
  if (args.m == 0) return;
  const int64_t n = args.weight.out_features;
  // One row of x uses each weight once: a panel of one tile then stays in the first-level cache.
  const int64_t block = args.m <= 4 ? kTileColumns : kPanelColumns;
  const int64_t blocks = (n + block - 1) / block;
  const int64_t products_per_block = block * args.weight.in_features * args.m;
  pool.ParallelFor(blocks, 1 + kMinProducts / (products_per_block + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) MultiplyColumns(kernels, args, i * block, std::min(block, n - i * block));
  });
}

void DequantizeCodes(int bits, const std::byte* codes, int64_t count, int zero, float scale, float* to) {
  const int mask = (1 << bits) - 1;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t bit = i * bits, byte = bit / 8;
    int pair = std::to_integer<int>(codes[byte]);
    if (bit % 8 + bits > 8) pair |= std::to_integer<int>(codes[byte + 1]) << 8;
    to[i] = static_cast<float>(((pair >> (bit % 8)) & mask) - zero) * scale;
  }
}

}  // namespace ecld
