#pragma once
// From the samples of a task to its figures, as lm-evaluation-harness 0.4.13 defines them (api/metrics.py), and the
// tests by which two models on the same items are told apart.
//
// Standard errors: of a mean (acc, acc_norm, exact_match, mc2, ...) the sample standard deviation over sqrt(n); of
// perplexity the harness's bootstrap, 100,000 resamples with its generator and seeds; of a group of tasks its pooled
// one. word_perplexity, byte_perplexity and bits_per_byte have none in the harness: here the ratio of sums linearised
// over texts, and the delta method. balanced_error: over documents, which both answers of a pair come from.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/threads.h"
#include "eval/tasks/sample.h"

namespace ecld {

struct TaskMetric {
  std::string name;  // "acc", "exact_match,strict-match"
  double value = 0;
  std::optional<double> standard_error;
  std::string unit = "1";
  std::string method;  // of the standard error
  bool higher_is_better = true;
  int64_t n = 0;         // items
  std::string task;      // where it stands among figures of other tasks
  bool counted = false;  // a share of items: each is 0 or 1
};

inline constexpr int64_t kBootstrapResamples = 100'000;

// REQUIRES: samples not empty. resamples: of a bootstrap.
std::vector<TaskMetric> Metrics(const Task& task, std::span<const Sample> samples, ThreadPool& pool,
                                int64_t resamples = kBootstrapResamples);

// The same metric of the tasks of a group, weighted by their items.
TaskMetric Pooled(std::span<const TaskMetric> of_tasks);

// Whether the sample is right by that metric, one of RightOrWrong.
bool IsRight(const Sample& sample, const std::string& metric);

// Two models on the same items.
struct PairedErrors {
  int64_t n = 0;
  int64_t new_errors = 0;     // right before, wrong now
  int64_t fixed_errors = 0;   // wrong before, right now
  double difference = 0;      // accuracy now less accuracy before
  double standard_error = 0;  // of the difference, paired
  double p = 1;               // McNemar, exact, two-sided
};
// REQUIRES: the same items in the same order, at least one.
PairedErrors ComparePaired(std::span<const Sample> before, std::span<const Sample> now, const std::string& metric);

}  // namespace ecld
