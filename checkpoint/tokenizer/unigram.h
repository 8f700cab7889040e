#pragma once
// The unigram model of sentencepiece (Kudo 2018, "Subword Regularization"): of all ways to cut a word into tokens, the
// one with the highest sum of scores, found by Viterbi's algorithm. A character that no token is costs the lowest score
// less 10; neighbours of that kind become one unknown token, or the bytes they are made of. Read only after
// construction. Ids are those of Hugging Face tokenizers; sampling is not done.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/vocabulary.h"

namespace ecld {

struct UnigramOptions {
  bool byte_level = false;     // characters are bytes
  bool byte_fallback = false;  // what has no token becomes its "<0xXX>" tokens, where all of them exist
  int32_t unk = -1;            // -1: unknown characters are an error
};

class UnigramModel {
 public:
  // scores: by id. vocabulary must outlive the model.
  UnigramModel(UnigramOptions options, const Vocabulary& vocabulary, std::vector<double> scores);

  // Memory that Encode reuses; one per thread.
  struct Scratch {
    struct Node {
      double score = 0;  // of the best way to here
      size_t begin = 0;  // where its last token starts
      int32_t id = -1;   // which it is
      bool reached = false;
    };
    std::vector<Node> nodes;   // by end, in bytes
    std::vector<size_t> path;  // ends of the tokens of the best way, the last first
  };

  // Appends the ids of one word to ids. THROWS Error for an unknown character when there is no unknown token.
  void Encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const;

 private:
  size_t CharacterSize(std::string_view word, size_t at) const;
  template <class Use>
  void ForTokensAt(std::string_view text, const Use& use) const;
  void AppendUnknown(std::string_view piece, std::vector<int32_t>& ids) const;

  UnigramOptions options_;
  const Vocabulary* vocabulary_;
  std::vector<double> scores_;
  std::vector<int32_t> sorted_;  // ids of all tokens with bytes, by their bytes
  double unk_score_ = 0;
};

}  // namespace ecld
