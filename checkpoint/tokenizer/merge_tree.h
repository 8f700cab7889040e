#pragma once
// How the tokens of a BPE tokenizer.json are made of each other: which two tokens a token is merged from, and which
// tokens a vocabulary cannot be without. What cutting a vocabulary (prune.vocab) looks at.
//
// A word's merges end in a token only by way of that token's own merges, whatever stands around them. So a set of
// tokens that holds both parts of each of its tokens is still reached by its merges alone, and every word that was one
// of its tokens still is.

#include <cstdint>
#include <filesystem>
#include <vector>

namespace ecld {

struct MergeTree {
  struct Token {
    bool present = false;  // else a row of the embedding without a token
    bool fixed = false;    // a byte (or a character, where there is no other way to write it), added, special, named
    int32_t left = -1;     // what the last merge of its text joins; -1: no merges lead to it
    int32_t right = -1;
    int64_t rank = -1;    // of that merge
    int32_t symbols = 1;  // bytes or characters that its text starts as
    bool merged() const { return left >= 0; }
  };
  std::vector<Token> tokens;  // by id, [vocab_size]
  int64_t merges = 0;         // of the file

  // Sets fixed for whatever fixed tokens are made of, so that those left are closed.
  void FixParts();
};

// Of the tokenizer of a checkpoint directory, as it is run (tokenizer_class.h), and of the ids that its files name
// (token_ids.h); fixed parts included. THROWS Error: no tokenizer.json (saying what there is), a model other than BPE,
// more tokens than the model has rows.
MergeTree ReadMergeTree(const std::filesystem::path& directory, int64_t vocab_size);

}  // namespace ecld
