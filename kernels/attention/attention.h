#pragma once
// Causal attention of new tokens over their sequences' caches (Vaswani et al. 2017, equation 1), with grouped heads
// (Ainslie et al. 2023): query head h reads key head h / (num_heads / num_kv_heads). Row r of a piece is position
// first_position + r and attends to positions j <= its own; with a window also position - j < window, as in Mistral.
// What stands in the cache beyond a row's position has no part in it, provided it is finite.
//
// All pieces run in one parallel region. The result does not depend on the pool's size.

#include <cstdint>
#include <span>
#include <vector>

#include "core/threads.h"
#include "kernels/attention/kv.h"

namespace ecld {

struct AttentionPiece {
  const float* query = nullptr;  // [rows, num_heads, head_dim]
  KvView kv;                     // holds positions up to first_position + rows - 1
  int64_t rows = 0;
  int64_t first_position = 0;
  float* out = nullptr;  // [rows, num_heads, head_dim]
};

struct AttentionArgs {
  std::span<const AttentionPiece> pieces;  // all of one KvShape
  int64_t num_heads = 0;                   // a multiple of num_kv_heads
  int64_t window = 0;                      // 0 = none
  float scale = 1;                         // of query . key, 1 / sqrt(head_dim) as a rule

  // The first position that this one attends to.
  int64_t FirstKey(int64_t position) const { return window > 0 && position + 1 > window ? position + 1 - window : 0; }
};

// A stretch of a piece's rows over a stretch of its keys for one key head: what one thread does at a time. A row is a
// query head at a position, those of one position side by side.
struct AttentionTask {
  int64_t piece, kv_head;
  int64_t first_row, rows;
  int64_t first_key, end_key;
  int64_t partial = -1;  // where its sums go when the keys are split, in rows of AttentionScratch; -1: to the output
};

// Kept by the caller, so that a decoding loop does not allocate.
struct AttentionScratch {
  std::vector<AttentionTask> tasks;
  std::vector<float> partials;  // [rows, padded head_dim + 2]: sums of values, largest score, sum of weights
  std::vector<float> blocks;    // of each thread
};

// Runs the first implementation in the list that this CPU supports.
void Attention(const AttentionArgs& args, ThreadPool& pool, AttentionScratch& scratch);

// Writes one position: key, value [num_kv_heads, head_dim], which are turned in place where the cache holds turned
// vectors. Positions of one cache may be written at the same time. REQUIRES: position < view.capacity.
void AppendKv(const KvView& view, int64_t position, float* key, float* value);

}  // namespace ecld
