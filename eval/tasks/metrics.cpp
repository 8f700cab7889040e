#include "eval/tasks/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/intervals.h"
#include "core/metric_table.h"
#include "eval/statistics.h"
#include "eval/tasks/python_random.h"

namespace ecld {
namespace {

constexpr int64_t kBootstrapChunk = 1000;  // resamples drawn with one seed

std::vector<double> Values(std::span<const Sample> samples, const std::string& name) {
  std::vector<double> values;
  for (const Sample& sample : samples)
    if (const auto found = sample.values.find(name); found != sample.values.end()) values.push_back(found->second);
  return values;
}

double MeanOf(std::span<const double> values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// With n - 1 below.
double Deviation(std::span<const double> values) {
  const double mean = MeanOf(values);
  double squares = 0;
  for (double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

// Over the samples that have a value.
TaskMetric MeanMetric(std::span<const Sample> samples, const std::string& name) {
  const std::vector<double> values = Values(samples, name);
  if (values.empty()) Fail(name, "no sample has a value: every answer is empty");
  TaskMetric metric{.name = name,
                    .value = MeanOf(values),
                    .method = "sample standard deviation / sqrt(n)",
                    .n = static_cast<int64_t>(values.size()),
                    .counted = std::ranges::all_of(values, [](double value) { return value == 0 || value == 1; })};
  if (values.size() > 1) metric.standard_error = Deviation(values) / std::sqrt(static_cast<double>(values.size()));
  metric.counted &= FindMetric(name)->share;
  return metric;
}

TaskMetric PerplexityMetric(std::span<const Sample> samples, ThreadPool& pool, int64_t resamples) {
  const std::vector<double> log_p = Values(samples, "perplexity");
  TaskMetric metric{.name = "perplexity", .value = std::exp(-MeanOf(log_p))};
  if (resamples < 2) return metric;
  const int64_t chunk = std::min(kBootstrapChunk, resamples);
  std::vector<double> drawn(static_cast<size_t>(resamples / chunk * chunk));
  const auto size = static_cast<double>(log_p.size());
  pool.ParallelFor(resamples / chunk, 1, [&](int64_t begin, int64_t end) {
    for (int64_t seed = begin; seed < end; ++seed) {
      PythonRandom random(static_cast<uint32_t>(seed));
      for (int64_t i = 0; i < chunk; ++i) {
        double sum = 0;
        for (size_t k = 0; k < log_p.size(); ++k) sum += log_p[static_cast<size_t>(random.Uniform() * size)];
        drawn[static_cast<size_t>(seed * chunk + i)] = std::exp(-sum / size);
      }
    }
  });
  metric.standard_error = Deviation(drawn);
  metric.method = fmt::format("bootstrap, {} resamples", drawn.size());
  return metric;
}

// exp(-sum of log_p / sum of weights), or that exponent in bits.
TaskMetric WeightedMetric(std::span<const Sample> samples, const std::string& name) {
  const std::string weight = name == "word_perplexity" ? "words" : "bytes";
  std::vector<ClusterSum> texts;
  for (const Sample& sample : samples)
    texts.push_back({-sample.log_p[0], static_cast<int64_t>(sample.values.at(weight))});
  const Mean mean = ClusteredMean(texts);
  TaskMetric metric{.name = name, .method = "over texts, delta method"};
  double slope = 1 / std::numbers::ln2;
  if (name == "bits_per_byte") {
    metric.value = mean.value / std::numbers::ln2;
  } else {
    metric.value = slope = std::exp(mean.value);
  }
  if (mean.standard_error) metric.standard_error = slope * *mean.standard_error;
  return metric;
}

// Of the items whose right answer is `gold`: which of them are wrong.
struct Side {
  double n = 0, wrong = 0;
  double Rate() const { return n > 0 ? wrong / n : 0; }
};

std::vector<TaskMetric> RecognitionMetrics(std::span<const Sample> samples) {
  std::array<Side, 2> sides;
  std::vector<JudgedAnswer> by_score, by_cue;
  double yes = 0;
  for (const Sample& sample : samples) {
    Side& side = sides[sample.gold == 1];
    side.n += 1;
    side.wrong += sample.answer != sample.gold;
    yes += sample.answer == 1;
    by_score.push_back({sample.values.at("score"), sample.gold == 0});
    by_cue.push_back({sample.values.at("cue"), sample.gold == 0});
  }
  TaskMetric error{.name = "balanced_error",
                   .value = (sides[0].Rate() + sides[1].Rate()) / 2,
                   .method = "over documents, linearised"};
  std::map<size_t, double> documents;  // their part of the deviation
  for (const Sample& sample : samples) {
    const Side& side = sides[sample.gold == 1];
    documents[sample.document] += ((sample.answer != sample.gold) - side.Rate()) / (2 * side.n);
  }
  const auto count = static_cast<double>(documents.size());
  double squares = 0;
  for (const auto& [document, part] : documents) squares += part * part;
  if (documents.size() > 1) error.standard_error = std::sqrt(count / (count - 1) * squares);

  std::vector<TaskMetric> metrics = {error};
  if (const auto area = Auroc(by_score)) metrics.push_back({.name = "auroc", .value = *area});
  if (const auto area = Auroc(by_cue)) metrics.push_back({.name = "auroc_of_cue_alone", .value = *area});
  metrics.push_back({.name = "yes_rate", .value = yes / static_cast<double>(samples.size())});
  return metrics;
}

}  // namespace

std::vector<TaskMetric> Metrics(const Task& task, std::span<const Sample> samples, ThreadPool& pool,
                                int64_t resamples) {
  assert(!samples.empty());
  std::vector<TaskMetric> metrics;
  for (const std::string& name : task.metrics) {
    if (name == "perplexity") {
      metrics.push_back(PerplexityMetric(samples, pool, resamples));
    } else if (task.kind == TaskKind::kRolling) {
      metrics.push_back(WeightedMetric(samples, name));
    } else if (name == "balanced_error") {
      for (TaskMetric& metric : RecognitionMetrics(samples)) metrics.push_back(std::move(metric));
    } else if (name == "exact_match") {
      for (const AnswerFilter& filter : task.filters) metrics.push_back(MeanMetric(samples, name + "," + filter.name));
    } else {
      metrics.push_back(MeanMetric(samples, name));
    }
  }
  for (TaskMetric& metric : metrics) {
    const MetricRow& row = *FindMetric(metric.name);
    metric.unit = row.unit;
    metric.higher_is_better = row.higher_is_better;
    if (metric.n == 0) metric.n = static_cast<int64_t>(samples.size());
  }
  return metrics;
}

TaskMetric Pooled(std::span<const TaskMetric> of_tasks) {
  TaskMetric pooled = of_tasks.front();
  double sum = 0, variance = 0;
  pooled.n = 0;
  bool all = true;
  for (const TaskMetric& metric : of_tasks) {
    const auto n = static_cast<double>(metric.n);
    pooled.n += metric.n;
    sum += n * metric.value;
    all = all && metric.standard_error.has_value();
    const double error = metric.standard_error.value_or(0);
    variance += (n - 1) * error * error * n;
  }
  const auto n = static_cast<double>(pooled.n);
  pooled.value = sum / n;
  pooled.standard_error.reset();
  pooled.method = "pooled over tasks";
  if (all) pooled.standard_error = std::sqrt(variance / (n - static_cast<double>(of_tasks.size())) / n);
  return pooled;
}

bool IsRight(const Sample& sample, const std::string& metric) {
  return (sample.values.at(metric) == 1) == (FindMetric(metric)->judges == Judges::kRightIsOne);
}

PairedErrors ComparePaired(std::span<const Sample> before, std::span<const Sample> now, const std::string& metric) {
  assert(before.size() == now.size() && !now.empty());
  PairedErrors result{.n = static_cast<int64_t>(now.size())};
  std::vector<double> differences;
  for (size_t i = 0; i < now.size(); ++i) {
    const bool was = IsRight(before[i], metric), is = IsRight(now[i], metric);
    result.new_errors += was && !is;
    result.fixed_errors += !was && is;
    differences.push_back(static_cast<double>(is) - static_cast<double>(was));
  }
  result.difference = MeanOf(differences);
  if (now.size() > 1) result.standard_error = Deviation(differences) / std::sqrt(static_cast<double>(now.size()));
  result.p = McNemarExact(result.new_errors, result.fixed_errors);
  return result;
}

}  // namespace ecld
