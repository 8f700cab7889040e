#pragma once
// The answers to one task, from the log that `eval --tasks --samples` wrote beside its result.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "eval/uncertainty.h"

namespace ecld {

struct ScoredItem {
  size_t item = 0;
  bool correct = false;  // of a task that is judged
  int64_t gen_tok = 0;
  AnswerUncertainty uncertainty;
};

struct ScoredItems {
  std::string task;
  bool judged = false;         // an answer is right or wrong
  bool generated = false;      // the answers are texts, not choices
  bool hallucination = false;  // a wrong answer is one
  std::vector<ScoredItem> items;
};

// task: its part of the result of `eval --tasks`. hallucination: as WrongIsHallucination says of it. No items where the
// task has no answers: a text that is only scored. THROWS Error: the log below folder is of other weights, another task
// or other data, or lacks items or their uncertainty.
ScoredItems ReadScoredItems(const JsonView& task, bool hallucination, const std::filesystem::path& folder,
                            const std::string& weights_sha256);

// "<task>/<item>", as a cell of a table.
std::string ItemId(const std::string& task, size_t item);

// A text that a cell of a table can hold: "exact_match,strict-match" with a colon.
std::string PlainCell(std::string text);

}  // namespace ecld
