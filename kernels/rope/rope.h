#pragma once
// Rotary position embedding (Su et al. 2021, equation 34) in the half-split order of Hugging Face checkpoints: element
// i of a head is paired with element i + head_dim / 2.

#include <cstdint>

#include "core/threads.h"

namespace ecld {

struct RopeArgs {
  float* x = nullptr;             // [rows, heads, head_dim], rotated in place
  const float* cosine = nullptr;  // [rows, head_dim / 2] of position * frequency
  const float* sine = nullptr;
  int64_t rows = 0, heads = 0, head_dim = 0;
};

void Rope(const RopeArgs& args, ThreadPool& pool);

}  // namespace ecld
