#include "offload/experiment.h"

#include <algorithm>
#include <mutex>

#include "core/document.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/threads.h"

namespace ecld::offload {
namespace {

// Words for what is swept most.
struct Sweepable {
  std::string_view word, path;
};
constexpr Sweepable kSweepable[] = {
    {"users", "devices.0.count"}, {"rate", "requests.rate_per_s"}, {"budget", "devices.0.energy_budget_J"}};

std::string PathOf(const std::string& swept) {
  for (const auto& [word, path] : kSweepable)
    if (swept == word) return std::string(path);
  return swept;
}

// The mean of each metric over runs, less those of their twins where there are any.
std::vector<std::optional<MeanInterval>> Means(std::span<const OneRun> runs, std::span<const OneRun> twins) {
  std::vector<std::optional<MeanInterval>> means;
  for (size_t m = 0; m < runs[0].values.size(); ++m) {
    std::vector<double> values;
    for (size_t r = 0; r < runs.size(); ++r) {
      const auto& value = runs[r].values[m];
      const auto less = twins.empty() ? std::optional(0.0) : twins[r].values[m];
      if (value && less) values.push_back(*value - *less);
    }
    means.push_back(values.size() == runs.size() ? std::optional(StudentInterval(values)) : std::nullopt);
  }
  return means;
}

PointResult RunPoint(const Study& study, const std::vector<std::string>& policies, const ExperimentOptions& options,
                     Progress& progress) {
  const auto replications = static_cast<size_t>(study.replications);
  std::vector<OneRun> runs(policies.size() * replications);
  ThreadPool pool(options.threads);
  std::mutex mutex;
  pool.ShareOut(static_cast<int64_t>(runs.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const size_t at = static_cast<size_t>(i);
      const int64_t replication = i % study.replications;
      runs[at] = study.run(policies[at / replications], study.seed + static_cast<uint64_t>(replication),
                           replication == 0 ? options.queue_samples : 0);
      const std::lock_guard lock(mutex);
      progress.Advance(1, policies[at / replications]);
    }
  });
  PointResult point;
  const std::span<const OneRun> first(runs.data(), replications);
  for (size_t p = 0; p < policies.size(); ++p) {
    const std::span<const OneRun> own(runs.data() + p * replications, replications);
    PolicyResult made{.policy = policies[p], .metrics = Means(own, {}), .queues = own[0].queues};
    if (p > 0) made.less_first = Means(own, first);
    for (const OneRun& run : own) {
      made.arrived += run.arrived;
      made.completed += run.completed;
      made.outside_most = std::max(made.outside_most, run.outside);
    }
    point.policies.push_back(std::move(made));
  }
  return point;
}

Json MetricsToJson(const Study& study, const std::vector<std::optional<MeanInterval>>& means) {
  Json metrics = Json::array();
  for (size_t m = 0; m < means.size(); ++m) {
    if (!means[m]) continue;
    Json ci95 = study.replications > 1 ? Json({means[m]->low, means[m]->high}) : Json(nullptr);
    metrics.push_back({{"name", study.metrics[m].name},
                       {"unit", study.metrics[m].unit},
                       {"value", means[m]->mean},
                       {"ci95", std::move(ci95)},
                       {"higher_is_better", study.metrics[m].higher_is_better}});
  }
  return metrics;
}

Json QueuesToJson(const std::vector<QueueSample>& queues) {
  Json json = {{"at_s", Json::array()},
               {"on_devices", Json::array()},
               {"sending", Json::array()},
               {"on_servers", Json::array()}};
  for (const QueueSample& sample : queues) {
    json["at_s"].push_back(sample.at_s);
    json["on_devices"].push_back(sample.on_devices);
    json["sending"].push_back(sample.sending);
    json["on_servers"].push_back(sample.on_servers);
  }
  return json;
}

template <class T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace

ExperimentResult RunExperiment(const ExperimentOptions& options) {
  if (options.swept.empty() != options.values.empty())
    Fail("sweep", "needs what is swept and its values: --over users --values 5,10,20");
  std::vector<std::vector<std::string>> overrides;
  for (const std::string& value : options.values) {
    overrides.push_back(options.overrides);
    overrides.back().push_back(fmt::format("{}={}", PathOf(options.swept), value));
  }
  if (overrides.empty()) overrides.push_back(options.overrides);
  // All are read before the first one runs.
  std::vector<Study> studies;
  for (const auto& each : overrides) studies.push_back(ReadStudy(options.scenario, each, options.catalogue));
  auto policies = options.policies.empty() ? studies[0].policies : options.policies;
  if (options.first_policy) policies.resize(1);
  int64_t runs = 0;
  for (const Study& study : studies) {
    for (const std::string& policy : policies) study.require(policy);
    runs += study.replications * static_cast<int64_t>(policies.size());
  }
  ExperimentResult result{.swept = options.swept.empty() ? "" : PathOf(options.swept)};
  Progress progress("simulate", runs, "runs");
  for (size_t i = 0; i < studies.size(); ++i) {
    result.points.push_back(RunPoint(studies[i], policies, options, progress));
    if (!options.values.empty()) result.points.back().value = options.values[i];
  }
  result.study = std::move(studies[0]);
  return result;
}

Json ToJson(const ExperimentResult& result) {
  const Study& study = result.study;
  Json points = Json::array();
  for (const PointResult& point : result.points) {
    Json policies = Json::array();
    for (const PolicyResult& policy : point.policies) {
      Json made = {{"policy", policy.policy},
                   {"arrived", policy.arrived},
                   {"completed", policy.completed},
                   {"outside_share", policy.outside_most},
                   {"metrics", MetricsToJson(study, policy.metrics)}};
      if (!policy.less_first.empty())
        made["less"] = {{"policy", point.policies[0].policy}, {"metrics", MetricsToJson(study, policy.less_first)}};
      if (!policy.queues.empty()) made["queues"] = QueuesToJson(policy.queues);
      policies.push_back(std::move(made));
    }
    points.push_back(
        {{"value", point.value.empty() ? Json(nullptr) : Json(point.value)}, {"policies", std::move(policies)}});
  }
  return NewDocument(
      kOffloadDocument,
      {{"scenario",
        {{"name", study.name}, {"file", study.file}, {"sha256", study.sha256}, {"resolved", study.resolved}}},
       {"question", study.question},
       {"kind", "modelled"},
       {"modelled", study.modelled},
       {"findings", study.findings},
       {"pictures", study.pictures},
       {"replications", study.replications},
       {"seed", study.seed},
       {"calibration_error", OrNull(study.calibration_error)},
       {"swept", result.swept.empty() ? Json(nullptr) : Json(result.swept)},
       {"points", std::move(points)}});
}

}  // namespace ecld::offload
