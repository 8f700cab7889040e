#pragma once
// One model, ready to be asked: prompts in, samples out, a few dozen items at a time.

#include <memory>
#include <span>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/progress.h"
#include "eval/tasks/encoder.h"
#include "eval/tasks/generate_texts.h"
#include "eval/tasks/sample_log.h"
#include "eval/tasks/task_cost.h"
#include "runtime/model.h"
#include "runtime/prefix_scorer.h"

namespace ecld {

class TaskRunner {
 public:
  TaskRunner(const Checkpoint& checkpoint, const RuntimeOptions& options, ThreadPool& pool);

  const Session& session() const { return session_; }
  const RuntimeModel& model() const { return model_; }

  // Of what the log does not hold yet. Tokens are counted on some items, spread over the task, and taken for the
  // others.
  TaskCost CostOf(const Task& task, std::span<const Prompt> prompts, const SampleLog& log) const;
  // Measured over a short prompt and, when the cost has tokens to write, a few steps of several sequences; takes a
  // fraction of a second to a few seconds.
  TaskRate MeasureRate(const TaskCost& cost);

  // Asks what the log does not hold yet and adds it there. prompts: all of the task. THROWS Error naming the item.
  void Run(const Task& task, std::span<const Prompt> prompts, SampleLog* log);

 private:
  std::vector<Sample> ScoreTexts(const Task& task, std::span<const Prompt* const> prompts);
  void Generate(const Task& task, std::span<const Prompt* const> prompts, SampleLog* log, Progress* progress);
  void GenerateSeveral(const Task& task, std::span<const Prompt* const> prompts, SampleLog* log, Progress* progress);
  GenerateTextsOptions TextOptions(const Task& task) const;
  std::vector<EncodedText> Encode(const Task& task, const Prompt& prompt) const;
  static std::vector<const Prompt*> Left(std::span<const Prompt> prompts, const SampleLog& log);

  RuntimeModel model_;
  Session session_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::vector<int64_t> end_ids_;
  PromptEncoder encoder_;
  PrefixScorer scorer_;
};

}  // namespace ecld
