#include "kernels/gemm/int8_tiled.h"

#include <array>
#include <cstring>

namespace ecld {
namespace {

constexpr int64_t kMinProducts = 1 << 17;     // per thread: below, waking another costs more than it brings
constexpr int64_t kMinRounded = 1 << 12;      // the same for activations
constexpr int64_t kPanelBytes = 256 << 10;    // of codes that stay in the second-level cache for all rows
constexpr int64_t kMaxProductsTogether = 16;  // of one call; more take another turn
constexpr int64_t kRowsAlone = 64;            // of x, per thread: from so many on, a thread takes rows

// Rows that a row of x becomes.
int64_t Planes(const GemmArgs& args) { return args.fine && args.weight.format.bits > 4 ? 2 : 1; }

// One call's memory, in the order of Int8Activations, each on a line of its own.
struct ActivationBuffer {
  int8_t* codes;
  float* scales;
  int32_t* minus_sums;
  int64_t stride, group_stride;

  Int8Activations From(int64_t row) const {
    return {codes + row * stride, scales + row, minus_sums + row, stride, group_stride};
  }
};

int64_t Pieces(int64_t blocks) { return (blocks + kActivationBlocks - 1) / kActivationBlocks; }

int64_t ActivationGroups(int64_t blocks, int64_t group_blocks) {
  return blocks / group_blocks * Pieces(group_blocks) + Pieces(blocks % group_blocks);
}

ActivationBuffer Carve(const WeightView& weight, int64_t rows, GemmScratch& scratch) {
  const int64_t blocks = Blocks(weight), groups = ActivationGroups(blocks, GroupBlocks(weight));
  // Rows, or groups, a multiple of 1 KiB apart would fall into the same cache sets.
  const int64_t stride = blocks * kBlockInputs + (blocks % 32 == 0 ? 64 : 0);
  const int64_t group_stride = rows + (rows % 256 == 0 ? 16 : 0);
  const int64_t code_bytes = (rows * stride + 63) / 64 * 64, scale_bytes = (groups * group_stride * 4 + 63) / 64 * 64;
  std::byte* const bytes = scratch.Reserve(static_cast<size_t>(code_bytes + 2 * scale_bytes));
  return {.codes = reinterpret_cast<int8_t*>(bytes),
          .scales = reinterpret_cast<float*>(bytes + code_bytes),
          .minus_sums = reinterpret_cast<int32_t*>(bytes + code_bytes + scale_bytes),
          .stride = stride,
          .group_stride = group_stride};
}

using ActivationGroup = std::array<float, kActivationBlocks * kBlockInputs>;

// One group of one row into rows [row, row + planes) of the buffer; the group is the buffer's number `piece`.
void QuantizeGroup(const Int8Kernels& kernels, const float* x, int64_t block, int64_t blocks, int64_t piece,
                   const ActivationBuffer& buffer, int64_t row, int64_t planes) {
  ActivationGroup left;
  for (int64_t plane = 0; plane < planes; ++plane) {
    int8_t* const codes = buffer.codes + (row + plane) * buffer.stride + block * kBlockInputs;
    const int64_t place = piece * buffer.group_stride + row + plane;
    float* const scale = buffer.scales + place;
    kernels.quantize(x, blocks, codes, scale, buffer.minus_sums + place);
    if (plane + 1 == planes) break;
    for (int64_t i = 0; i < blocks * kBlockInputs; ++i)
      left[static_cast<size_t>(i)] = x[i] - *scale * static_cast<float>(codes[i]);
    x = left.data();
  }
}

void QuantizeRow(const Int8Kernels& kernels, const GemmArgs& args, const ActivationBuffer& buffer, int64_t row) {
  const WeightView& weight = args.weight;
  const float* const x = args.x + row * weight.in_features;
  const int64_t blocks = Blocks(weight), group_blocks = GroupBlocks(weight), planes = Planes(args);
  const int64_t whole = weight.in_features / kBlockInputs;
  for (int64_t begin = 0, piece = 0; begin < blocks; begin += group_blocks) {
    const int64_t group_end = std::min(blocks, begin + group_blocks);
    for (int64_t block = begin; block < group_end; block += kActivationBlocks, ++piece) {
      const int64_t end = std::min(group_end, block + kActivationBlocks);
      const float* from = x + block * kBlockInputs;
      ActivationGroup filled_up;
      if (end > whole) {  // the row ends within this group
        filled_up.fill(0);
        std::copy(from, x + weight.in_features, filled_up.begin());
        from = filled_up.data();
      }
      QuantizeGroup(kernels, from, block, end - block, piece, buffer, row * planes, planes);
    }
  }
}

void Quantize(const Int8Kernels& kernels, const GemmArgs& args, const ActivationBuffer& buffer, ThreadPool& pool) {
  const int64_t k = args.weight.in_features;
  pool.ParallelFor(args.m, 1 + kMinRounded / (k + 1), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) QuantizeRow(kernels, args, buffer, row);
  });
}

// One tile of rows [row, row + rows) of a fine product: both planes of each row, added up.
void MultiplyFine(const Int8Kernels& kernels, const GemmArgs& args, const ActivationBuffer& buffer, int64_t tile,
                  int64_t row, int64_t rows, float* y) {
  std::array<float, kMaxInt8Rows * kTileOutputs> planes;
  const Int8Tile both{.weight = args.weight,
                      .tile = tile,
                      .x = buffer.From(2 * row),
                      .rows = 2 * rows,
                      .y = planes.data(),
                      .y_stride = kTileOutputs};
  kernels.multiply(both);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t o = 0; o < TileWidth(both); ++o) {
      const float* const first = planes.data() + 2 * r * kTileOutputs + o;
      y[r * args.weight.out_features + o] = first[0] + first[kTileOutputs];
    }
}

// A part of a product: tiles [first_tile, last_tile), rows [first_row, last_row).
struct Part {
  int64_t first_tile, last_tile, first_row, last_row;
};

// The codes of a panel of tiles stay in the cache while the rows pass.
void MultiplyPart(const Int8Kernels& kernels, const GemmArgs& args, const ActivationBuffer& buffer, const Part& part) {
  const int64_t count = part.last_row - part.first_row;
  const int64_t tile_bytes = Blocks(args.weight) * BlockBytes(args.weight.format.bits);
  const int64_t panel = std::max<int64_t>(1, kPanelBytes / tile_bytes);
  const int64_t planes = Planes(args), most = kernels.rows / planes, row_blocks = (count + most - 1) / most;
  for (int64_t begin = part.first_tile; begin < part.last_tile; begin += panel) {
    const int64_t end = std::min(part.last_tile, begin + panel);
    for (int64_t i = 0; i < row_blocks; ++i) {
      const int64_t row = part.first_row + count * i / row_blocks;
      const int64_t rows = part.first_row + count * (i + 1) / row_blocks - row;
      for (int64_t tile = begin; tile < end; ++tile) {
        float* const y = args.y + row * args.weight.out_features + tile * kTileOutputs;
        if (planes > 1)
          MultiplyFine(kernels, args, buffer, tile, row, rows, y);
        else
          kernels.multiply({.weight = args.weight,
                            .tile = tile,
                            .x = buffer.From(row),
                            .rows = rows,
                            .y = y,
                            .y_stride = args.weight.out_features});
      }
    }
  }
}

// Threads take the tiles of all products as they come to them.
void MultiplyByTiles(const Int8Kernels& kernels, std::span<const GemmArgs> products, const ActivationBuffer& buffer,
                     ThreadPool& pool) {
  std::array<int64_t, kMaxProductsTogether + 1> starts{};  // in tiles
  for (size_t i = 0; i < products.size(); ++i) starts[i + 1] = starts[i] + Tiles(products[i].weight);
  const GemmArgs& args = products.front();
  const int64_t tile_products = kTileOutputs * args.weight.in_features * args.m;
  pool.ShareOut(starts[products.size()], 1 + kMinProducts / (tile_products + 1), [&](int64_t begin, int64_t end) {
    for (size_t i = 0; i < products.size(); ++i) {
      const int64_t first = std::max(begin, starts[i]) - starts[i], last = std::min(end, starts[i + 1]) - starts[i];
      if (first < last) MultiplyPart(kernels, products[i], buffer, {first, last, 0, args.m});
    }
  });
}

// Threads share the rows: what a row is rounded from was made, and what comes out is used, by the same processor then,
// and nothing but weights is read from afar.
void RoundAndMultiplyByRows(const Int8Kernels& kernels, std::span<const GemmArgs> products,
                            const ActivationBuffer& buffer, ThreadPool& pool) {
  const GemmArgs& args = products.front();
  pool.ParallelFor(args.m, kRowsAlone, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) QuantizeRow(kernels, args, buffer, row);
    for (const GemmArgs& product : products)
      MultiplyPart(kernels, product, buffer, {0, Tiles(product.weight), begin, end});
  });
}

}  // namespace

void GemmInt8(const Int8Kernels& kernels, std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch) {
  if (products.front().m == 0) return;
  while (!products.empty()) {
    const GemmArgs& first = products.front();
    size_t count = 1;  // products that take x rounded in the same way
    while (count < products.size() && count < kMaxProductsTogether &&
           GroupBlocks(products[count].weight) == GroupBlocks(first.weight) && Planes(products[count]) == Planes(first))
      ++count;
    const ActivationBuffer buffer = Carve(first.weight, first.m * Planes(first), scratch);
    if (first.m >= kRowsAlone * pool.size()) {
      RoundAndMultiplyByRows(kernels, products.first(count), buffer, pool);
    } else {
      Quantize(kernels, first, buffer, pool);
      MultiplyByTiles(kernels, products.first(count), buffer, pool);
    }
    products = products.subspan(count);
  }
}

bool GemmInt8Supports(const GemmArgs& args) { return args.weight.interleaved && !args.exact; }

}  // namespace ecld
