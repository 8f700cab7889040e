#pragma once
// The tokenizer classes of transformers 5 that bring steps of their own: which of them a directory gets, what steps and
// which tokens with roles it has. Each takes the vocabulary and merges of the tokenizer.json; what it does not bring is
// the file's. What CodeLlama makes of "<FILL_ME>", two texts around a gap, is not here.

#include <string>
#include <vector>

#include "checkpoint/tokenizer/json_tokenizer_file.h"
#include "checkpoint/tokenizer/tokenizer_config.h"

namespace ecld {

enum class TokenizerClass { kAsFile, kLlama, kCodeLlama, kGemma, kQwen2, kGpt2, kGptNeoX, kCohere };

const char* NameOf(TokenizerClass kind);

// As AutoTokenizer chooses; kAsFile, with a warning, also for a file which has another kind of vocabulary than the
// class, and for a class that is not known here. tokenizer: a tokenizer.json. where: its name.
TokenizerClass ChooseTokenizerClass(const TokenizerConfig& config, const Json& tokenizer, const std::string& where);

// Tokens that the class has for roles of which no file says anything, in the order of roles.
std::vector<TokenizerConfig::Named> DefaultTokens(TokenizerClass kind, const std::string& where);

// Replaces model options, normalizer, pre-tokenizer, decoder and, where the class has its own, the post-processor.
// config: with the default tokens; file: with all tokens added. REQUIRES kind is not kAsFile.
void BuildSteps(TokenizerClass kind, const TokenizerConfig& config, JsonTokenizerFile* file);

}  // namespace ecld
