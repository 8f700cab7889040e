#pragma once
// The tokenizer of a checkpoint directory as GGUF metadata: byte-level BPE as model "gpt2", BPE over sentencepiece's
// pieces with byte fallback as model "llama". The inverse of gguf_tokenizer.h, and checked by it: a tokenizer rebuilt
// from the metadata must give every token's text, and a page of mixed text, the same ids.

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/config.h"
#include "checkpoint/gguf/gguf_writer.h"

namespace ecld {

// Adds the keys tokenizer.*, chat template included; ids above the tokenizer's become unused tokens, since llama.cpp
// wants one for each row of the embedding. notes: what GGUF cannot say of an added token, or a stop.
// REQUIRES: out has no tensors yet. THROWS Error: no tokenizer.json; more tokens than rows; a pre-tokenizer without a
// name in GGUF; a text that would get other ids.
void PutGgufTokenizer(const std::filesystem::path& directory, const ModelConfig& config, GgufWriter* out,
                      std::vector<std::string>* notes);

}  // namespace ecld
