// How attention is cut into tasks and dealt to threads. Prompts: stretches of rows over all their keys. Decoding: the
// rows of a position that share a key head, over stretches of keys whose sums are merged in order. The cut depends on
// the problem alone; which thread takes which task does not matter to the result.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "kernels/attention/implementations.h"

namespace ecld {
namespace {

constexpr int64_t kSplitKeys = 256;      // where keys are split
constexpr int64_t kSmallWork = 1 << 15;  // products: below, waking another thread costs more than it brings

int64_t Work(const AttentionTask& task) { return task.rows * (task.end_key - task.first_key); }

int64_t Group(const AttentionArgs& args) { return args.num_heads / args.pieces.front().kv.shape.num_kv_heads; }

// The tasks of rows [first, first + count) of a piece, for every key head. Returns the rows of partial sums they use.
int64_t AddTasks(const AttentionArgs& args, int64_t piece_index, int64_t first, int64_t count, int64_t partial,
                 std::vector<AttentionTask>* tasks) {
  const AttentionPiece& piece = args.pieces[static_cast<size_t>(piece_index)];
  const int64_t group = Group(args), rows = piece.rows * group;
  const int64_t first_key = args.FirstKey(piece.first_position + first / group);
  const int64_t end_key = piece.first_position + (first + count - 1) / group + 1;
  // Other rows give the threads enough to do.
  const bool split = rows <= kTaskRows && end_key - first_key > kSplitKeys;
  int64_t used = 0;
  for (int64_t head = 0; head < piece.kv.shape.num_kv_heads; ++head) {
    for (int64_t key = first_key; key < end_key;) {
      const int64_t end = split ? std::min(end_key, (key / kSplitKeys + 1) * kSplitKeys) : end_key;
      tasks->push_back({.piece = piece_index,
                        .kv_head = head,
                        .first_row = first,
                        .rows = count,
                        .first_key = key,
                        .end_key = end,
                        .partial = split ? partial + used : -1});
      if (split) used += count;
      key = end;
    }
  }
  return used;
}

// The partial sums of consecutive tasks that differ in keys only, into the output of their rows.
void Merge(const AttentionArgs& args, std::span<const AttentionTask> parts, const std::vector<float>& partials) {
  const AttentionTask& task = parts.front();
  const AttentionPiece& piece = args.pieces[static_cast<size_t>(task.piece)];
  const int64_t group = Group(args), head_dim = piece.kv.shape.head_dim, stride = piece.kv.shape.ValueStride() + 2;
  for (int64_t r = 0; r < task.rows; ++r) {
    const auto part = [&](const AttentionTask& of) { return partials.data() + (of.partial + r) * stride; };
    float largest = -std::numeric_limits<float>::infinity(), total = 0;
    for (const AttentionTask& of : parts) largest = std::max(largest, part(of)[stride - 2]);
    const int64_t row = task.first_row + r;
    float* out = piece.out + (row / group * args.num_heads + task.kv_head * group + row % group) * head_dim;
    std::fill_n(out, head_dim, 0.0f);
    for (const AttentionTask& of : parts) {
      const float* sums = part(of);
      const float weight = std::exp2(sums[stride - 2] - largest);
      total += weight * sums[stride - 1];
      for (int64_t d = 0; d < head_dim; ++d) out[d] += weight * sums[d];
    }
    for (int64_t d = 0; d < head_dim; ++d) out[d] /= total;
  }
}

void MergeAll(const AttentionArgs& args, const AttentionScratch& scratch) {
  const std::span<const AttentionTask> tasks = scratch.tasks;
  for (size_t i = 0; i < tasks.size();) {
    size_t end = i + 1;
    while (end < tasks.size() && tasks[end].piece == tasks[i].piece && tasks[end].kv_head == tasks[i].kv_head &&
           tasks[end].first_row == tasks[i].first_row)
      ++end;
    if (tasks[i].partial >= 0) Merge(args, tasks.subspan(i, end - i), scratch.partials);
    i = end;
  }
}

// Fills scratch.tasks. Returns all their work.
int64_t Plan(const AttentionArgs& args, AttentionScratch& scratch) {
  const KvShape& shape = args.pieces.front().kv.shape;
  const int64_t group = Group(args);
  int64_t partial_rows = 0, work = 0;
  scratch.tasks.clear();
  for (size_t p = 0; p < args.pieces.size(); ++p) {
    const int64_t rows = args.pieces[p].rows * group;
    // Later rows have more keys: they come first, so that the last tasks to be taken are short.
    for (int64_t end = rows; end > 0;) {
      const int64_t first = (end - 1) / kTaskRows * kTaskRows;
      partial_rows += AddTasks(args, static_cast<int64_t>(p), first, end - first, partial_rows, &scratch.tasks);
      end = first;
    }
  }
  for (const AttentionTask& task : scratch.tasks) work += Work(task) * shape.head_dim;
  const auto partial_floats = static_cast<size_t>(partial_rows * (shape.ValueStride() + 2));
  if (scratch.partials.size() < partial_floats) scratch.partials.resize(partial_floats);
  return work;
}

}  // namespace

void RunAttentionTasks(const AttentionKernels& kernels, const AttentionArgs& args, ThreadPool& pool,
                       AttentionScratch& scratch) {
  if (args.pieces.empty()) return;
  const int64_t work = Plan(args, scratch), threads = pool.size();
  const int64_t floats = (FloatsOfBlocks(args.pieces.front().kv.shape) + 15) / 16 * 16;
  if (scratch.blocks.size() < static_cast<size_t>(threads * floats))
    scratch.blocks.resize(static_cast<size_t>(threads * floats));
  std::atomic<size_t> next = 0;
  pool.ParallelFor(threads, work < kSmallWork ? threads : 1, [&](int64_t thread, int64_t) {
    float* blocks = scratch.blocks.data() + thread * floats;
    for (size_t i = next++; i < scratch.tasks.size(); i = next++)
      kernels.run_task(args, scratch.tasks[i], blocks, scratch.partials.data());
  });
  MergeAll(args, scratch);
}

}  // namespace ecld
