#pragma once
// A sentencepiece tokenizer.model (Llama 2, Mistral v1 to v3), run by the sentencepiece library. Tokens written out in
// a text, the model's control tokens ("<s>", "[INST]") and those that the files beside it add, become their ids, and
// each stretch of text between them is encoded on its own. Ids are those of LlamaTokenizer of transformers 4 with the
// sentencepiece library, which is what models were trained with: transformers 5 rebuilds the merges of a
// tokenizer.model without its scores, and gives other ids where spaces stand side by side. Bytes that are not UTF-8
// become U+FFFD, as the library has it.

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
