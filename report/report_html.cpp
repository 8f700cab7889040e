#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/progress.h"
#include "profile/query/sections.h"
#include "report/report_charts.h"

namespace ecld {
namespace {

// Three widths: a phone, a page, a screen. Print takes the light colours and keeps figures whole.
constexpr std::string_view kPageStyle =
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:72rem;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif;"
    "font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}\n"
    "h1{font-size:1.75rem;line-height:1.2;margin:.5rem 0}h2{font-size:1.25rem;margin:2.75rem 0 .5rem;"
    "padding-top:.75rem;border-top:2px solid var(--ink)}\n"
    "h3{font-size:1rem;margin:0}p{margin:.4rem 0;max-width:46rem}.soft,small,figcaption p{color:var(--soft)}"
    "small,figcaption p{font-size:.8125rem}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:500}\n"
    ".wide th,.wide td{padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--rule);white-space:nowrap}\n"
    ".wide td{text-align:right}.wide td.format{white-space:normal;min-width:11rem}.wide thead "
    "th{color:var(--soft);font-size:.8125rem}"
    ".wide thead th+th{text-align:right}.wide td small{display:block;line-height:1.2}\n"
    ".grid{display:grid;gap:1.25rem 2.5rem;grid-template-columns:repeat(auto-fill,minmax(min(26rem,100%),1fr))}\n"
    ".figure{padding:.6rem 0;border-top:1px solid var(--rule);break-inside:avoid}\n"
    ".figure h3{display:flex;flex-wrap:wrap;gap:0 .6rem;align-items:baseline;overflow-wrap:anywhere}\n"
    ".figure td,.figure th{padding:.1rem .5rem .1rem 0;vertical-align:middle;font-size:.9375rem}\n"
    ".figure th{width:34%;overflow-wrap:anywhere;padding-left:1.3rem}.figure td.value{width:30%}"
    ".figure small{font-weight:400}.figure td "
    "small{white-space:nowrap}"
    ".figure td small.scale{display:flex;justify-content:space-between}"
    ".figure tfoot td{padding-top:0;line-height:1}\n"
    ".figure td.strip{padding-right:0}.figure td small{display:block;line-height:1.2}\n"
    ".strip svg,.key svg{display:block;overflow:visible}.strip line,.strip circle{stroke-width:2}"
    ".strip .base{stroke:var(--rule);stroke-width:1}\n"
    ".key{display:inline-block;width:12px;height:12px;margin-right:.4rem}"
    ".figure .key{margin:0 calc(1.3rem - 12px) 0 -1.3rem}\n"
    "figure{margin:0;break-inside:avoid}figure .chart{display:block;width:100%;height:auto;max-width:31rem}\n"
    "figcaption h3{margin-bottom:.25rem}.study{margin:0 0 1.75rem}.study p{margin:.1rem 0}\n"
    ".absent{color:var(--soft);font-style:italic}.kind-modelled{border-bottom:1px dotted}\n"
    ".sources td,.sources th{font-size:.8125rem;white-space:normal;overflow-wrap:anywhere;text-align:left}\n"
    "@media(max-width:40rem){body{font-size:15px}h1{font-size:1.4rem}.glance tbody th{white-space:normal;"
    "min-width:8rem;font-size:.8125rem}}\n"
    "@media print{body{max-width:none;padding:0;font-size:11pt}h2{break-after:avoid}.scroll{overflow:visible}"
    ".grid{grid-template-columns:1fr 1fr}}\n"
    "@page{margin:16mm}\n";

constexpr size_t kNamesInTitle = 6;

std::string Data(double exact, const std::string& shown) {
  return fmt::format("<data value=\"{}\">{}</data>", exact, EscapeXml(shown));
}

std::string Shown(double value, const std::string& unit) {
  if (unit == "B" && value >= 0 && value < 9e18) return FormatBytes(static_cast<uint64_t>(value));
  return fmt::format("{:.4g}", value);
}

std::string Colour(int style) { return fmt::format("var(--c{})", style % kChartStyles); }

std::string Key(int style) {
  return fmt::format(
      "<span class=\"key\"><svg width=\"12\" height=\"12\" aria-hidden=\"true\"><circle cx=\"6\" cy=\"6\" r=\"5\" "
      "fill=\"{}\"/></svg></span>",
      Colour(style));
}

// What the strips of a figure run over: 0 to the largest value or end of an interval, shares to 1; from below 0 where
// something is.
struct StripScale {
  double low = 0, high = 0;
};

StripScale ScaleOf(const Report& report, const std::string& metric, const std::string& name) {
  StripScale scale;
  for (const ReportSubject& subject : report.subjects) {
    const ReportFigure* figure = subject.Find(metric, name);
    if (!figure || !figure->value) continue;
    const auto [from, to] = figure->interval.value_or(std::pair(*figure->value, *figure->value));
    const bool share = figure->unit == "1" && std::max(to, *figure->value) <= 1;
    scale.low = std::min({scale.low, *figure->value, from});
    scale.high = std::max({scale.high, *figure->value, to, share ? 1.0 : 0.0});
  }
  if (scale.high <= scale.low) scale.high = scale.low + 1;
  return scale;
}

// Dot and interval; hollow where modelled.
std::string Strip(const ReportFigure& figure, const StripScale& scale, int style) {
  const auto at = [&](double value) {
    return fmt::format("{:.2f}%", 100 * std::clamp((value - scale.low) / (scale.high - scale.low), 0.0, 1.0));
  };
  std::string svg =
      "<svg width=\"100%\" height=\"16\" aria-hidden=\"true\"><line class=\"base\" x1=\"0\" x2=\"100%\" y1=\"8\" "
      "y2=\"8\"/>";
  if (figure.interval)
    svg += fmt::format("<line x1=\"{}\" x2=\"{}\" y1=\"8\" y2=\"8\" stroke=\"{}\"/>", at(figure.interval->first),
                       at(figure.interval->second), Colour(style));
  return svg + fmt::format("<circle cx=\"{}\" cy=\"8\" r=\"4\" stroke=\"{}\" fill=\"{}\"/></svg>", at(*figure.value),
                           Colour(style), figure.kind == "modelled" ? "var(--paper)" : Colour(style));
}

// With its interval below it.
std::string Value(const ReportFigure& figure) {
  std::string html = fmt::format("<span class=\"kind-{}\">{}</span>", EscapeXml(figure.kind),
                                 Data(*figure.value, Shown(*figure.value, figure.unit)));
  if (figure.interval)
    html += fmt::format("<small>{} \u2013 {}</small>",
                        Data(figure.interval->first, Shown(figure.interval->first, figure.unit)),
                        Data(figure.interval->second, Shown(figure.interval->second, figure.unit)));
  return html;
}

std::string SubjectRow(const ReportSubject& subject, const ReportFigure* figure, const StripScale& scale, int style) {
  std::string row = fmt::format("<tr><th scope=\"row\">{}{}</th>", Key(style), EscapeXml(subject.name));
  if (!figure || !figure->value) return row + "<td class=\"value absent\" colspan=\"2\">not measured</td></tr>";
  return row + fmt::format("<td class=\"value\">{}</td><td class=\"strip\">{}</td></tr>", Value(*figure),
                           Strip(*figure, scale, style));
}

std::string Figure(const Report& report, const std::string& metric, const std::string& name) {
  std::set<std::string> units, kinds, methods;
  std::set<int64_t> counts;
  for (const ReportSubject& subject : report.subjects) {
    const ReportFigure* figure = subject.Find(metric, name);
    if (!figure) continue;
    if (!figure->method.empty()) methods.insert(figure->method);
    if (!figure->value) continue;
    units.insert(figure->unit == "1" ? "" : figure->unit);
    kinds.insert(figure->kind);
    counts.insert(figure->n);
  }
  units.erase("");
  std::string about = fmt::format("{}", fmt::join(kinds, ", "));
  if (!counts.empty()) about += fmt::format(", n = {}", fmt::join(counts, ", "));
  std::string html = fmt::format("<div class=\"figure\"><h3>{}{}{} <small>{}</small></h3><table>", EscapeXml(name),
                                 units.empty() ? "" : ", ", EscapeXml(fmt::format("{}", fmt::join(units, ", "))),
                                 EscapeXml(kinds.empty() ? "not measured" : about));
  const StripScale scale = ScaleOf(report, metric, name);
  for (const ReportSubject& subject : report.subjects)
    html += SubjectRow(subject, subject.Find(metric, name), scale, StyleOf(report, subject));
  const std::string unit = units.size() == 1 ? *units.begin() : "";
  if (!kinds.empty())
    html += fmt::format(
        "<tfoot><tr><td colspan=\"2\"></td><td class=\"strip\"><small class=\"scale\"><span>{}</span><span>{}</span>"
        "</small></td></tr></tfoot>",
        EscapeXml(Shown(scale.low, unit)), EscapeXml(Shown(scale.high, unit)));
  html += "</table>";
  if (!methods.empty())
    html += fmt::format("<small>{}</small>", EscapeXml(fmt::format("{}", fmt::join(methods, "; "))));
  return html + "</div>";
}

std::string Absent(std::string_view what) { return fmt::format("<p class=\"absent\">{}</p>", what); }

struct Score {
  const char *metric, *title, *absent;
};
constexpr Score kScores[] = {
    {"accuracy", "Accuracy",
     "No result of <code>eval --tasks --json</code> or <code>eval --text --json</code> was given."},
    {"hallucination", "Hallucination",
     "No result of <code>eval --tasks hallucination --json</code> was given. World factuality needs a judge: not "
     "measured."},
    {"energy", "Energy", "No figure of energy was given (<code>scores --json</code>): not measured."},
    {"accessibility", "Accessibility",
     "No figure of accessibility was given (<code>scores --json</code>): not measured."},
};

// One for each name that the figures of a metric have, in their order; of headlines alone, or of all.
std::vector<const ReportFigure*> FiguresOf(const Report& report, std::string_view metric, bool headlines) {
  std::vector<const ReportFigure*> figures;
  for (const ReportSubject& subject : report.subjects)
    for (const ReportFigure& figure : subject.figures)
      if (figure.metric == metric && (figure.headline || !headlines) &&
          std::ranges::none_of(figures, [&](const ReportFigure* other) { return other->name == figure.name; }))
        figures.push_back(&figure);
  return figures;
}

std::string ScoreSection(const Report& report, const Score& score) {
  const std::vector<const ReportFigure*> figures = FiguresOf(report, score.metric, false);
  std::string html = fmt::format("<section><h2>{}</h2>", score.title);
  if (figures.empty()) return html + Absent(score.absent) + "</section>\n";
  html += "<div class=\"grid\">";
  for (const ReportFigure* figure : figures) html += Figure(report, score.metric, figure->name);
  return html + "</div></section>\n";
}

// text: above the charts.
std::string ChartSection(const char* title, const std::vector<ReportChart>& charts, std::string_view absent,
                         std::string_view text = "") {
  std::string html = fmt::format("<section><h2>{}</h2>{}", title, text);
  if (charts.empty()) return html + Absent(absent) + "</section>\n";
  html += "<div class=\"grid\">";
  for (const ReportChart& made : charts)
    html += fmt::format("<figure><figcaption><h3>{}</h3></figcaption>{}<figcaption><p>{}</p></figcaption></figure>",
                        EscapeXml(made.chart.title), SvgElement(made.chart), EscapeXml(made.note));
  return html + "</div></section>\n";
}

std::string SubjectTable(const Report& report) {
  std::string html =
      "<div class=\"scroll\"><table class=\"wide\"><thead><tr><th>checkpoint</th><th>format</th><th>weights</th>"
      "<th>parameters</th><th>bits per parameter</th><th>profiled on</th><th>sha256 of the weights</th></tr></thead>"
      "<tbody>";
  for (const ReportSubject& subject : report.subjects) {
    std::vector<std::string> devices;
    for (const DeviceProfile& profile : subject.profiles) devices.push_back(DeviceOf(profile).name);
    const bool known = subject.params > 0 && subject.weights_B > 0;
    html += fmt::format(
        "<tr><th scope=\"row\">{}{}</th><td "
        "class=\"format\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        Key(StyleOf(report, subject)), EscapeXml(subject.name), EscapeXml(subject.format),
        known ? Data(subject.weights_B, Shown(subject.weights_B, "B")) : "",
        known ? Data(subject.params, fmt::format("{:.4g} M", subject.params / 1e6)) : "",
        known ? fmt::format("{:.2f}", 8 * subject.weights_B / subject.params) : "",
        EscapeXml(fmt::format("{}", fmt::join(devices, ", "))), EscapeXml(subject.weights_sha256.substr(0, 12)));
  }
  return html + "</tbody></table></div>\n";
}

std::string GlanceRow(const Report& report, const ReportFigure& row) {
  std::string html = fmt::format("<tr><th scope=\"row\">{}{}</th>", EscapeXml(row.name),
                                 row.unit == "1" || row.unit == "B" ? "" : EscapeXml(", " + row.unit));
  for (const ReportSubject& subject : report.subjects) {
    const ReportFigure* figure = subject.Find(row.metric, row.name);
    html += fmt::format("<td>{}</td>", figure && figure->value ? Value(*figure) : "");
  }
  return html + "</tr>";
}

// The headlines of all, a column for each checkpoint.
std::string GlanceTable(const Report& report) {
  std::string rows;
  for (const Score& score : kScores) {
    const std::vector<const ReportFigure*> figures = FiguresOf(report, score.metric, true);
    if (figures.empty()) continue;
    rows += fmt::format("<tr><th scope=\"rowgroup\" colspan=\"{}\" class=\"soft\">{}</th></tr>",
                        report.subjects.size() + 1, score.metric);
    for (const ReportFigure* figure : figures) rows += GlanceRow(report, *figure);
  }
  if (rows.empty()) return "";
  std::string html =
      "<section><h2>At a glance</h2><div class=\"scroll\"><table class=\"wide glance\"><thead><tr><th></th>";
  for (const ReportSubject& subject : report.subjects)
    html += fmt::format("<th>{}{}</th>", Key(StyleOf(report, subject)), EscapeXml(subject.name));
  return html + "</tr></thead><tbody>" + rows + "</tbody></table></div></section>\n";
}

std::string SourceTable(const Report& report) {
  std::string html = "<section><h2>Sources</h2><table class=\"wide sources\"><tbody>";
  for (const auto& [file, sha256] : report.sources)
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>", EscapeXml(file), EscapeXml(sha256));
  return html + "</tbody></table></section>\n";
}

}  // namespace

std::string ReportHtml(const Report& report) {
  std::vector<std::string> names;
  for (const ReportSubject& subject : report.subjects) names.push_back(subject.name);
  std::string title = "ECLD report";
  if (names.size() > kNamesInTitle)
    title += fmt::format(": {} checkpoints", names.size());
  else if (!names.empty())
    title += fmt::format(": {}", fmt::join(names, ", "));
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"/><meta name=\"color-scheme\" content=\"light dark\"/>"
      "<title>{0}</title>\n<style>{1}{2}</style></head>\n<body><header><h1>{0}</h1>\n"
      "<p class=\"soft\">Four scores side by side, never blended into one. Bars and ranges are 95 % intervals; a "
      "filled dot was measured, a hollow one or a dotted line below a number modelled. Whether two checkpoints differ "
      "is for a paired test to say: new errors against the original.</p></header>\n",
      EscapeXml(title), ChartStyle(), kPageStyle);
  if (!report.subjects.empty()) html += SubjectTable(report);
  html += GlanceTable(report);
  for (const Score& score : kScores) html += ScoreSection(report, score);
  html += ChartSection("Size, quality, energy", FrontierCharts(report),
                       "Needs a score of quality and the size of the same weights.");
  html += ChartSection(
      "Sensitivity by layer", SensitivityCharts(report),
      "No <code>report.json</code> of a run that measured it (pass <code>quantize.allocate</code>) was given.");
  if (!report.pruned.empty()) html += ChartSection("What was cut", PruningCharts(report), "Nothing to draw.");
  html += ChartSection("Risk and coverage", RiskCharts(report),
                       "No result of <code>eval --tasks --json</code> with uncertainty was given.");
  html += ChartSection("Latency", LatencyCharts(report), "No device profile was given.");
  if (!report.studies.empty())
    html += ChartSection("Offloading", OffloadCharts(report), "Nothing to draw.", OffloadText(report));
  return html + SourceTable(report) + "</body></html>\n";
}

}  // namespace ecld
