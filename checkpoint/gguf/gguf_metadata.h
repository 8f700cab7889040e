#pragma once
// Whether anything that a GGUF file says would be lost: each key is applied by the other files of this folder, is known
// to have no effect on what a model of the architecture computes, or has a value at which it has none. Any other value
// is an Error, a key that nobody knows is told.

#include <string>
#include <vector>

#include "checkpoint/config.h"
#include "checkpoint/gguf/gguf_file.h"

namespace ecld {

// config: as read from the file. Returns the keys that are not known. THROWS Error naming a key whose value would
// change what the model computes, or its texts' ids.
std::vector<std::string> CheckGgufMetadata(const GgufContents& gguf, const ModelConfig& config);

}  // namespace ecld
