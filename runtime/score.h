#pragma once
// What a model says about given texts: the logits at each position, and from them log-probabilities. Any number of
// windows; short ones are batched, long ones cut, so memory stays bounded whatever the vocabulary (hidden states of
// kBatchRows tokens, and kLogitsBytes of logits per model).

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "runtime/session.h"

namespace ecld {

inline constexpr int64_t kBatchRows = 1024;
inline constexpr int64_t kLogitsBytes = 64'000'000;

// tokens[first_scored ..] are predicted from what stands before them. The window is all context there is.
struct ScoreWindow {
  std::span<const int32_t> tokens;
  int64_t first_scored = 1;  // at least 1: the first token has nothing before it
};

// A model that reads windows, and the ids by which it does: own_ids[id of the windows] = its id; empty: the same.
struct ScoredModel {
  ScoredModel(Session* reading, std::span<const int32_t> ids = {}) : session(reading), own_ids(ids) {}  // NOLINT

  Session* session;
  std::span<const int32_t> own_ids;
};

// logits[i]: row of model i, [its vocab_size], predicting windows[window].tokens[position].
using PositionVisitor =
    std::function<void(int64_t window, int64_t position, std::span<const std::span<const float>> logits)>;

// Visits every scored position of every window, with the logits of all models side by side (one for perplexity, two
// for a divergence). The visitor is called from several threads at once, each time for another position: it writes
// to a slot of its own and does not append. The windows' ids are those of the models without own_ids; REQUIRES one.
// THROWS Error as Session does, when the vocabularies of these differ, or a window scores nothing.
void VisitPositions(std::span<const ScoredModel> models, std::span<const ScoreWindow> windows,
                    const PositionVisitor& visit);

// log P(tokens[position] | tokens before it) in nats, for each window from first_scored on.
std::vector<std::vector<double>> Score(Session& session, std::span<const ScoreWindow> windows);

// log(sum(exp(logits))), computed in double. logits[i] - LogSumExp(logits) is the log-probability of i.
double LogSumExp(std::span<const float> logits);

}  // namespace ecld
