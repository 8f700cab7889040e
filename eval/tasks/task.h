#pragma once
// A task: what is asked of a model, and how its answers are scored. Data, read from a YAML file; README.md here says
// what may stand in one, and *.yaml here are those that ship.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/tasks/documents.h"
#include "eval/tasks/text_template.h"

namespace ecld {

enum class TaskKind {
  kChoice,        // log-likelihood of every choice after a context
  kContinuation,  // log-likelihood of one target after a context
  kRolling,       // log-likelihood of a whole text
  kGenerate       // greedy text after a context
};

// What is taken from a generated text before it is compared.
struct AnswerFilter {
  std::string name;
  std::optional<Regex> regex;  // absent: the whole text
  bool last = false;           // the last match counts, not the first
};

struct Task {
  std::string name;
  std::string group;   // tasks of one file with `each`; empty for others
  std::string where;   // the file, for errors
  std::string scorer;  // whose definition of prompts and metrics this is
  std::string sha256;  // of the file
  TaskKind kind = TaskKind::kChoice;

  DataFile data;
  Json variables = Json::object();  // of `each`: added to the fields of every document
  TextFunctions functions;
  std::optional<TextTemplate> expand;  // JSON: a list of objects; a document becomes as many items, with their fields

  int64_t shots = 0;
  bool shots_fixed = false;           // the prompt holds its own examples
  std::optional<DataFile> shot_data;  // absent: examples are drawn from `data`, without the item itself
  bool first_shots = false;           // the first ones for every item; else drawn at random
  // One more example is drawn, and one which equals the item left out: as lm-evaluation-harness does for a task without
  // a test split, wherever its examples come from.
  bool spare_shot = false;

  std::string delimiter = " ", shot_delimiter = "\n\n";
  std::optional<TextTemplate> description, text, target, gold, labels, cue, raw;
  std::vector<TextTemplate> choices, contexts;  // one template per choice, ...
  std::optional<TextTemplate> choice_list;      // ... or one that gives all as JSON

  std::vector<std::string> until;  // stops a generated text, which ends before it
  int64_t max_tokens = 256;
  std::vector<AnswerFilter> filters;
  std::vector<Regex> ignored;  // removed from both before an answer is compared
  bool ignore_case = false;
  int64_t more_texts = 0;          // drawn at temperature 1 after the same prompt, for the metric inconsistency
  std::vector<Regex> abstentions;  // a generated text that matches any gives no answer

  std::vector<std::string> metrics;   // of core/metric_table.h
  std::vector<std::string> measures;  // figures of hallucination, of the same table
};

// The tasks of a file: one, or one per value of `each`. THROWS Error with file and line.
std::vector<Task> ReadTasks(std::string_view yaml, const std::string& where);

// The metric of a task that is right (1) or wrong (0) for each item: what uncertainty and new errors are judged by.
// Absent where the task has none.
std::optional<std::string> RightOrWrong(const Task& task);
// Whether a wrong answer to an item of the task is a hallucination: it measures a figure by which items are judged.
bool WrongIsHallucination(const Task& task);

}  // namespace ecld
