#pragma once
// What a checkpoint holds: its tensors, how each is stored, and what of it runs how.

#include <cstdint>
#include <string>

#include "checkpoint/checkpoint.h"
#include "core/document.h"

namespace ecld {

// Of one parameter as it is stored, all parts together.
uint64_t StoredBytes(const Checkpoint& checkpoint, const TensorSpec& spec);
std::string StoredFormat(const Checkpoint& checkpoint, const TensorSpec& spec);  // "BF16", "W4 g128 sym"

// Reads all weights, for the hashes of tensors and blocks.
Json InspectCheckpoint(const Checkpoint& checkpoint);

}  // namespace ecld
