#pragma once
// Scores texts that share beginnings: the answers to one question, questions after one set of examples. What is shared
// runs once. Texts become a tree of common beginnings; each level runs as few calls, every branch on a copy of the keys
// and values above it. Texts are neither padded nor truncated, so their order and their lengths cost nothing.

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/kv_cache.h"
#include "runtime/score.h"
#include "runtime/session.h"

namespace ecld {

// What the model thought of one token before it saw it.
struct TokenScore {
  double log_p = 0;     // log-probability of the token, nats
  double margin = 0;    // p1 - p2: probability of the most likely token less that of the second, in [0, 1]
  bool greedy = false;  // the token is the most likely one (of equal logits the lowest id is)
};

// Of a token whose logits these are. REQUIRES: logits finite, at least two, token in range.
TokenScore ScoreToken(std::span<const float> logits, int32_t token);

class PrefixScorer {
 public:
  // cache_B: memory for keys and values, at most; a single text takes what it needs. The session must outlive this.
  explicit PrefixScorer(Session& session, uint64_t cache_B = 512'000'000);
  ~PrefixScorer();

  // For each text its tokens from first_scored on. Calls in a row that go on with the same beginning reuse it too.
  // THROWS Error as Session does, and when a text scores nothing.
  std::vector<std::vector<TokenScore>> Score(std::span<const ScoreWindow> texts);

  int64_t tokens_run() const { return tokens_run_; }  // through the model, of all calls

 private:
  struct Node;
  struct Wanted;

  int64_t RopeLengthOf(size_t text) const;
  size_t TakeBatch(std::span<const size_t> order, size_t begin) const;
  void RunBatch(std::span<const size_t> batch);
  int64_t ExtendTrunk(std::span<const size_t> batch);
  void BuildTree(std::span<const size_t> batch, int64_t depth, int64_t parent, size_t level);
  void RunLevel(std::span<const int64_t> level);
  void RunNodes(std::span<const int64_t> nodes);
  void ScoreRows(std::span<const float> hidden, std::span<const Wanted> wanted);

  Session& session_;
  uint64_t cache_B_;
  int64_t tokens_run_ = 0;
  // What all texts of the batch begin with; stays for the next one.
  std::vector<int32_t> trunk_;
  KvCache trunk_cache_;
  int64_t trunk_rope_length_ = 0;
  // Of the batch that runs.
  std::span<const ScoreWindow> texts_;
  std::vector<std::vector<TokenScore>>* scores_ = nullptr;
  std::vector<Node> nodes_;
  std::vector<std::vector<int64_t>> levels_;  // nodes of each depth of the tree
  std::vector<float> rows_, logits_;
};

}  // namespace ecld
