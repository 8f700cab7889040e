#include "kernels/gemm/tiled.h"

#include <algorithm>
#include <array>

#include "kernels/gemm/column_blocks.h"
#include "kernels/packing/packing.h"

namespace ecld {
namespace {

constexpr int64_t kMaxTileRows = 8;
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

// A tile of which only the first `columns` outputs exist: the rest is computed aside.
void RunTile(TileFunction run, int64_t rows, const TileArgs& tile, int64_t columns) {
  if (columns >= kTileColumns) return run(rows, tile);
  std::array<float, kMaxTileRows * kTileColumns> aside;
  TileArgs whole = tile;
  whole.accumulate = false;
  whole.y = aside.data();
  whole.y_stride = kTileColumns;
  run(rows, whole);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const float value = aside[static_cast<size_t>(r * kTileColumns + c)];
      float& y = tile.y[r * tile.y_stride + c];
      y = tile.accumulate ? y + value : value;
    }
}

// All rows of x times the weight rows of [columns, depth] that start at `weights`, row_bytes apart. They are inputs
// `first` and following of the outputs `column` and following.
void MultiplyRows(TileFunction run, int64_t tile_rows, const GemmArgs& args, const std::byte* weights,
                  int64_t row_bytes, int64_t column, int64_t columns, int64_t first, int64_t depth) {
  const int64_t n = args.weight.out_features, k = args.weight.in_features;
  for (int64_t row = 0; row < args.m; row += tile_rows)
    for (int64_t begin = 0; begin < columns; begin += kTileColumns) {
      TileArgs tile{.x = args.x + row * k + first,
                    .x_stride = k,
                    .k = depth,
                    .accumulate = first > 0,
                    .y = args.y + row * n + column + begin,
                    .y_stride = n};
      // Where rows are missing to fill a tile, the last one stands again.
      for (int64_t c = 0; c < kTileColumns; ++c)
        tile.columns[c] = weights + std::min(begin + c, columns - 1) * row_bytes;
      RunTile(run, std::min(tile_rows, args.m - row), tile, columns - begin);
    }
}

// The tile that takes the weights as they lie, where there is one.
TileFunction DirectTile(const TileKernels& kernels, const GemmArgs& args) {
  if (args.m > kernels.direct_rows || args.weight.packed()) return nullptr;
  if (args.weight.dtype == DType::kF32) return kernels.tile;
  if (args.weight.dtype == DType::kBF16) return kernels.tile_bf16;
  return args.weight.dtype == DType::kF16 ? kernels.tile_f16 : nullptr;
}

void MultiplyPanels(const TileKernels& kernels, const GemmArgs& args, int64_t column, int64_t columns) {
  Panel panel;
  const int64_t k = args.weight.in_features;
  for (int64_t first = 0; first < k; first += kPanelDepth) {
    const int64_t depth = std::min(kPanelDepth, k - first);
    for (int64_t c = 0; c < columns; ++c)
      ReadPart(kernels, args.weight, column + c, first, depth, panel.values.data() + c * kPanelStride);
    MultiplyRows(kernels.tile, kernels.tile_rows, args, reinterpret_cast<const std::byte*>(panel.values.data()),
                 kPanelStride * sizeof(float), column, columns, first, depth);
  }
}

}  // namespace

void GemmTiled(const TileKernels& kernels, std::span<const GemmArgs> products, ThreadPool& pool) {
  const GemmArgs& front = products.front();
  const int64_t m = front.m, k = front.weight.in_features;
  if (m == 0) return;
  // A few rows of x use a weight a few times only: a panel of one tile then stays in the first-level cache.
  const int64_t block = m <= std::max<int64_t>(kernels.direct_rows, 4) ? kTileColumns : kPanelColumns;
  const int64_t min_blocks = 1 + kMinProducts / (block * k * m + 1);
  ForEachColumnBlock(products, block, min_blocks, pool, [&](const GemmArgs& args, int64_t column, int64_t columns) {
    const TileFunction direct = DirectTile(kernels, args);
    if (!direct) return MultiplyPanels(kernels, args, column, columns);
    const int64_t row_bytes = k * static_cast<int64_t>(SizeOf(args.weight.dtype));
    MultiplyRows(direct, kernels.tile_rows, args, args.weight.data + column * row_bytes, row_bytes, column, columns, 0,
                 k);
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
