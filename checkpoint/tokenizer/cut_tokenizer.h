#pragma once
// The tokenizer of a model directory, cut to some of its tokens: tokenizer.json with its vocabulary, merges, added
// tokens and whatever else of it holds an id, and every file beside it with one (token_ids.h). A file that only another
// program reads is removed: tokenizer.json says the same, and now says something else.

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/token_ids.h"

namespace ecld {

struct CutFiles {
  std::vector<std::string> rewritten, removed;  // relative to the directory
};

// directory: has the files of `from`, which are cut where they lie, and a config.json of the cut model.
// THROWS Error: a token that a file names is cut; files that, read together as transformers does, no longer give each
// kept token its new id (they did not agree with each other before).
CutFiles CutTokenizer(const std::filesystem::path& from, const std::filesystem::path& directory, const NewIds& ids);

}  // namespace ecld
