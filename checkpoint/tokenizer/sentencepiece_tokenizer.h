#pragma once
// A sentencepiece tokenizer.model (Llama 2, Mistral v1 to v3), run by the sentencepiece library. Control tokens written
// out in a text ("<s>", "[INST]") become their ids, and each stretch of text between them is encoded on its own.
// Bytes that are not UTF-8 become U+FFFD, as the library has it.

#include <memory>
#include <string>
#include <string_view>

#include "checkpoint/tokenizer/tokenizer.h"
#include "checkpoint/tokenizer/tokenizer_config.h"

namespace ecld {

// model: the bytes of the file; where: its name in errors. THROWS Error.
std::unique_ptr<Tokenizer> ReadSentencePieceTokenizer(std::string_view model, const std::string& where,
                                                      const TokenizerConfig& config);

}  // namespace ecld
