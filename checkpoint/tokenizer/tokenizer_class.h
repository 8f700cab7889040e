#pragma once
// What transformers 5 makes of a tokenizer.json and the files beside it, written back into the tokenizer.json: the
// result, taken as it stands, gives transformers' ids. Two things are decided here:
//   - some classes (LlamaTokenizer, Qwen2Tokenizer, GPT2Tokenizer) take vocabulary, merges and post-processor from the
//     file and bring the rest themselves; which class it is depends on tokenizer_config.json and config.json. Where the
//     file has another kind of vocabulary than the class, it is taken as it stands, with a warning;
//   - which tokens are added, and their ids: those of the file in its order, those that the files beside it tell, and
//     tokens with a role that have no id yet. A new token gets the id after the last one, whatever its file says.

#include "checkpoint/tokenizer/json_tokenizer_file.h"
#include "checkpoint/tokenizer/tokenizer_config.h"

namespace ecld {

// THROWS Error for an added token whose id would be another token's. Warns of ids that differ from the file's, and of
// ids that the model has no embedding for.
void ApplyTokenizerConfig(const TokenizerConfig& config, const std::string& where, JsonTokenizerFile* file);

}  // namespace ecld
