#pragma once
// From documents to what a model is asked: contexts and continuations as lm-evaluation-harness 0.4.13 builds them, the
// examples of a few-shot prompt drawn by its sampler.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "eval/tasks/documents.h"
#include "eval/tasks/task.h"

namespace ecld {

struct Prompt {
  size_t document = 0;  // index in the file
  size_t item = 0;      // index among all items of the task
  // Context and continuation: one per choice; one of a continuation; of a rolling task the continuation alone, of a
  // generating one the context alone.
  std::vector<std::pair<std::string, std::string>> requests;
  std::vector<std::string> choices;  // as their lengths count: without the delimiter
  int64_t gold = 0;                  // index of the right choice
  std::vector<int64_t> labels;       // per choice, 1: true
  double cue = 0;
  std::string target;            // generate: the right answer
  int64_t words = 0, bytes = 0;  // rolling: of the raw text
};

struct PromptOptions {
  int64_t limit = 0;   // items, the first ones; 0: all
  int64_t shots = -1;  // < 0: as the task says
  uint32_t seed = 1234;
};

struct Prompts {
  std::string file, data_sha256, shot_file, shot_sha256;
  int64_t documents = 0;  // in the file
  int64_t shots = 0;
  std::vector<Prompt> prompts;
};

// THROWS Error: whatever ReadDocuments throws; a template that does not fit a document; a gold index outside the
// choices; more examples than there are; examples for a task that holds its own.
Prompts BuildPrompts(const Task& task, const DataFolder& folder, const PromptOptions& options);

}  // namespace ecld
