#pragma once
// Opening a checkpoint: how long it takes, and how many bytes it brings in.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "measure/measure.h"
#include "runtime/model.h"

namespace ecld {

// From opening the directory to the logits of one token. THROWS Error: what opening and running a checkpoint throws.
void LoadAndPredictOnce(const std::filesystem::path& directory, const RuntimeOptions& options, ThreadPool& pool);

// The time of that while the files are in the page cache.
Timing MeasureWarmLoad(const std::filesystem::path& directory, const RuntimeOptions& options, ThreadPool& pool);

// Bytes of all stored tensors by layer, [num_layers + 2]: embedding, blocks, final norm with head. A tied head counts
// with the embedding.
std::vector<int64_t> WeightBytesByLayer(const Checkpoint& checkpoint);

}  // namespace ecld
