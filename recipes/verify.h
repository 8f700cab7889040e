#pragma once
// Re-opens the bytes of a checkpoint and checks them: everything that Checkpoint::Open checks, then every value.

#include <cstdint>
#include <filesystem>

#include "checkpoint/checkpoint.h"

namespace ecld {

struct Verified {
  int64_t tensors = 0;  // stored tensors
  uint64_t bytes = 0;   // of all of them
};

// THROWS Error naming the tensor: NaN or infinity in a dense tensor or in scales, a negative scale, bits set in the
// unused end of a packed row.
Verified VerifyValues(const Checkpoint& checkpoint);

// A checkpoint that is to be run: as VerifyValues, and its tokenizer has no token beyond the vocabulary. Returns the
// tokenizer's size too. THROWS Error as Checkpoint::Open, Tokenizer::Open and VerifyValues do.
struct VerifiedModel {
  Verified values;
  int64_t tokens = 0;
};
VerifiedModel VerifyModel(const std::filesystem::path& directory);

// A stage's output: as VerifyValues, and config, names, types, shapes and ties are exactly those planned.
Verified VerifyStage(const std::filesystem::path& directory, const ModelConfig& planned);

}  // namespace ecld
