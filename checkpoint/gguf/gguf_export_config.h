#pragma once
// The other direction of gguf_config.h: a model config as GGUF metadata.

#include <string>
#include <vector>

#include "checkpoint/config.h"
#include "checkpoint/gguf/gguf_writer.h"

namespace ecld {

// Architecture, sizes and rotary embedding, without the tensors' types. notes: what llama.cpp will do otherwise.
// where: config.json, for errors. THROWS Error for what the architectures llama, qwen2 and qwen3 of GGUF cannot say.
void PutGgufConfig(const ModelConfig& config, const std::string& where, GgufWriter* out,
                   std::vector<std::string>* notes);

// THROWS Error naming the first thing in which read, the config of a written GGUF file, is another model than config.
void RequireSameModel(const ModelConfig& config, const ModelConfig& read, const std::string& where);

}  // namespace ecld
