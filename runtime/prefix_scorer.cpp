#include "runtime/prefix_scorer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "core/error.h"
#include "runtime/checks.h"

namespace ecld {
namespace {

// A shorter common beginning is run anew for each text: a branch costs a copy and one more level.
constexpr int64_t kMinShared = 4;

// The last token of a text predicts nothing and is not run.
int64_t Run(const ScoreWindow& text) { return static_cast<int64_t>(text.tokens.size()) - 1; }

int64_t CommonLength(std::span<const int32_t> a, std::span<const int32_t> b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

}  // namespace

// Tokens [begin, end) of one text, which all texts below share.
struct PrefixScorer::Node {
  int64_t parent = -1;  // -1: the trunk
  int64_t begin = 0, end = 0;
  std::span<const size_t> texts;  // those below, in order
  int64_t children = 0;           // that have not taken the cache
  int64_t longest = 0;            // tokens of the longest text below
  std::optional<KvCache> cache;
};

// A row of logits and the token which it must predict.
struct PrefixScorer::Wanted {
  int64_t row;
  size_t text;
  int64_t position;
};

TokenScore ScoreToken(std::span<const float> logits, int32_t token) {
  const auto first = static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  float second = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i)
    if (i != first) second = std::max(second, logits[i]);
  const double log_sum = LogSumExp(logits);
  return {.log_p = double{logits[static_cast<size_t>(token)]} - log_sum,
          .margin = std::exp(double{logits[first]} - log_sum) - std::exp(double{second} - log_sum),
          .greedy = first == static_cast<size_t>(token)};
}

PrefixScorer::PrefixScorer(Session& session, uint64_t cache_B)
    : session_(session), cache_B_(cache_B), trunk_cache_(session.model()) {}

PrefixScorer::~PrefixScorer() = default;

std::vector<std::vector<TokenScore>> PrefixScorer::Score(std::span<const ScoreWindow> texts) {
  std::vector<std::vector<TokenScore>> scores;
  for (size_t i = 0; i < texts.size(); ++i) {
    const ScoreWindow& text = texts[i];
    if (text.first_scored < 1 || text.first_scored > Run(text))
      Fail("", "text {} has {} tokens and is scored from position {}: must hold at least two and score one", i,
           text.tokens.size(), text.first_scored);
    CheckTokens(session_.model(), std::span(text.tokens).last(1), Run(text));
    scores.emplace_back(text.tokens.size() - static_cast<size_t>(text.first_scored));
  }
  texts_ = texts;
  scores_ = &scores;
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // Texts share beginnings only where their lengths ask for the same rotation.
  std::ranges::stable_sort(order, [&](size_t a, size_t b) {
    if (RopeLengthOf(a) != RopeLengthOf(b)) return RopeLengthOf(a) < RopeLengthOf(b);
    return std::ranges::lexicographical_compare(texts[a].tokens, texts[b].tokens);
  });
  for (size_t begin = 0; begin < order.size();) {
    const size_t end = TakeBatch(order, begin);
    RunBatch(std::span(order).subspan(begin, end - begin));
    begin = end;
  }
  return scores;
}

int64_t PrefixScorer::RopeLengthOf(size_t text) const {
  return RopeLength(session_.model().config(), std::ssize(texts_[text].tokens));
}

// As many texts as caches fit when each text has one of its own: more are never alive.
size_t PrefixScorer::TakeBatch(std::span<const size_t> order, size_t begin) const {
  const uint64_t per_token = KvCache::BytesPerToken(session_.model());
  uint64_t bytes = 0;
  size_t end = begin;
  for (; end < order.size(); ++end) {
    bytes += per_token * texts_[order[end]].tokens.size();
    if (end > begin && (bytes > cache_B_ || RopeLengthOf(order[end]) != RopeLengthOf(order[begin]))) break;
  }
  return end;
}

void PrefixScorer::RunBatch(std::span<const size_t> batch) {
  nodes_.clear();
  levels_.clear();
  const int64_t depth = ExtendTrunk(batch);
  BuildTree(batch, depth, -1, 0);
  for (const auto& level : levels_) RunLevel(level);
}

// Brings the trunk to what all texts of the batch begin with, short of any row that is scored. Returns its length.
int64_t PrefixScorer::ExtendTrunk(std::span<const size_t> batch) {
  const auto first = texts_[batch.front()].tokens;
  int64_t length = batch.size() > 1 ? CommonLength(first, texts_[batch.back()].tokens) : Run(texts_[batch.front()]);
  for (size_t text : batch) length = std::min(length, texts_[text].first_scored - 1);
  const int64_t rope_length = RopeLengthOf(batch.front());
  const int64_t kept = rope_length == trunk_rope_length_ ? std::min(length, CommonLength(trunk_, first)) : 0;
  trunk_rope_length_ = rope_length;
  trunk_.resize(static_cast<size_t>(kept));
  trunk_cache_.Truncate(kept);
  if (batch.size() == 1) return kept;  // the rest runs with the text
  for (int64_t at = kept; at < length; at += kBatchRows) {
    const auto piece = first.subspan(static_cast<size_t>(at), static_cast<size_t>(std::min(kBatchRows, length - at)));
    session_.Forward({{&trunk_cache_, piece, std::ssize(first)}});
    tokens_run_ += static_cast<int64_t>(piece.size());
    trunk_.insert(trunk_.end(), piece.begin(), piece.end());
  }
  return length;
}

// batch: texts in lexicographical order, equal before depth. Nodes go to levels_[level] and below.
void PrefixScorer::BuildTree(std::span<const size_t> batch, int64_t depth, int64_t parent, size_t level) {
  const auto first = texts_[batch.front()].tokens;
  const auto last = texts_[batch.back()].tokens;
  int64_t shared = batch.size() == 1 ? Run(texts_[batch.front()]) : CommonLength(first, last);
  for (size_t text : batch) shared = std::min(shared, Run(texts_[text]));
  const auto next = [&](size_t i) { return texts_[batch[i]].tokens[static_cast<size_t>(shared)]; };
  const bool splits = next(0) != next(batch.size() - 1);
  if (shared > depth && (!splits || shared - depth >= kMinShared)) {
    Node node{.parent = parent, .begin = depth, .end = shared, .texts = batch};
    for (size_t text : batch) node.longest = std::max(node.longest, Run(texts_[text]));
    if (parent >= 0) ++nodes_[static_cast<size_t>(parent)].children;
    if (levels_.size() <= level) levels_.resize(level + 1);
    parent = static_cast<int64_t>(nodes_.size());
    levels_[level++].push_back(parent);
    nodes_.push_back(std::move(node));
    depth = shared;
  }
  // Below it, the texts that go on, by their next token.
  for (size_t begin = 0; begin < batch.size();) {
    size_t end = begin + 1;
    while (end < batch.size() && next(end) == next(begin)) ++end;
    // Those which end here have nothing to run; they are the first of their group.
    while (begin < end && Run(texts_[batch[begin]]) <= depth) ++begin;
    if (begin < end) BuildTree(batch.subspan(begin, end - begin), depth, parent, level);
    begin = end;
  }
}

void PrefixScorer::RunLevel(std::span<const int64_t> level) {
  for (size_t begin = 0; begin < level.size();) {
    int64_t rows = 0;
    size_t end = begin;
    for (; end < level.size(); ++end) {
      const Node& node = nodes_[static_cast<size_t>(level[end])];
      rows += node.end - node.begin;
      if (end > begin && rows > kBatchRows) break;
    }
    RunNodes(level.subspan(begin, end - begin));
    begin = end;
  }
}

void PrefixScorer::RunNodes(std::span<const int64_t> nodes) {
  std::vector<Piece> pieces;
  for (int64_t index : nodes) {
    Node& node = nodes_[static_cast<size_t>(index)];
    if (node.parent < 0) {
      node.cache = trunk_cache_;
    } else {
      Node& parent = nodes_[static_cast<size_t>(node.parent)];
      // The last child takes what the others copied.
      if (--parent.children == 0)
        node.cache = std::move(parent.cache);
      else
        node.cache = parent.cache;
    }
    node.cache->Reserve(node.longest);
    const auto tokens = texts_[node.texts.front()].tokens;
    pieces.push_back({&*node.cache,
                      tokens.subspan(static_cast<size_t>(node.begin), static_cast<size_t>(node.end - node.begin)),
                      std::ssize(tokens)});
  }
  const std::span<const float> hidden = session_.Forward(pieces);

  std::vector<Wanted> wanted;
  int64_t row = 0;
  for (int64_t index : nodes) {
    Node& node = nodes_[static_cast<size_t>(index)];
    for (int64_t at = node.begin; at < node.end; ++at, ++row)
      for (size_t text : node.texts)
        if (at + 1 >= texts_[text].first_scored) wanted.push_back({row, text, at + 1});
    tokens_run_ += node.end - node.begin;
    if (node.children == 0) node.cache.reset();
  }
  ScoreRows(hidden, wanted);
}

// wanted: in order of rows; several may want one row.
void PrefixScorer::ScoreRows(std::span<const float> hidden, std::span<const Wanted> wanted) {
  const auto width = static_cast<size_t>(session_.model().config().hidden_size);
  const auto vocab = static_cast<size_t>(session_.model().config().vocab_size);
  const size_t chunk = std::max<size_t>(1, static_cast<size_t>(kLogitsBytes) / 4 / vocab);
  for (size_t begin = 0; begin < wanted.size();) {
    rows_.clear();
    std::vector<size_t> first;  // of those who want the same row
    size_t end = begin;
    for (; end < wanted.size(); ++end) {
      if (end > begin && wanted[end].row == wanted[end - 1].row) continue;
      if (first.size() == chunk) break;
      first.push_back(end);
      const auto row = hidden.subspan(static_cast<size_t>(wanted[end].row) * width, width);
      rows_.insert(rows_.end(), row.begin(), row.end());
    }
    logits_.resize(first.size() * vocab);
    session_.Logits(rows_, logits_);
    first.push_back(end);
    session_.pool().ParallelFor(static_cast<int64_t>(first.size()) - 1, 1, [&](int64_t from, int64_t to) {
      for (auto i = static_cast<size_t>(from); i < static_cast<size_t>(to); ++i) {
        const auto logits = std::span<const float>(logits_).subspan(i * vocab, vocab);
        for (size_t w = first[i]; w < first[i + 1]; ++w) {
          const ScoreWindow& text = texts_[wanted[w].text];
          (*scores_)[wanted[w].text][static_cast<size_t>(wanted[w].position - text.first_scored)] =
              ScoreToken(logits, text.tokens[static_cast<size_t>(wanted[w].position)]);
        }
      }
    });
    begin = end;
  }
}

}  // namespace ecld
