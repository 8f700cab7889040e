#pragma once
// One task of attention in a single pass over its keys (Milakov and Gimelshein 2018, algorithm 3), a step of keys at a
// time (Dao et al. 2022): scores of all rows, their running maximum and sum, weighted values. Both products have the
// same form, rows of floats times a panel that is 32 wide, with the sums in registers. Narrower panels are widened
// while they are read, or once for all rows where there are many.

#include <algorithm>
#include <limits>
#include <type_traits>

#include "kernels/attention/append.h"
#include "kernels/attention/implementations.h"
#include "kernels/simd/exp2.h"

namespace ecld {
namespace {

constexpr int kWide = static_cast<int>(kKeyBlock / kLanes);  // vectors of a whole panel
constexpr int kMaxRows = kAccumulators / kWide;
constexpr float kNone = -std::numeric_limits<float>::infinity();

template <class Element>
inline constexpr bool kScaled = std::is_same_v<Element, int8_t> || std::is_same_v<Element, CodePair>;

// Vector v of a row of a panel: of elements, of one half of the bits of bytes, or of the low half, then the high one.
template <class Element>
ECLD_TARGET inline Vector Column(const Element* row, int v) {
  return Load(row + v * kLanes);
}
enum class Bits4 { kLow, kHigh, kLowThenHigh };
template <Bits4 kBits>
struct Codes {
  const CodePair* row;
  void operator+=(int64_t pairs) { row += pairs; }
};
template <Bits4 kBits>
ECLD_TARGET inline Vector Column(Codes<kBits> codes, int v) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(codes.row);
  if (kBits == Bits4::kLow || (kBits == Bits4::kLowThenHigh && v < kWide / 2)) return LoadLow(bytes + v * kLanes);
  return LoadHigh(bytes + (kBits == Bits4::kHigh ? v : v - kWide / 2) * kLanes);
}

// to[rows, width] (+)= from[rows, depth] * panel[depth, width].
template <class Panel>
struct ProductArgs {
  const float* from;
  int64_t from_stride;
  Panel panel;
  int64_t panel_stride;
  int64_t depth;
  bool accumulate;
  float* to;
  int64_t to_stride;
};

// Unrolled by order: at -O2 the compiler would keep the loops, and with them the sums in memory.
template <int kRows, int kVectors, class Panel>
ECLD_TARGET void Product(const ProductArgs<Panel>& args) {
  Vector sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      sums[r][v] = args.accumulate ? Load(args.to + r * args.to_stride + v * kLanes) : Set(0);
  Panel panel = args.panel;
  for (int64_t k = 0; k < args.depth; ++k, panel += args.panel_stride)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const Vector column = Column(panel, v);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sums[r][v] = Fma(Set(args.from[r * args.from_stride + k]), column, sums[r][v]);
    }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) Store(args.to + r * args.to_stride + v * kLanes, sums[r][v]);
}

template <int kRows, int kVectors, class Panel>
ECLD_TARGET void LastRows(int64_t rows, const ProductArgs<Panel>& args) {
  if (rows == kRows) return Product<kRows, kVectors>(args);
  if constexpr (kRows > 1) LastRows<kRows - 1, kVectors>(rows, args);
}

template <int kVectors, class Panel>
ECLD_TARGET void AllRows(int64_t rows, ProductArgs<Panel> args) {
  for (; rows > 0; rows -= kMaxRows) {
    LastRows<kMaxRows, kVectors>(std::min<int64_t>(rows, kMaxRows), args);
    args.from += kMaxRows * args.from_stride;
    args.to += kMaxRows * args.to_stride;
  }
}

template <class Element>
ECLD_TARGET void Widen(const Element* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; i += kLanes) Store(to + i, Load(from + i));
}
// A row of 32.
template <Bits4 kBits>
ECLD_TARGET void Widen(Codes<kBits> from, float* to) {
  for (int v = 0; v < kWide; ++v) Store(to + v * kLanes, Column(from, v));
}

// Blocks of keys and rows of values as floats, in the same order.
template <class Element>
ECLD_TARGET void WidenKeys(const KvShape& shape, const Element* from, int64_t blocks, float* to) {
  if constexpr (std::is_same_v<Element, CodePair>) {
    const int64_t half = shape.KeyHalf();
    for (int64_t block = 0; block < blocks; ++block, to += kKeyBlock * shape.head_dim)
      for (int64_t d = 0; d < half; ++d, from += kKeyBlock) {
        Widen(Codes<Bits4::kLow>{from}, to + d * kKeyBlock);
        if (half + d < shape.head_dim) Widen(Codes<Bits4::kHigh>{from}, to + (half + d) * kKeyBlock);
      }
  } else {
    Widen(from, blocks * kKeyBlock * shape.head_dim, to);
  }
}
template <class Element>
ECLD_TARGET void WidenValues(const KvShape& shape, const Element* from, int64_t rows, float* to) {
  const int64_t stride = shape.ValueStride();
  if constexpr (std::is_same_v<Element, CodePair>) {
    for (int64_t row = 0; row < rows; ++row, to += stride, from += shape.ValueRowBytes())
      for (int64_t d = 0; d < stride; d += kLanes)
        Store(to + d, Column(Codes<Bits4::kLowThenHigh>{from + d / 32 * 16}, static_cast<int>(d % 32 / kLanes)));
  } else {
    Widen(from, rows * stride, to);
  }
}

template <class Element>
struct TaskRun {
  const AttentionArgs& args;
  const AttentionTask& task;
  const AttentionPiece& piece;
  const KvShape& shape;
  int64_t group, head_dim, stride;  // stride: of a row of values
  float *queries, *scores, *sums, *largest, *totals, *wide_keys, *wide_values;
};

// The queries of the task, scaled so that powers of two take the place of powers of e.
template <class Element>
ECLD_TARGET void PackQueries(const TaskRun<Element>& run) {
  const Vector scale = Set(run.args.scale * 1.4426950408889634f);
  for (int64_t r = 0; r < run.task.rows; ++r) {
    const int64_t row = run.task.first_row + r;
    const int64_t head = run.task.kv_head * run.group + row % run.group;
    const float* from = run.piece.query + (row / run.group * run.args.num_heads + head) * run.head_dim;
    float* to = run.queries + r * run.head_dim;
    int64_t d = 0;
    for (; d + kLanes <= run.head_dim; d += kLanes) Store(to + d, Load(from + d) * scale);
    if (d < run.head_dim) StoreFirst(to + d, run.head_dim - d, LoadFirst(from + d, run.head_dim - d) * scale);
    if constexpr (std::is_same_v<Element, CodePair>) TurnStretches(to, run.head_dim, TurnSize(run.head_dim));
  }
}

// Scores of keys [key, key + columns), columns a multiple of a block, to weights relative to the largest so far.
template <class Element>
ECLD_TARGET void Weigh(const TaskRun<Element>& run, int64_t r, int64_t key, int64_t columns) {
  const int64_t position = run.piece.first_position + (run.task.first_row + r) / run.group;
  const int64_t first = std::max(run.args.FirstKey(position), run.task.first_key) - key;
  const int64_t end = std::min(position + 1, run.task.end_key) - key;
  float* scores = run.scores + r * kKeyStep;
  Vector largest = Set(kNone);
  for (int64_t c = 0; c < columns; c += kLanes) {
    Vector score = Load(scores + c);
    if constexpr (kScaled<Element>) score = score * Load(run.piece.kv.KeyScales(run.task.kv_head) + key + c);
    if (first > c || end < c + kLanes) score = KeepLanes(score, first - c, end - c, Set(kNone));
    Store(scores + c, score);
    largest = Max(largest, score);
  }
  const float before = run.largest[r], now = std::max(before, Largest(largest));
  if (now == kNone) {
    std::fill_n(scores, columns, 0.0f);
    return;
  }
  if (now > before) {
    const Vector shrink = Exp2(Set(before - now));
    float* sums = run.sums + r * run.stride;
    for (int64_t d = 0; d < run.stride; d += kLanes) Store(sums + d, Load(sums + d) * shrink);
    run.totals[r] *= Sum(shrink) / kLanes;
    run.largest[r] = now;
  }
  Vector total = Set(0);
  for (int64_t c = 0; c < columns; c += kLanes) {
    Vector weight = Exp2(Load(scores + c) - Set(now));
    total = total + weight;
    if constexpr (kScaled<Element>) weight = weight * Load(run.piece.kv.ValueScales(run.task.kv_head) + key + c);
    Store(scores + c, weight);
  }
  run.totals[r] += Sum(total);
}

// scores (+)= queries from element `first` on * a block of keys.
template <class Element, class Panel>
ECLD_TARGET void Score(const TaskRun<Element>& run, Panel keys, int64_t first, int64_t depth, float* scores) {
  AllRows<kWide>(run.task.rows, ProductArgs<Panel>{.from = run.queries + first,
                                                   .from_stride = run.head_dim,
                                                   .panel = keys,
                                                   .panel_stride = kKeyBlock,
                                                   .depth = depth,
                                                   .accumulate = first > 0,
                                                   .to = scores,
                                                   .to_stride = kKeyStep});
}

// sums += weights * values, for the keys of a step that the task may see. Panel: 32 columns, or the first 16 of them,
// stride to those of the next key, block to the next 32.
template <class Element, class Panel>
ECLD_TARGET void AddValues(const TaskRun<Element>& run, Panel values, int64_t stride, int64_t block, int64_t depth) {
  ProductArgs<Panel> product{.from = run.scores,
                             .from_stride = kKeyStep,
                             .panel = values,
                             .panel_stride = stride,
                             .depth = depth,
                             .accumulate = true,
                             .to = run.sums,
                             .to_stride = run.stride};
  for (int64_t left = run.stride; left > 0; left -= kKeyBlock) {
    if (left >= kKeyBlock)
      AllRows<kWide>(run.task.rows, product);
    else
      AllRows<kWide / 2>(run.task.rows, product);
    product.panel += block;
    product.to += kKeyBlock;
  }
}

// Of the keys of a step, as they are stored or widened.
template <class Element, class Stored>
ECLD_TARGET void Step(const TaskRun<Element>& run, int64_t key, const Stored* keys, const Stored* values) {
  const int64_t depth = std::min(kKeyStep, run.task.end_key - key), half = run.shape.KeyHalf();
  const int64_t columns = WholeKeyBlocks(depth);
  for (int64_t c = 0; c < columns; c += kKeyBlock) {
    if constexpr (std::is_same_v<Stored, CodePair>) {
      Score(run, Codes<Bits4::kLow>{keys + c * half}, 0, half, run.scores + c);
      Score(run, Codes<Bits4::kHigh>{keys + c * half}, half, run.head_dim - half, run.scores + c);
    } else {
      Score(run, keys + c * run.head_dim, 0, run.head_dim, run.scores + c);
    }
  }
  for (int64_t r = 0; r < run.task.rows; ++r) Weigh(run, r, key, columns);
  if constexpr (std::is_same_v<Stored, CodePair>)
    AddValues(run, Codes<Bits4::kLowThenHigh>{values}, run.shape.ValueRowBytes(), 16, depth);
  else
    AddValues(run, values, run.stride, kKeyBlock, depth);
}

template <class Element>
ECLD_TARGET void Finish(const TaskRun<Element>& run, float* partials) {
  for (int64_t r = 0; r < run.task.rows; ++r) {
    float* sums = run.sums + r * run.stride;
    if constexpr (std::is_same_v<Element, CodePair>) TurnStretches(sums, run.head_dim, TurnSize(run.head_dim));
    if (run.task.partial >= 0) {
      float* to = partials + (run.task.partial + r) * (run.stride + 2);
      std::copy_n(sums, run.stride, to);
      to[run.stride] = run.largest[r];
      to[run.stride + 1] = run.totals[r];
      continue;
    }
    const int64_t row = run.task.first_row + r, head = run.task.kv_head * run.group + row % run.group;
    float* to = run.piece.out + (row / run.group * run.args.num_heads + head) * run.head_dim;
    const Vector inverse = Set(1 / run.totals[r]);
    int64_t d = 0;
    for (; d + kLanes <= run.head_dim; d += kLanes) Store(to + d, Load(sums + d) * inverse);
    if (d < run.head_dim) StoreFirst(to + d, run.head_dim - d, Load(sums + d) * inverse);
  }
}

template <class Element>
ECLD_TARGET void RunTaskOf(const AttentionArgs& args, const AttentionTask& task, float* block, float* partials) {
  const AttentionPiece& piece = args.pieces[static_cast<size_t>(task.piece)];
  const KvShape& shape = piece.kv.shape;
  const int64_t head_dim = shape.head_dim, stride = shape.ValueStride();
  const TaskRun<Element> run{
      .args = args,
      .task = task,
      .piece = piece,
      .shape = shape,
      .group = args.num_heads / shape.num_kv_heads,
      .head_dim = head_dim,
      .stride = stride,
      .queries = block,
      .scores = block + kTaskRows * head_dim,
      .sums = block + kTaskRows * (head_dim + kKeyStep),
      .largest = block + kTaskRows * (head_dim + kKeyStep + stride),
      .totals = block + kTaskRows * (head_dim + kKeyStep + stride + 1),
      .wide_keys = block + kTaskRows * (head_dim + kKeyStep + stride + 2),
      .wide_values = block + kTaskRows * (head_dim + kKeyStep + stride + 2) + kKeyStep * head_dim};
  PackQueries(run);
  std::fill_n(run.sums, task.rows * stride, 0.0f);
  std::fill_n(run.largest, task.rows, kNone);
  std::fill_n(run.totals, task.rows, 0.0f);
  for (int64_t key = task.first_key / kKeyBlock * kKeyBlock; key < task.end_key; key += kKeyStep) {
    const Element* keys = piece.kv.KeyBlock<Element>(task.kv_head, key);
    const Element* values = piece.kv.ValueRow<Element>(task.kv_head, key);
    if constexpr (!std::is_same_v<Element, float>)
      if (task.rows > kMaxRows) {
        const int64_t depth = std::min(kKeyStep, task.end_key - key);
        WidenKeys(shape, keys, (depth + kKeyBlock - 1) / kKeyBlock, run.wide_keys);
        WidenValues(shape, values, depth, run.wide_values);
        Step<Element, float>(run, key, run.wide_keys, run.wide_values);
        continue;
      }
    Step<Element, Element>(run, key, keys, values);
  }
  Finish(run, partials);
}

ECLD_TARGET void RunTask(const AttentionArgs& args, const AttentionTask& task, float* block, float* partials) {
  switch (args.pieces.front().kv.shape.type) {
    case KvType::kF32:
      return RunTaskOf<float>(args, task, block, partials);
    case KvType::kF16:
      return RunTaskOf<uint16_t>(args, task, block, partials);
    case KvType::kQ8:
      return RunTaskOf<int8_t>(args, task, block, partials);
    case KvType::kQ4:
      return RunTaskOf<CodePair>(args, task, block, partials);
  }
}

void Run(const AttentionArgs& args, ThreadPool& pool, AttentionScratch& scratch) {
  RunAttentionTasks({.run_task = RunTask}, args, pool, scratch);
}

constexpr AttentionImplementation AttentionOf(const char* name) {
  return {.name = name, .supports = CpuHasVectors, .run = Run, .append = Append};
}

}  // namespace
}  // namespace ecld
