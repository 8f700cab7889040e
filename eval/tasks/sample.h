#pragma once
// What one item of a task came to: what the model said, and what that is worth. A line of the per-sample log.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "eval/tasks/prompts.h"
#include "eval/tasks/task.h"
#include "eval/uncertainty.h"
#include "runtime/prefix_scorer.h"

namespace ecld {

struct Sample {
  size_t item = 0;      // index among the items of the task
  size_t document = 0;  // index in the data file
  // Per request: sum of log-probabilities (nats) of the scored tokens, how many those are, whether all are greedy.
  std::vector<double> log_p;
  std::vector<int64_t> tok;
  std::vector<bool> greedy;
  int64_t gold = -1, answer = -1;        // choice: the right one, and the most likely one (the first of equals)
  std::string text;                      // generate: what came out
  int64_t text_tok = 0;                  // tokens generated
  std::vector<std::string> others;       // further texts after the same prompt
  bool truncated = false;                // the context, on the left
  std::map<std::string, double> values;  // per metric, by which its aggregate is made; and weights
  // 1 - (p1 - p2) over the tokens of the answer: those of the choice with the largest sum, the target's, or those
  // generated. Absent where the answer has no token.
  std::optional<AnswerUncertainty> uncertainty;
};

// A line of the log, and back. Numbers survive exactly. THROWS Error when a line is malformed.
Json ToJson(const Sample& sample);
Sample ParseSample(const JsonView& line);

// Scores: one per token scored, request by request. THROWS Error when a sum is not finite.
Sample ScoreChoices(const Task& task, const Prompt& prompt, std::span<const std::vector<TokenScore>> scores);
Sample ScoreContinuation(const Prompt& prompt, std::span<const TokenScore> scores);
// windows: of the one text.
Sample ScoreRolling(const Prompt& prompt, std::span<const std::vector<TokenScore>> windows);
// text: generated, cut before its first stop string.
Sample ScoreGenerated(const Task& task, const Prompt& prompt, const std::string& text,
                      std::span<const TokenScore> tokens, std::vector<std::string> others = {});

// How little a text agrees with others drawn after the same prompt: mean of -log p over its words, nats, with p the
// share of the word among those of all the texts and of itself (the unigram score of SelfCheckGPT, arXiv 2303.08896,
// section 5.3, over the whole answer). Words are runs of letters, marks and digits, in lower case. Absent for a text
// without any.
std::optional<double> Inconsistency(const std::string& text, std::span<const std::string> others);

// What a filter takes of a generated text; "[invalid]" where its expression does not match, as in
// lm-evaluation-harness.
std::string Extracted(const AnswerFilter& filter, const std::string& text);

}  // namespace ecld
