// Policies of offloading on the page: what `offload --json` wrote, and its charts.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "report/report_charts.h"

namespace ecld {
namespace {

const OffloadMetric* Find(const OffloadPolicy& policy, std::string_view name) {
  const auto found =
      std::ranges::find_if(policy.metrics, [&](const OffloadMetric& metric) { return metric.name == name; });
  return found == policy.metrics.end() ? nullptr : &*found;
}

std::optional<double> NumberIn(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::string NoteOf(const OffloadStudy& study) {
  return fmt::format("simulated, {} runs of each policy; bars: 95 % interval; scenario: {}. Not measured: {}.",
                     study.replications, study.scenario, fmt::join(study.modelled, "; "));
}

// A line for each policy over the points of a study; where(point, policy): its point, if there is one.
template <class Where>
std::optional<ReportChart> LinesOf(const OffloadStudy& study, Chart chart, const Where& where) {
  if (study.points.empty()) return std::nullopt;
  for (size_t p = 0; p < study.points[0].policies.size(); ++p) {
    const std::string& name = study.points[0].policies[p].name;
    ChartSeries line{.name = name, .points = {}, .style = static_cast<int>(p), .hollow = true};
    for (const OffloadPoint& point : study.points)
      for (const OffloadPolicy& policy : point.policies)
        if (policy.name == name)
          if (auto at = where(point, policy)) line.points.push_back(std::move(*at));
    if (!line.points.empty()) chart.series.push_back(std::move(line));
  }
  if (chart.series.empty()) return std::nullopt;
  return ReportChart{.chart = std::move(chart), .note = NoteOf(study)};
}

ChartPoint Barred(double x, const OffloadMetric& metric, std::string label) {
  ChartPoint point{.x = x, .y = metric.value, .y_low = {}, .y_high = {}, .label = std::move(label)};
  if (metric.interval) std::tie(point.y_low, point.y_high) = *metric.interval;
  return point;
}

constexpr const char* kLatency = "latency_mean";
constexpr const char* kLatencyTitle = "mean latency, s";

std::optional<ReportChart> LatencyAgainst(const OffloadStudy& study, const char* metric, const char* title) {
  return LinesOf(study,
                 {.title = fmt::format("latency against {}: {}", title, study.scenario),
                  .description = "one point for each policy, at each value of what was swept",
                  .x = {.title = title, .log = false, .from_zero = false},
                  .y = {.title = kLatencyTitle, .log = false, .from_zero = true},
                  .series = {}},
                 [&](const OffloadPoint& point, const OffloadPolicy& policy) -> std::optional<ChartPoint> {
                   const OffloadMetric *x = Find(policy, metric), *y = Find(policy, kLatency);
                   if (!x || !y) return std::nullopt;
                   return Barred(x->value, *y, point.value.empty() ? policy.name : point.value);
                 });
}

std::optional<ReportChart> LatencyOver(const OffloadStudy& study) {
  return LinesOf(study,
                 {.title = fmt::format("latency over {}: {}", study.swept, study.scenario),
                  .description = "a line for each policy",
                  .x = {.title = study.swept, .log = false, .from_zero = false},
                  .y = {.title = kLatencyTitle, .log = true, .from_zero = false},
                  .series = {}},
                 [](const OffloadPoint& point, const OffloadPolicy& policy) -> std::optional<ChartPoint> {
                   const auto x = NumberIn(point.value);
                   const OffloadMetric* y = Find(policy, kLatency);
                   return x && y ? std::optional(Barred(*x, *y, "")) : std::nullopt;
                 });
}

ReportChart QueuesOf(const OffloadStudy& study, const std::string& at, const OffloadPolicy& policy) {
  ReportChart made{.chart = {.title = fmt::format("queues with {}{}: {}", policy.name, at.empty() ? "" : " at " + at,
                                                  study.scenario),
                             .description = "requests on devices, being sent and on servers, over time",
                             .x = {.title = "time, s", .log = false, .from_zero = true},
                             .y = {.title = "requests", .log = false, .from_zero = true},
                             .series = {}},
                   .note = "simulated; one run, from its first request on"};
  for (const auto& [name, counts] : policy.queues) {
    ChartSeries line{.name = name,
                     .points = {},
                     .style = static_cast<int>(made.chart.series.size()),
                     .line = ChartSeries::Line::kStep,
                     .marks = false};
    for (size_t i = 0; i < counts.size(); ++i) line.points.push_back({.x = policy.at_s[i], .y = counts[i]});
    made.chart.series.push_back(std::move(line));
  }
  return made;
}

std::vector<double> Numbers(const JsonView& list) {
  std::vector<double> numbers;
  for (size_t i = 0; i < list.Size(); ++i) numbers.push_back(list.At(i).Number());
  return numbers;
}

OffloadPolicy ReadPolicy(const JsonView& view) {
  OffloadPolicy policy{.name = view.At("policy").String()};
  for (size_t i = 0; i < view.At("metrics").Size(); ++i) {
    const JsonView metric = view.At("metrics").At(i);
    OffloadMetric made{.name = metric.At("name").String(), .value = metric.At("value").Number()};
    if (metric.Has("ci95")) {
      const std::vector<double> ends = Numbers(metric.At("ci95"));
      if (ends.size() != 2) Fail(metric.At("ci95").Where(), "has {} ends, two would be right", ends.size());
      made.interval = {ends[0], ends[1]};
    }
    policy.metrics.push_back(std::move(made));
  }
  if (!view.Has("queues")) return policy;
  const JsonView queues = view.At("queues");
  policy.at_s = Numbers(queues.At("at_s"));
  for (const char* key : {"on_devices", "sending", "on_servers"}) {
    policy.queues.emplace_back(key, Numbers(queues.At(key)));
    if (policy.queues.back().second.size() != policy.at_s.size())
      Fail(queues.At(key).Where(), "has {} counts, one for each of the {} times would be right",
           policy.queues.back().second.size(), policy.at_s.size());
    std::ranges::replace(policy.queues.back().first, '_', ' ');
  }
  return policy;
}

}  // namespace

OffloadStudy ReadOffloadStudy(const JsonView& view) {
  OffloadStudy study{.scenario = view.At("scenario").At("name").String(),
                     .swept = view.StringOr("swept", ""),
                     .replications = view.At("replications").Int()};
  for (size_t i = 0; i < view.At("modelled").Size(); ++i) study.modelled.push_back(view.At("modelled").At(i).String());
  for (size_t i = 0; i < view.At("points").Size(); ++i) {
    const JsonView point = view.At("points").At(i);
    OffloadPoint made{.value = point.StringOr("value", "")};
    for (size_t j = 0; j < point.At("policies").Size(); ++j)
      made.policies.push_back(ReadPolicy(point.At("policies").At(j)));
    study.points.push_back(std::move(made));
  }
  return study;
}

std::vector<ReportChart> OffloadCharts(const Report& report) {
  std::vector<ReportChart> charts;
  const auto add = [&](std::optional<ReportChart> chart) {
    if (chart) charts.push_back(std::move(*chart));
  };
  for (const OffloadStudy& study : report.studies) {
    add(LatencyAgainst(study, "energy", "energy of the device, J per request"));
    add(LatencyAgainst(study, "effective_accuracy", "effective accuracy"));
    if (!study.swept.empty()) add(LatencyOver(study));
    for (const OffloadPoint& point : study.points)
      for (const OffloadPolicy& policy : point.policies)
        if (!policy.queues.empty()) add(QueuesOf(study, point.value, policy));
  }
  return charts;
}

}  // namespace ecld
