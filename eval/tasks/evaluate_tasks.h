#pragma once
// A checkpoint on tasks: accuracy, hallucination, and how sure it was. The entry of `eval --tasks`.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/document.h"
#include "eval/evaluate.h"
#include "eval/tasks/metrics.h"
#include "eval/tasks/prompts.h"

namespace ecld {

struct TaskEvalOptions {
  std::filesystem::path model;
  std::filesystem::path reference;  // the original of a compressed model: errors are counted against it. Empty: none
  std::vector<std::string> tasks;   // as FindTasks takes them
  std::filesystem::path data;       // folder below which the tasks' files lie
  std::filesystem::path samples;    // folder for the per-sample logs, by which a stopped run goes on; empty: none
  PromptOptions prompts;
  int64_t bootstrap = kBootstrapResamples;
  int threads = 0;
  RuntimeOptions runtime;  // of both models
};

struct UncertaintyResult {
  std::string metric;  // by which an answer is right
  // By aggregate ("mean", "max", ...): the answers in order of items.
  std::map<std::string, std::vector<JudgedAnswer>> answers;
};

struct TaskResult {
  Task task;
  std::string data_file, data_sha256, shot_file, shot_sha256;
  int64_t documents = 0, items = 0, shots = 0, truncated = 0;
  int64_t resumed = 0;  // items that an earlier run had done
  std::vector<TaskMetric> metrics;
  std::optional<UncertaintyResult> uncertainty;
  std::optional<PairedErrors> against_reference;
  double mean_answer_tok = 0;
  double seconds = 0;
};

struct TasksResult {
  EvaluatedModel model;
  std::optional<EvaluatedModel> reference;
  TaskEvalOptions options;
  std::string kernels;
  std::vector<TaskResult> tasks;
  std::map<std::string, std::vector<TaskMetric>> groups;
  uint64_t peak_resident_B = 0;
  int threads = 0;
  DeviceFacts device;
};

// THROWS Error: whatever opening the checkpoints, tasks and data files throws; a log-likelihood that is not finite; a
// continuation that does not fit the model; a log of samples that belongs to another run.
TasksResult EvaluateTasks(const TaskEvalOptions& options);

inline constexpr DocumentKind kTasksDocument{"ecld.tasks", "1.1.0"};
Json ToJson(const TasksResult& result);

}  // namespace ecld
