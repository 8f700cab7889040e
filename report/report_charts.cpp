#include "report/report_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/files.h"
#include "core/metric_table.h"
#include "core/slug.h"
#include "profile/query/sections.h"

namespace ecld {
namespace {

constexpr double kMega = 1e6;

// Where a figure of quality is worth a chart, and whether more of it is better.
std::optional<bool> HigherIsBetter(const ReportFigure& figure) {
  const size_t comma = figure.name.rfind(", ");
  const std::string_view name = std::string_view(figure.name).substr(comma == std::string::npos ? 0 : comma + 2);
  const MetricRow* row = nullptr;
  if (figure.metric == "hallucination") {
    if (const FigureRow* of_hallucination = FindFigure(name)) row = &of_hallucination->as;
  } else if (figure.metric == "accuracy") {
    if (figure.name.starts_with("mean of acc")) return true;
    if (name == "kl") return false;
    row = FindMetric(name);
  }
  return row && row->charted ? std::optional(row->higher_is_better) : std::nullopt;
}

// Names of figures of quality that at least one subject has with a value, in their order; a mean, where there is one,
// stands for its tasks.
std::vector<std::pair<std::string, std::string>> QualityNames(const Report& report) {
  std::vector<std::pair<std::string, std::string>> names;
  bool mean = false;
  for (const ReportSubject& subject : report.subjects)
    for (const ReportFigure& figure : subject.figures) {
      const std::pair name(figure.metric, figure.name);
      if (!figure.value || !HigherIsBetter(figure) || std::find(names.begin(), names.end(), name) != names.end())
        continue;
      mean |= figure.name.starts_with("mean of acc");
      names.push_back(name);
    }
  if (mean) std::erase_if(names, [](const auto& name) { return name.second.ends_with(", acc"); });
  return names;
}

// Points by falling cost that none before beats: the cheapest last.
ChartSeries Frontier(std::vector<ChartPoint> points, bool higher) {
  std::sort(points.begin(), points.end(), [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
  ChartSeries line{.name = "", .points = {}, .style = 5, .line = ChartSeries::Line::kStep, .marks = false};
  for (const ChartPoint& point : points)
    if (line.points.empty() || (higher ? point.y > line.points.back().y : point.y < line.points.back().y))
      line.points.push_back({.x = point.x, .y = point.y});
  return line;
}

// Cost of a subject, if known.
using CostOf = std::optional<double> (*)(const ReportSubject&);

std::optional<double> SizeOf(const ReportSubject& subject) {
  return subject.weights_B > 0 ? std::optional(subject.weights_B / kMega) : std::nullopt;
}

const ReportFigure* EnergyFigure(const ReportSubject& subject) {
  for (const ReportFigure& figure : subject.figures)
    if (figure.metric == "energy" && figure.value && figure.name.starts_with("per token")) return &figure;
  return nullptr;
}

std::optional<double> EnergyOf(const ReportSubject& subject) {
  const ReportFigure* figure = EnergyFigure(subject);
  return figure ? figure->value : std::nullopt;
}

std::optional<ReportChart> QualityAgainst(const Report& report, const std::pair<std::string, std::string>& name,
                                          const char* cost_title, CostOf cost_of) {
  ReportChart made{.chart = {.title = fmt::format("{} against {}", name.second, cost_title),
                             .description = "one point for each checkpoint, with its 95 % interval",
                             .x = {.title = cost_title, .log = false, .from_zero = true},
                             .y = {.title = name.second, .log = name.second.ends_with(", kl"), .from_zero = false},
                             .series = {}},
                   .note = {}};
  std::vector<ChartPoint> points;
  bool higher = false;
  for (const ReportSubject& subject : report.subjects) {
    const ReportFigure* figure = subject.Find(name.first, name.second);
    const auto cost = cost_of(subject);
    if (!figure || !figure->value || !cost) continue;
    higher = *HigherIsBetter(*figure);
    ChartPoint point{.x = *cost, .y = *figure->value, .y_low = {}, .y_high = {}, .label = subject.name};
    if (figure->interval)
      std::tie(point.y_low, point.y_high) = std::pair(figure->interval->first, figure->interval->second);
    points.push_back(point);
    made.chart.series.push_back({.name = "",
                                 .points = {point},
                                 .style = StyleOf(report, subject),
                                 .line = ChartSeries::Line::kNone,
                                 .marks = true,
                                 .hollow = figure->kind == "modelled"});
  }
  if (points.empty()) return std::nullopt;
  if (points.size() > 1) made.chart.series.insert(made.chart.series.begin(), Frontier(points, higher));
  made.note = fmt::format("{} is better; bars: 95 % interval; the line: what none of the others beats in both.",
                          higher ? "Higher" : "Lower");
  return made;
}

std::string KindOfRows(const Table& table) {
  std::set<char> letters;
  for (size_t row = 0; row < table.rows().size(); ++row) letters.insert(table.Text(row, "src")[0]);
  if (letters == std::set<char>{'m'}) return "measured";
  return letters.contains('m') ? "measured and modelled" : "modelled";
}

// A line for the smallest and one for the largest batch of a profile; those between would not be told apart.
std::vector<ChartSeries> LinesByBatch(const Table& phase, const char* column, const char* x_column,
                                      const std::string& name, int style) {
  std::map<int64_t, std::map<double, ChartPoint>> by_batch;
  bool modelled = false;
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    const auto batch = phase.Count(row, "batch");
    const auto y = phase.Number(row, column);
    auto x = phase.Number(row, x_column);
    if (!x) x = phase.Number(row, "prompt_tok");  // what the cache holds when decoding begins
    if (!batch || !x || !y) continue;
    modelled |= phase.Text(row, "src") != "m";
    by_batch[*batch][*x] = {.x = *x, .y = *y};
  }
  std::vector<ChartSeries> lines;
  for (const auto& [batch, points] : by_batch) {
    if (batch != by_batch.begin()->first && batch != by_batch.rbegin()->first) continue;
    ChartSeries line{.name = lines.empty() ? name : "", .points = {}, .style = style};
    line.hollow = modelled;
    for (const auto& [x, point] : points) line.points.push_back(point);
    line.points.back().label = fmt::format("batch {}", batch);
    lines.push_back(std::move(line));
  }
  return lines;
}

ReportChart PhaseChart(const Report& report, const char* column, const char* x_column, Chart chart) {
  std::set<std::string> devices, kinds;
  for (const ReportSubject& subject : report.subjects)
    for (const DeviceProfile& profile : subject.profiles) {
      if (!profile.tables.contains("phase")) continue;
      const Table& phase = profile.At("phase");
      const std::string device = DeviceOf(profile).id;
      const std::string name = subject.profiles.size() > 1 ? subject.name + " on " + device : subject.name;
      for (ChartSeries& line : LinesByBatch(phase, column, x_column, name, StyleOf(report, subject)))
        chart.series.push_back(std::move(line));
      devices.insert(device);
      kinds.insert(KindOfRows(phase));
    }
  return {.chart = std::move(chart),
          .note = fmt::format("{}; medians; device: {}. The smallest and the largest batch of each profile.",
                              fmt::join(kinds, ", "), fmt::join(devices, ", "))};
}

// The decoder block in the name of a matrix; nullopt: none.
std::optional<int> LayerOf(const std::string& name) {
  const size_t at = name.find("layers.");
  if (at == std::string::npos) return std::nullopt;
  return std::atoi(name.c_str() + at + 7);
}

}  // namespace

int StyleOf(const Report& report, const ReportSubject& subject) {
  return static_cast<int>(&subject - report.subjects.data());
}

std::vector<ReportChart> FrontierCharts(const Report& report) {
  std::vector<ReportChart> charts;
  const auto add = [&](std::optional<ReportChart> chart) {
    if (chart) charts.push_back(std::move(*chart));
  };
  for (const auto& name : QualityNames(report)) {
    add(QualityAgainst(report, name, "weights, MB", SizeOf));
    add(QualityAgainst(report, name, "energy, J per token", EnergyOf));
  }
  return charts;
}

std::vector<ReportChart> SensitivityCharts(const Report& report) {
  std::vector<ReportChart> charts;
  for (const SensitivityRun& run : report.runs) {
    ReportChart made{
        .chart = {.title = "cost of rounding single matrices: " + run.name,
                  .description = "Kullback-Leibler divergence from the original, by decoder block and format",
                  .x = {.title = "decoder block", .log = false, .from_zero = true},
                  .y = {.title = "KL, nat per token", .log = true, .from_zero = false},
                  .series = {}},
        .note = {}};
    std::set<std::string> elsewhere;
    for (size_t format = 0; format < run.formats.size(); ++format) {
      ChartSeries series{.name = run.formats[format],
                         .points = {},
                         .style = static_cast<int>(format),
                         .line = ChartSeries::Line::kNone};
      for (const SensitivityRow& row : run.rows) {
        if (const auto layer = LayerOf(row.name))
          series.points.push_back({.x = static_cast<double>(*layer), .y = row.kl_nats[format]});
        else
          elsewhere.insert(row.name);
      }
      if (std::any_of(series.points.begin(), series.points.end(), [](const ChartPoint& p) { return p.y > 0; }))
        made.chart.series.push_back(std::move(series));
    }
    if (made.chart.series.empty()) continue;
    made.note = "measured; one point for each matrix or group in each format, everything else as it was";
    if (!elsewhere.empty()) made.note += fmt::format("; not in a block: {}", fmt::join(elsewhere, ", "));
    charts.push_back(std::move(made));
  }
  return charts;
}

std::vector<ReportChart> RiskCharts(const Report& report) {
  std::vector<std::string> tasks;
  for (const ReportSubject& subject : report.subjects)
    for (const RiskCurve& curve : subject.curves)
      if (std::find(tasks.begin(), tasks.end(), curve.task) == tasks.end()) tasks.push_back(curve.task);
  std::vector<ReportChart> charts;
  for (const std::string& task : tasks) {
    ReportChart made{
        .chart = {.title = "risk and coverage: " + task,
                  .description = "share of wrong answers among the surest share of all answers",
                  .x = {.title = "share of answers kept, surest first", .log = false, .from_zero = true},
                  .y = {.title = "share of them wrong", .log = false, .from_zero = true},
                  .series = {}},
        .note = "measured; uncertainty: mean over the answer's tokens of 1 - (p1 - p2). AUROC of being wrong:"};
    for (const ReportSubject& subject : report.subjects)
      for (const RiskCurve& curve : subject.curves) {
        if (curve.task != task) continue;
        ChartSeries line{.name = subject.name, .points = {}, .style = StyleOf(report, subject)};
        line.marks = false;
        for (const auto& [coverage, accuracy] : curve.points) line.points.push_back({.x = coverage, .y = 1 - accuracy});
        made.chart.series.push_back(std::move(line));
        made.note +=
            fmt::format(" {} {};", subject.name, curve.auroc ? fmt::format("{:.3f}", *curve.auroc) : "undefined");
      }
    made.note.back() = '.';
    charts.push_back(std::move(made));
  }
  return charts;
}

std::vector<ReportChart> LatencyCharts(const Report& report) {
  std::vector<ReportChart> charts;
  charts.push_back(PhaseChart(report, "prefill_ms", "prompt_tok",
                              {.title = "time to the first token",
                               .description = "milliseconds of prefill by prompt length",
                               .x = {.title = "prompt, tokens of each sequence", .log = true, .from_zero = false},
                               .y = {.title = "prefill, ms", .log = true, .from_zero = false},
                               .series = {}}));
  charts.push_back(PhaseChart(report, "tpot_ms", "ctx_tok",
                              {.title = "time per further token",
                               .description = "milliseconds of a decode step by tokens in the cache",
                               .x = {.title = "context, tokens of each sequence", .log = true, .from_zero = false},
                               .y = {.title = "decode step, ms", .log = false, .from_zero = true},
                               .series = {}}));
  std::erase_if(charts, [](const ReportChart& chart) { return chart.chart.series.empty(); });
  return charts;
}

std::vector<std::filesystem::path> WriteCharts(const Report& report, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  std::vector<std::filesystem::path> paths;
  for (const auto& charts : {FrontierCharts(report), SensitivityCharts(report), PruningCharts(report),
                             RiskCharts(report), LatencyCharts(report), OffloadCharts(report)})
    for (const ReportChart& chart : charts) {
      paths.push_back(folder / (Slug(chart.chart.title) + ".svg"));
      WriteFileAtomically(paths.back(), SvgFile(chart.chart));
    }
  return paths;
}

}  // namespace ecld
