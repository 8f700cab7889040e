#include "kernels/gemm/int8_tiled.h"

#include <array>
#include <cstring>

namespace ecld {
namespace {

constexpr int64_t kMinProducts = 1 << 17;     // per thread: below, waking another costs more than it brings
constexpr int64_t kMinRounded = 1 << 14;      // the same for activations
constexpr int64_t kPanelBytes = 256 << 10;    // of codes that stay in the second-level cache for all rows
constexpr int64_t kMaxProductsTogether = 16;  // of one call; more take another turn

// One call's memory, in the order of Int8Activations, each on a line of its own.
struct ActivationBuffer {
  int8_t* codes;
  float* scales;
  int32_t* minus_sums;
  int64_t stride, groups;

  Int8Activations From(int64_t row) const {
    return {codes + row * stride, scales + row * groups, minus_sums + row * groups, stride, groups};
  }
};

int64_t Pieces(int64_t blocks) { return (blocks + kActivationBlocks - 1) / kActivationBlocks; }

int64_t ActivationGroups(int64_t blocks, int64_t group_blocks) {
  return blocks / group_blocks * Pieces(group_blocks) + Pieces(blocks % group_blocks);
}

ActivationBuffer Carve(const WeightView& weight, int64_t m, GemmScratch& scratch) {
  const int64_t blocks = Blocks(weight), groups = ActivationGroups(blocks, GroupBlocks(weight));
  // Rows a multiple of 1 KiB apart would fall into the same cache sets.
  const int64_t stride = blocks * kBlockInputs + (blocks % 32 == 0 ? 64 : 0);
  const int64_t code_bytes = (m * stride + 63) / 64 * 64, scale_bytes = (m * groups * 4 + 63) / 64 * 64;
  std::byte* const bytes = scratch.Reserve(static_cast<size_t>(code_bytes + 2 * scale_bytes));
  return {.codes = reinterpret_cast<int8_t*>(bytes),
          .scales = reinterpret_cast<float*>(bytes + code_bytes),
          .minus_sums = reinterpret_cast<int32_t*>(bytes + code_bytes + scale_bytes),
          .stride = stride,
          .groups = groups};
}

void QuantizeRow(const Int8Kernels& kernels, const WeightView& weight, const float* x, int8_t* codes, float* scales,
                 int32_t* minus_sums) {
  const int64_t blocks = Blocks(weight), group_blocks = GroupBlocks(weight);
  const int64_t whole = weight.in_features / kBlockInputs;
  for (int64_t begin = 0, piece = 0; begin < blocks; begin += group_blocks) {
    const int64_t group_end = std::min(blocks, begin + group_blocks);
    for (int64_t block = begin; block < group_end; block += kActivationBlocks, ++piece) {
      const int64_t end = std::min(group_end, block + kActivationBlocks);
      const float* from = x + block * kBlockInputs;
      std::array<float, kActivationBlocks * kBlockInputs> filled_up;
      if (end > whole) {  // the row ends within this group
        filled_up.fill(0);
        std::copy(from, x + weight.in_features, filled_up.begin());
        from = filled_up.data();
      }
      kernels.quantize(from, end - block, codes + block * kBlockInputs, scales + piece, minus_sums + piece);
    }
  }
}

void Quantize(const Int8Kernels& kernels, const GemmArgs& args, const ActivationBuffer& buffer, ThreadPool& pool) {
  const int64_t k = args.weight.in_features;
  pool.ParallelFor(args.m, 1 + kMinRounded / (k + 1), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      QuantizeRow(kernels, args.weight, args.x + row * k, buffer.codes + row * buffer.stride,
                  buffer.scales + row * buffer.groups, buffer.minus_sums + row * buffer.groups);
  });
}

// Tiles [first, last) of one product, all rows. The codes of a panel of tiles stay in the cache while the rows pass.
void MultiplyTiles(const Int8Kernels& kernels, const GemmArgs& args, const ActivationBuffer& buffer, int64_t first,
                   int64_t last) {
  const int64_t tile_bytes = Blocks(args.weight) * BlockBytes(args.weight.format.bits);
  const int64_t panel = std::max<int64_t>(1, kPanelBytes / (kernels.tiles * tile_bytes)) * kernels.tiles;
  const int64_t row_blocks = (args.m + kernels.rows - 1) / kernels.rows;
  for (int64_t begin = first; begin < last; begin += panel) {
    const int64_t end = std::min(last, begin + panel);
    for (int64_t i = 0; i < row_blocks; ++i) {
      const int64_t row = args.m * i / row_blocks, rows = args.m * (i + 1) / row_blocks - row;
      for (int64_t tile = begin; tile < end; tile += kernels.tiles)
        kernels.multiply({.weight = args.weight,
                          .tile = tile,
                          .tiles = std::min(kernels.tiles, end - tile),
                          .x = buffer.From(row),
                          .rows = rows,
                          .y = args.y + row * args.weight.out_features});
    }
  }
}

// All threads share the outputs of all products evenly, in units of Int8Kernels::tiles.
void Multiply(const Int8Kernels& kernels, std::span<const GemmArgs> products, const ActivationBuffer& buffer,
              ThreadPool& pool) {
  std::array<int64_t, kMaxProductsTogether + 1> starts{};  // in units
  for (size_t i = 0; i < products.size(); ++i)
    starts[i + 1] = starts[i] + (Tiles(products[i].weight) + kernels.tiles - 1) / kernels.tiles;
  const GemmArgs& args = products.front();
  const int64_t unit_products = kernels.tiles * kTileOutputs * args.weight.in_features * args.m;
  pool.ParallelFor(starts[products.size()], 1 + kMinProducts / (unit_products + 1), [&](int64_t begin, int64_t end) {
    for (size_t i = 0; i < products.size(); ++i) {
      const int64_t first = std::max(begin, starts[i]) - starts[i], last = std::min(end, starts[i + 1]) - starts[i];
      if (first < last)
        MultiplyTiles(kernels, products[i], buffer, first * kernels.tiles,
                      std::min(last * kernels.tiles, Tiles(products[i].weight)));
    }
  });
}

}  // namespace

void GemmInt8(const Int8Kernels& kernels, std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch) {
  if (products.front().m == 0) return;
  while (!products.empty()) {
    const GemmArgs& first = products.front();
    size_t count = 1;  // products whose groups cut x in the same places
    while (count < products.size() && count < kMaxProductsTogether &&
           GroupBlocks(products[count].weight) == GroupBlocks(first.weight))
      ++count;
    const ActivationBuffer buffer = Carve(first.weight, first.m, scratch);
    Quantize(kernels, first, buffer, pool);
    Multiply(kernels, products.first(count), buffer, pool);
    products = products.subspan(count);
  }
}

bool GemmInt8Supports(const GemmArgs& args) { return args.weight.interleaved && !args.exact; }

}  // namespace ecld
