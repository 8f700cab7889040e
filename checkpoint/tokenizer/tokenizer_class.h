#pragma once
// What transformers 5 makes of a tokenizer.json and the files beside it, written back into the tokenizer.json: the
// result, taken as it stands, gives transformers' ids. Two things are decided here:
//   - which class of transformers it is, and so which steps are the file's (tokenizer_steps.h);
//   - which tokens are added, and their ids: those of the file in its order, those that the files beside it tell, and
//     tokens with a role that have no id yet. A new token gets the id after the last one, whatever its file says.

#include "checkpoint/tokenizer/json_tokenizer_file.h"
#include "checkpoint/tokenizer/tokenizer_config.h"

namespace ecld {

// config gets the tokens that the class has for roles of which no file says anything.
// THROWS Error for an added token whose id would be another token's. Warns of ids that differ from the file's, and of
// ids that the model has no embedding for.
void ApplyTokenizerConfig(const std::string& where, TokenizerConfig* config, JsonTokenizerFile* file);

}  // namespace ecld
