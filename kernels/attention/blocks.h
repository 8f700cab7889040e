#pragma once
// One task of attention in a single pass over its keys (Milakov and Gimelshein 2018, algorithm 3), a step of keys at a
// time (Dao et al. 2022): scores of all rows, their running maximum and sum, weighted values. Both products have the
// same form, rows of floats times a panel that is 32 wide, with the sums in registers. Half and 8-bit panels are
// widened while they are read, or once for all rows where there are many.

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

// to[rows, width] (+)= from[rows, depth] * panel[depth, width].
template <class Element>
struct ProductArgs {
  const float* from;
  int64_t from_stride;
  const Element* panel;
  int64_t panel_stride;
  int64_t depth;
  bool accumulate;
  float* to;
  int64_t to_stride;
};

// Unrolled by order: at -O2 the compiler would keep the loops, and with them the sums in memory.
template <int kRows, int kVectors, class Element>
ECLD_TARGET void Product(const ProductArgs<Element>& args) {
  Vector sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      sums[r][v] = args.accumulate ? Load(args.to + r * args.to_stride + v * kLanes) : Set(0);
  const Element* panel = args.panel;
  for (int64_t k = 0; k < args.depth; ++k, panel += args.panel_stride)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const Vector column = Load(panel + v * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) sums[r][v] = Fma(Set(args.from[r * args.from_stride + k]), column, sums[r][v]);
    }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) Store(args.to + r * args.to_stride + v * kLanes, sums[r][v]);
}

template <int kRows, int kVectors, class Element>
ECLD_TARGET void LastRows(int64_t rows, const ProductArgs<Element>& args) {
  if (rows == kRows) return Product<kRows, kVectors>(args);
  if constexpr (kRows > 1) LastRows<kRows - 1, kVectors>(rows, args);
}

template <int kVectors, class Element>
ECLD_TARGET void AllRows(int64_t rows, ProductArgs<Element> args) {
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
    if constexpr (std::is_same_v<Element, int8_t>)
      score = score * Load(run.piece.kv.KeyScales(run.task.kv_head) + key + c);
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
    if constexpr (std::is_same_v<Element, int8_t>)
      weight = weight * Load(run.piece.kv.ValueScales(run.task.kv_head) + key + c);
    Store(scores + c, weight);
  }
  run.totals[r] += Sum(total);
}

// sums += weights * values, for the keys of a step that the task may see.
template <class Element, class Panel>
ECLD_TARGET void AddValues(const TaskRun<Element>& run, const Panel* values, int64_t depth) {
  ProductArgs<Panel> product{.from = run.scores,
                             .from_stride = kKeyStep,
                             .panel = values,
                             .panel_stride = run.stride,
                             .depth = depth,
                             .accumulate = true,
                             .to = run.sums,
                             .to_stride = run.stride};
  for (int64_t left = run.stride; left > 0; left -= kKeyBlock) {
    if (left >= kKeyBlock)
      AllRows<kWide>(run.task.rows, product);
    else
      AllRows<kWide / 2>(run.task.rows, product);
    product.panel += kKeyBlock;
    product.to += kKeyBlock;
  }
}

template <class Element, class Panel>
ECLD_TARGET void Step(const TaskRun<Element>& run, int64_t key, const Panel* keys, const Panel* values) {
  const int64_t depth = std::min(kKeyStep, run.task.end_key - key);
  const int64_t columns = (depth + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
  for (int64_t c = 0; c < columns; c += kKeyBlock)
    AllRows<kWide>(run.task.rows, ProductArgs<Panel>{.from = run.queries,
                                                     .from_stride = run.head_dim,
                                                     .panel = keys + c * run.head_dim,
                                                     .panel_stride = kKeyBlock,
                                                     .depth = run.head_dim,
                                                     .accumulate = false,
                                                     .to = run.scores + c,
                                                     .to_stride = kKeyStep});
  for (int64_t r = 0; r < run.task.rows; ++r) Weigh(run, r, key, columns);
  AddValues(run, values, depth);
}

template <class Element>
ECLD_TARGET void Finish(const TaskRun<Element>& run, float* partials) {
  for (int64_t r = 0; r < run.task.rows; ++r) {
    const float* sums = run.sums + r * run.stride;
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
  const Element* all_keys = piece.kv.Keys<Element>(task.kv_head);
  const Element* all_values = piece.kv.Values<Element>(task.kv_head);
  for (int64_t key = task.first_key / kKeyBlock * kKeyBlock; key < task.end_key; key += kKeyStep) {
    const Element *keys = all_keys + key * head_dim, *values = all_values + key * stride;
    if constexpr (!std::is_same_v<Element, float>)
      if (task.rows > kMaxRows) {
        const int64_t depth = std::min(kKeyStep, task.end_key - key);
        Widen(keys, (depth + kKeyBlock - 1) / kKeyBlock * kKeyBlock * head_dim, run.wide_keys);
        Widen(values, depth * stride, run.wide_values);
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
