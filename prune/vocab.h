#pragma once
// Pass prune.vocab: takes tokens away that the user's text does not need, with their rows of embedding and head. Which
// ones is decided by how often they stand in the calibration text, and by a prior from the tokenizer's own merges,
// which are in the order of their frequency in the text that it was made from. Tokenizer, config and every file that
// names an id are rewritten together; token_map.json keeps the old ids (checkpoint/tokenizer/token_map.h).

#include <cstdint>
#include <vector>

#include "checkpoint/tokenizer/merge_tree.h"
#include "model/pass.h"

namespace ecld {

struct PruneVocabOptions {
  double tokens = 0.75;      // to keep: how many, or (up to 1) which share of them
  int64_t multiple_of = 64;  // rounded up to a multiple of this
  double prior = 1'000'000;  // tokens of text that the prior counts as
};

// How often each token is expected, [tokens of the tree]: what was counted plus, for each merge, prior * its share
// under Zipf's law shifted by kPriorShift: 1 / (rank + kPriorShift).
inline constexpr double kPriorShift = 5000;
std::vector<double> ExpectedCounts(const MergeTree& tree, const std::vector<double>& counted, double prior);

// Ids of the tokens to keep, ascending. From all of them, the one is taken away again and again that lengthens the text
// least, of equal ones the one merged last: a token that no other is made of, each of whose occurrences then is its two
// parts. So whatever is kept has its parts (merge_tree.h). Rows without a token go first.
// REQUIRES: LeastTokens(tree) <= keep <= tokens of the tree.
std::vector<int32_t> ChooseTokens(const MergeTree& tree, std::vector<double> expected, int64_t keep);

// Those that cannot go.
int64_t LeastTokens(const MergeTree& tree);

class PruneVocabPass : public Pass {
 public:
  explicit PruneVocabPass(PruneVocabOptions options) : options_(options) {}

  PassNeeds Needs() const override { return {.texts = true}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  PruneVocabOptions options_;
};

std::unique_ptr<Pass> MakePruneVocab(Options& options);

}  // namespace ecld
