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
    // Without a sweep each is one point, which has its name beside it.
    ChartSeries line{
        .name = study.swept.empty() ? "" : name, .points = {}, .style = static_cast<int>(p), .hollow = true};
    for (const OffloadPoint& point : study.points)
      for (const OffloadPolicy& policy : point.policies)
        if (policy.name == name)
          if (auto at = where(point, policy)) line.points.push_back(std::move(*at));
    // The ends tell which way a line runs; names of all would lie on one another.
    for (size_t i = 1; i + 1 < line.points.size(); ++i) line.points[i].label.clear();
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

// A metric that is drawn, and in which words.
struct Drawn {
  std::string_view metric, words;
};

// "mean latency, s"; "energy of the device, J per request".
std::string TitleOf(const OffloadStudy& study, const Drawn& drawn) {
  std::string title(drawn.words);
  for (const OffloadPoint& point : study.points)
    for (const OffloadPolicy& policy : point.policies)
      if (const OffloadMetric* metric = Find(policy, drawn.metric);
          metric && !metric->unit.empty() && metric->unit != "1") {
        const size_t per = metric->unit.find('/');
        return title + ", " +
               (per == std::string::npos ? metric->unit
                                         : metric->unit.substr(0, per) + " per " + metric->unit.substr(per + 1));
      }
  return title;
}

constexpr Drawn kLatency{"latency_mean", "mean latency"}, kDelivery{"delivery_mean", "mean time to deliver"},
    kHits{"hit_rate", "share of hits"};

// One metric against another, where a study knows both.
struct View {
  Drawn y, x;
  const char* title;
};
constexpr View kViews[] = {{kLatency, {"energy", "energy of the device"}, "latency"},
                           {kLatency, {"effective_accuracy", "effective accuracy"}, "latency"},
                           {kLatency, {"accuracy", "share of tasks right"}, "latency"},
                           {kDelivery, kHits, "time to deliver"}};
// Over what is swept.
struct Swept {
  Drawn y;
  const char* title;
  bool log;
};
constexpr Swept kSwept[] = {{kLatency, "latency", true},
                            {{"reward", "reward"}, "reward", false},
                            {kHits, "hits", false},
                            {kDelivery, "time to deliver", true}};

std::optional<ReportChart> Against(const OffloadStudy& study, const View& view) {
  const std::string x_title = TitleOf(study, view.x);
  return LinesOf(study,
                 {.title = fmt::format("{} against {}: {}", view.title, x_title, study.scenario),
                  .description = "one point for each policy, at each value of what was swept",
                  .x = {.title = x_title, .log = false, .from_zero = false},
                  .y = {.title = TitleOf(study, view.y), .log = false, .from_zero = true},
                  .series = {}},
                 [&](const OffloadPoint& point, const OffloadPolicy& policy) -> std::optional<ChartPoint> {
                   const OffloadMetric *x = Find(policy, view.x.metric), *y = Find(policy, view.y.metric);
                   if (!x || !y) return std::nullopt;
                   return Barred(x->value, *y, point.value.empty() ? policy.name : point.value);
                 });
}

std::optional<ReportChart> Over(const OffloadStudy& study, const Swept& swept) {
  return LinesOf(study,
                 {.title = fmt::format("{} over {}: {}", swept.title, study.swept, study.scenario),
                  .description = "a line for each policy",
                  .x = {.title = study.swept, .log = false, .from_zero = false},
                  .y = {.title = TitleOf(study, swept.y), .log = swept.log, .from_zero = false},
                  .series = {}},
                 [&](const OffloadPoint& point, const OffloadPolicy& policy) -> std::optional<ChartPoint> {
                   const auto x = NumberIn(point.value);
                   const OffloadMetric* y = Find(policy, swept.y.metric);
                   return x && y ? std::optional(Barred(*x, *y, "")) : std::nullopt;
                 });
}

ReportChart PictureOf(const OffloadStudy& study, const OffloadPicture& picture) {
  ReportChart made{.chart = {.title = fmt::format("{}: {}", picture.title, study.scenario),
                             .description = "a line for each series",
                             .x = {.title = picture.x, .log = false, .from_zero = true},
                             .y = {.title = picture.y, .log = picture.y_log, .from_zero = picture.from_zero},
                             .series = {}},
                   .note = fmt::format("scenario: {}; before any run", study.scenario)};
  for (const OffloadPicture::Series& series : picture.series) {
    ChartSeries line{.name = series.name,
                     .points = {},
                     .style = static_cast<int>(made.chart.series.size()),
                     .line = series.step ? ChartSeries::Line::kStep : ChartSeries::Line::kStraight,
                     .marks = !series.step};
    for (size_t i = 0; i < series.x.size(); ++i) line.points.push_back({.x = series.x[i], .y = series.y[i]});
    made.chart.series.push_back(std::move(line));
  }
  return made;
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
    OffloadMetric made{
        .name = metric.At("name").String(), .unit = metric.StringOr("unit", ""), .value = metric.At("value").Number()};
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

OffloadPicture ReadPicture(const JsonView& view) {
  OffloadPicture picture{.title = view.At("title").String(),
                         .x = view.At("x").String(),
                         .y = view.At("y").String(),
                         .y_log = view.BoolOr("y_log", false),
                         .from_zero = view.BoolOr("from_zero", false)};
  for (size_t i = 0; i < view.At("series").Size(); ++i) {
    const JsonView series = view.At("series").At(i);
    OffloadPicture::Series made{.name = series.At("name").String(),
                                .x = Numbers(series.At("x")),
                                .y = Numbers(series.At("y")),
                                .step = series.BoolOr("step", false)};
    if (made.y.size() != made.x.size())
      Fail(series.At("y").Where(), "has {} numbers, one for each of the {} of x would be right", made.y.size(),
           made.x.size());
    picture.series.push_back(std::move(made));
  }
  return picture;
}

std::vector<std::string> TextsOr(const JsonView& view, const char* key) {
  std::vector<std::string> texts;
  if (!view.Has(key)) return texts;
  for (size_t i = 0; i < view.At(key).Size(); ++i) texts.push_back(view.At(key).At(i).String());
  return texts;
}

// A row for each metric, a column for each policy.
std::string MetricTable(const OffloadPoint& point) {
  std::vector<const OffloadMetric*> metrics;
  std::string html = "<div class=\"scroll\"><table class=\"wide\"><thead><tr><th></th>";
  for (const OffloadPolicy& policy : point.policies) {
    html += fmt::format("<th>{}</th>", EscapeXml(policy.name));
    for (const OffloadMetric& metric : policy.metrics)
      if (std::ranges::none_of(metrics, [&](const OffloadMetric* other) { return other->name == metric.name; }))
        metrics.push_back(&metric);
  }
  html += "</tr></thead><tbody>";
  for (const OffloadMetric* row : metrics) {
    html += fmt::format("<tr><th scope=\"row\">{}{}</th>", EscapeXml(row->name),
                        row->unit.empty() || row->unit == "1" ? "" : ", " + EscapeXml(row->unit));
    for (const OffloadPolicy& policy : point.policies) {
      const OffloadMetric* metric = Find(policy, row->name);
      html += metric ? fmt::format("<td><data value=\"{}\">{:.4g}</data></td>", metric->value, metric->value)
                     : "<td class=\"absent\">not known</td>";
    }
    html += "</tr>";
  }
  return html + "</tbody></table></div>";
}

}  // namespace

OffloadStudy ReadOffloadStudy(const JsonView& view) {
  OffloadStudy study{.scenario = view.At("scenario").At("name").String(),
                     .swept = view.StringOr("swept", ""),
                     .replications = view.At("replications").Int(),
                     .modelled = TextsOr(view, "modelled"),
                     .findings = TextsOr(view, "findings")};
  for (size_t i = 0; view.Has("pictures") && i < view.At("pictures").Size(); ++i)
    study.pictures.push_back(ReadPicture(view.At("pictures").At(i)));
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
    for (const OffloadPicture& picture : study.pictures) add(PictureOf(study, picture));
    for (const View& view : kViews) add(Against(study, view));
    if (!study.swept.empty())
      for (const Swept& swept : kSwept) add(Over(study, swept));
    for (const OffloadPoint& point : study.points)
      for (const OffloadPolicy& policy : point.policies)
        if (!policy.queues.empty()) add(QueuesOf(study, point.value, policy));
  }
  return charts;
}

std::string OffloadText(const Report& report) {
  std::string html;
  for (const OffloadStudy& study : report.studies) {
    html += fmt::format("<div class=\"study\"><h3>{}</h3>", EscapeXml(study.scenario));
    for (const std::string& finding : study.findings) html += fmt::format("<p>{}</p>", EscapeXml(finding));
    if (study.points.size() == 1) html += MetricTable(study.points[0]);
    html += "</div>";
  }
  return html;
}

}  // namespace ecld
