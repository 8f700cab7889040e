#pragma once
// Reads the text of a tokenizer.json. Vocabulary and merges are hundreds of thousands of entries and go straight into
// flat lists; everything else stays JSON.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"

namespace ecld {

struct JsonTokenizerFile {
  Json json;                                                // the file with model.vocab and model.merges emptied
  std::vector<std::pair<std::string, int32_t>> vocab;       // token text, id; as in the file
  std::vector<double> scores;                               // of a Unigram model, whose ids are places in a list
  std::vector<std::pair<std::string, std::string>> merges;  // in order of rank
  bool split_special_tokens = false;                        // tokenizer_config.json's: they are not looked for in texts
};

// THROWS Error on malformed JSON, an id that is no id, a score that is none, or a merge that is not two tokens.
JsonTokenizerFile ParseJsonTokenizer(std::string_view text, const std::string& where);

}  // namespace ecld
