#pragma once
// What quantize.allocate chooses formats for: matrices, or groups of them that clients fuse, with the bytes of each
// format. Facts of the config only; no weights.

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/config.h"
#include "checkpoint/tensor_table.h"
#include "quantize/knapsack.h"
#include "quantize/scheme.h"

namespace ecld {

struct AllocationUnit {
  std::string name;  // "model.layers.0.self_attn.q_proj+k_proj+v_proj"
  int64_t layer = -1;
  std::vector<TensorSpec> members;  // rows of the dense table
};

struct AllocationSpace {
  std::vector<AllocationUnit> units;
  std::vector<std::optional<PackedFormat>> formats;  // in the order given; nullopt: dense
  uint64_t fixed_B = 0;                              // of all that is not in a unit
  std::vector<std::vector<uint64_t>> bytes;          // [unit][format]
};

// fuse: q, k, v of a block are one unit, and gate, up. embeddings, lm_head: whether the ends are units.
AllocationSpace SpaceOf(const ModelConfig& dense, std::vector<std::optional<PackedFormat>> formats, bool fuse,
                        bool embeddings, bool lm_head);

// The quantization_config of a choice: chosen[unit] is an index into formats; and the bytes of the whole checkpoint.
// THROWS Error when everything stays dense.
Allocation AllocationOf(const ModelConfig& dense, const AllocationSpace& space, const std::vector<size_t>& chosen,
                        const std::string& where);

}  // namespace ecld
