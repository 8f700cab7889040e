#pragma once
// The metadata of a GGUF file read as a model config. Architectures llama (Llama and Mistral), qwen2 and qwen3; another
// one, or a feature that their Hugging Face configs cannot say, is an Error.

#include "checkpoint/config.h"
#include "checkpoint/gguf/gguf_file.h"

namespace ecld {

// dtype: in which the dense weights will be written. THROWS Error naming file and key.
ModelConfig ReadGgufConfig(const GgufContents& gguf, DType dtype);

// The ids at which generation stops: end of sequence, of turn and of message, as far as the file names them.
std::vector<int64_t> GgufStopIds(const GgufContents& gguf);

// A token id under "tokenizer.ggml.<name>_token_id"; nullopt when absent, or all ones, which stands for none.
std::optional<int64_t> GgufTokenId(const GgufContents& gguf, std::string_view name);

}  // namespace ecld
