#include "eval/tasks/evaluate_tasks.h"

#include <chrono>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"
#include "eval/tasks/catalogue.h"
#include "eval/tasks/task_runner.h"

namespace ecld {
namespace {

struct PreparedTask {
  Task task;
  Prompts prompts;
};

// What must be equal for samples to belong together.
Json Heading(const PreparedTask& prepared, const EvaluatedModel& model, const TaskEvalOptions& options) {
  return NewDocument(kSamplesDocument, {{"task", prepared.task.name},
                                        {"task_sha256", prepared.task.sha256},
                                        {"data_sha256", prepared.prompts.data_sha256},
                                        {"shots", prepared.prompts.shots},
                                        {"shot_sha256", prepared.prompts.shot_sha256},
                                        {"seed", options.prompts.seed},
                                        {"config_sha256", model.config_sha256},
                                        {"weights_sha256", model.weights_sha256},
                                        {"precision", Name(options.runtime.precision)},
                                        {"kv", Name(options.runtime.Kv())}});
}

// Of the items that were asked for: the log may hold more, of an earlier run without --limit.
std::vector<Sample> Wanted(const SampleLog& log, size_t items) {
  std::vector<Sample> samples;
  for (const Sample& sample : log.samples())
    if (sample.item < items) samples.push_back(sample);
  return samples;
}

struct RunOfTask {
  std::vector<Sample> samples;
  int64_t resumed = 0;
  double seconds = 0;
};

// Every task on one model.
std::vector<RunOfTask> RunTasks(const std::vector<PreparedTask>& tasks, TaskRunner& runner, const EvaluatedModel& model,
                                const TaskEvalOptions& options, const std::filesystem::path& folder) {
  std::vector<RunOfTask> runs;
  std::vector<SampleLog> logs;
  TaskCost cost;
  for (const PreparedTask& prepared : tasks) {
    const auto path = folder.empty() ? folder : folder / (prepared.task.name + ".jsonl");
    logs.emplace_back(path, Heading(prepared, model, options));
    cost += runner.CostOf(prepared.task, prepared.prompts.prompts, logs.back());
  }
  if (cost.items > 0) LogInfo("eval: {}: {}", model.directory, Describe(cost, runner.MeasureRate(cost)));
  for (size_t i = 0; i < tasks.size(); ++i) {
    const PreparedTask& prepared = tasks[i];
    SampleLog& log = logs[i];
    RunOfTask run{.resumed = static_cast<int64_t>(Wanted(log, prepared.prompts.prompts.size()).size())};
    const auto start = std::chrono::steady_clock::now();
    runner.Run(prepared.task, prepared.prompts.prompts, &log);
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    log.Finish();
    run.samples = Wanted(log, prepared.prompts.prompts.size());
    runs.push_back(std::move(run));
  }
  return runs;
}

double MeanAnswerTok(const Task& task, const std::vector<Sample>& samples) {
  double sum = 0;
  for (const Sample& sample : samples) {
    if (task.kind == TaskKind::kGenerate)
      sum += static_cast<double>(sample.text_tok);
    else
      sum += static_cast<double>(sample.tok[sample.answer >= 0 ? static_cast<size_t>(sample.answer) : 0]);
  }
  return sum / static_cast<double>(samples.size());
}

std::optional<UncertaintyResult> UncertaintyOf(const Task& task, const std::vector<Sample>& samples) {
  const std::optional<std::string> metric = RightOrWrong(task);
  if (!metric) return std::nullopt;
  UncertaintyResult result{.metric = *metric};
  for (const Sample& sample : samples) {
    if (!sample.uncertainty) continue;
    for (std::string_view aggregate : kUncertaintyAggregates)
      result.answers[std::string(aggregate)].push_back({sample.uncertainty->Get(aggregate), IsRight(sample, *metric)});
  }
  if (result.answers.empty()) return std::nullopt;
  return result;
}

TaskResult Result(const PreparedTask& prepared, const RunOfTask& run, ThreadPool& pool, int64_t bootstrap) {
  const Prompts& prompts = prepared.prompts;
  TaskResult result{.task = prepared.task,
                    .data_file = prompts.file,
                    .data_sha256 = prompts.data_sha256,
                    .shot_file = prompts.shot_file,
                    .shot_sha256 = prompts.shot_sha256,
                    .documents = prompts.documents,
                    .items = static_cast<int64_t>(run.samples.size()),
                    .shots = prompts.shots,
                    .resumed = run.resumed,
                    .metrics = Metrics(prepared.task, run.samples, pool, bootstrap),
                    .uncertainty = UncertaintyOf(prepared.task, run.samples),
                    .mean_answer_tok = MeanAnswerTok(prepared.task, run.samples),
                    .seconds = run.seconds};
  for (const Sample& sample : run.samples) result.truncated += sample.truncated;
  return result;
}

// Metrics which all tasks of a group have.
std::map<std::string, std::vector<TaskMetric>> Groups(const std::vector<TaskResult>& tasks) {
  std::map<std::string, std::vector<const TaskResult*>> members;
  for (const TaskResult& task : tasks)
    if (!task.task.group.empty()) members[task.task.group].push_back(&task);
  std::map<std::string, std::vector<TaskMetric>> groups;
  for (const auto& [group, of_group] : members)
    for (size_t i = 0; i < of_group.front()->metrics.size(); ++i) {
      std::vector<TaskMetric> metrics;
      for (const TaskResult* task : of_group) metrics.push_back(task->metrics[i]);
      groups[group].push_back(Pooled(metrics));
    }
  return groups;
}

}  // namespace

TasksResult EvaluateTasks(const TaskEvalOptions& options) {
  const DataFolder folder(options.data);
  std::vector<PreparedTask> tasks;
  for (Task& task : FindTasks(options.tasks)) {
    Prompts prompts = BuildPrompts(task, folder, options.prompts);
    tasks.push_back({std::move(task), std::move(prompts)});
  }
  if (tasks.empty()) Fail("--tasks", "names no task");

  ThreadPool pool(options.threads);
  TasksResult result{.options = options, .threads = pool.size(), .device = ReadDeviceFacts()};
  ResetPeakResident();
  const auto run = [&](const std::filesystem::path& directory, const std::filesystem::path& logs,
                       EvaluatedModel* model) {
    const Checkpoint checkpoint = Checkpoint::Open(directory);
    *model = DescribeModel(checkpoint);
    TaskRunner runner(checkpoint, options.runtime, pool);
    model->interleaved_B = runner.model().TileBytes();
    result.kernels = runner.session().Kernels();
    return RunTasks(tasks, runner, *model, options, logs);
  };
  std::vector<RunOfTask> before;
  if (!options.reference.empty())
    before = run(options.reference, options.samples.empty() ? "" : options.samples / "reference",
                 &result.reference.emplace());
  const std::vector<RunOfTask> now = run(options.model, options.samples, &result.model);
  for (size_t i = 0; i < tasks.size(); ++i) {
    TaskResult task = Result(tasks[i], now[i], pool, options.bootstrap);
    if (const auto metric = RightOrWrong(tasks[i].task); metric && result.reference)
      task.against_reference = ComparePaired(before[i].samples, now[i].samples, *metric);
    result.tasks.push_back(std::move(task));
  }
  result.groups = Groups(result.tasks);
  result.peak_resident_B = PeakResidentBytes();
  return result;
}

}  // namespace ecld
