#pragma once
// What of a checkpoint another one has too, by the bytes that are stored: equal dtypes, shapes and bytes give equal
// hashes, whatever they are called and wherever they lie. A block is a decoder block, the embedding, or what comes
// behind the last block (final norm, and the head where it is not tied). Side files and config.json are not in it. Of
// another program's formats it is what they are read as.

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace ecld {

struct ContentHash {
  std::string name;  // of the tensor; "embedding", "layers.0", ..., "head"
  uint64_t bytes = 0;
  std::string sha256;
};

struct ContentHashes {
  std::vector<ContentHash> tensors;  // of the table, all stored parts of one together
  std::vector<ContentHash> blocks;   // in the order in which the table names them
};

// Reads all weights once, and keeps a few megabytes of them in memory. THROWS Error: they cannot be read.
ContentHashes HashContents(const Checkpoint& checkpoint);

}  // namespace ecld
