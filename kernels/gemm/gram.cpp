#include "kernels/gemm/gram.h"

#include <algorithm>

#include "core/dtype.h"
#include "kernels/elementwise/elementwise.h"

namespace ecld {
namespace {

constexpr int64_t kTile = 32;    // of x that is transposed
constexpr int64_t kPanel = 512;  // columns of the sums at a time: those right of the diagonal are skipped

template <class Element>
void Grow(std::vector<Element>& room, int64_t count) {
  if (room.size() < static_cast<size_t>(count)) room.resize(static_cast<size_t>(count));
}

// x as [features, tokens], in scratch.columns, and rounded beside it unless exact. Tile by tile: a tile's rows of the
// result are so few that all their pages stay known to the processor. The rows that a tile is made of lie far apart;
// they are read first, so that their lines come from memory together.
void Transpose(const GramArgs& args, ThreadPool& pool, GramScratch& scratch) {
  Grow(scratch.columns, args.features * args.tokens);
  if (!args.exact) Grow(scratch.rounded, args.features * args.tokens);
  pool.ParallelFor((args.features + kTile - 1) / kTile, 1, [&](int64_t begin, int64_t end) {
    float in[kTile][kTile] = {};
    for (int64_t f = begin * kTile; f < std::min(end * kTile, args.features); f += kTile)
      for (int64_t t = 0; t < args.tokens; t += kTile) {
        const int64_t width = std::min(kTile, args.features - f), height = std::min(kTile, args.tokens - t);
        for (int64_t row = 0; row < height; ++row) std::copy_n(args.x + (t + row) * args.features + f, width, in[row]);
        for (int64_t column = 0; column < width; ++column) {
          const int64_t at = (f + column) * args.tokens + t;
          for (int64_t row = 0; row < height; ++row) scratch.columns[static_cast<size_t>(at + row)] = in[row][column];
          if (args.exact) continue;
          for (int64_t row = 0; row < height; ++row)
            scratch.rounded[static_cast<size_t>(at + row)] = FloatToBf16(in[row][column]);
        }
      }
  });
}

// By products of panels, on any processor.
void GramByProducts(const GramArgs& args, ThreadPool& pool, GramScratch& scratch) {
  const int64_t features = args.features, tokens = args.tokens;
  Transpose(args, pool, scratch);
  Grow(scratch.panel, features * std::min(kPanel, features));
  for (int64_t first = 0; first < features; first += kPanel) {
    const int64_t width = std::min(kPanel, features - first), rows = features - first;
    const float* columns = scratch.columns.data() + first * tokens;
    const void* weights = args.exact ? static_cast<const void*>(columns) : scratch.rounded.data() + first * tokens;
    const GemmArgs product = {.weight = {.out_features = width,
                                         .in_features = tokens,
                                         .dtype = args.exact ? DType::kF32 : DType::kBF16,
                                         .data = static_cast<const std::byte*>(weights)},
                              .x = columns,
                              .m = rows,
                              .y = scratch.panel.data(),
                              .exact = args.exact};
    Gemm({&product, 1}, pool, scratch.gemm);
    pool.ParallelFor(rows, MinRows(width), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        Elementwise().add(product.y + row * width, width, args.sums + (first + row) * features + first);
    });
  }
}

bool Any(const GramArgs&) { return true; }

}  // namespace

std::span<const GramImplementation> GramImplementations() {
  static constexpr GramImplementation kAll[] = {
#if defined(__x86_64__)
    {"avx512_bf16", GramAvx512Bf16Supports, GramAvx512Bf16},
#endif
    {"products", Any, GramByProducts},
  };
  return kAll;
}

void Gram(const GramArgs& args, ThreadPool& pool, GramScratch& scratch) {
  for (const GramImplementation& implementation : GramImplementations())
    if (implementation.supports(args)) return implementation.run(args, pool, scratch);
}

uint64_t GramScratchBytes(int64_t tokens, int64_t features) {
  return static_cast<uint64_t>(features) * static_cast<uint64_t>(6 * tokens + 4 * kPanel);
}

}  // namespace ecld
