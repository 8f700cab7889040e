#pragma once
// A tokenizer.json (the format of Hugging Face tokenizers) with a BPE or unigram model. Ids are those of transformers 5
// for the file and those beside it (tokenizer_class.h); bytes that are not UTF-8, which they cannot take, are words of
// their own, and with a byte-level model Decode(Encode(text)) == text for any bytes (for text in form C, where the file
// asks for NFC). Truncation and padding in the file are not applied.

#include <memory>
#include <string>
#include <string_view>

#include "checkpoint/tokenizer/json_tokenizer_file.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "checkpoint/tokenizer/tokenizer_config.h"

namespace ecld {

// text: a whole tokenizer.json; where: its name in errors. config: what the files beside it say.
// THROWS Error, with the path inside the file, for what is malformed or not supported.
std::unique_ptr<Tokenizer> ReadJsonTokenizer(std::string_view text, const std::string& where, TokenizerConfig config);

// The same for a file and a config that were applied to each other already.
std::unique_ptr<Tokenizer> ReadJsonTokenizer(const JsonTokenizerFile& file, const std::string& where,
                                             const TokenizerConfig& config);

}  // namespace ecld
