#include "core/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/svg_paper.h"
#include "core/utf8.h"

namespace ecld {
namespace {

constexpr double kLegendLine = 20, kCharacter = 7.7;  // of text of 13 units; an estimate, there is no font here to ask
constexpr std::array kDashes = {"", "7 4", "2 4", "10 3 2 3", "4 3", "1 3"};

// One axis on the paper.
struct Scale {
  ChartTicks ticks;
  bool log;
  double from, to;  // on the paper

  double operator()(double value) const {
    const auto map = [this](double v) { return log ? std::log(v) : v; };
    return from + (map(value) - map(ticks.low)) / (map(ticks.high) - map(ticks.low)) * (to - from);
  }
};

bool Usable(const Chart& chart, const ChartPoint& point) {
  return std::isfinite(point.x) && std::isfinite(point.y) && (!chart.x.log || point.x > 0) &&
         (!chart.y.log || point.y > 0);
}

// Circle, square, diamond, triangle.
std::string Mark(double x, double y, int style, bool hollow) {
  const std::string look = fmt::format("class=\"s{}{}\"", style % kChartStyles, hollow ? " hollow" : " full");
  switch (style % 4) {
    case 0:
      return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" {}/>", x, y, look);
    case 1:
      return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"7\" height=\"7\" {}/>", x - 3.5, y - 3.5, look);
    case 2:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l5 5l-5 5l-5 -5z\" {}/>", x, y - 5, look);
    default:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l5 8.6h-10z\" {}/>", x, y - 5, look);
  }
}

std::string Legend(const Chart& chart, double* height) {
  std::string svg;
  double x = kPaperLeft, y = 14;
  for (const ChartSeries& series : chart.series) {
    if (series.name.empty()) continue;
    const double width = 30 + kCharacter * static_cast<double>(series.name.size()) + 14;
    if (x > kPaperLeft && x + width > kPaperWidth) {
      x = kPaperLeft;
      y += kLegendLine;
    }
    if (series.line != ChartSeries::Line::kNone)
      svg += fmt::format("<path d=\"M{:.1f} {:.1f}h22\" class=\"line s{}\" stroke-dasharray=\"{}\"/>", x, y - 4,
                         series.style % kChartStyles, kDashes[static_cast<size_t>(series.style % kChartStyles)]);
    if (series.marks) svg += Mark(x + 11, y - 4, series.style, series.hollow);
    svg += SvgText(x + 28, y, "start", series.name);
    x += width;
  }
  *height = svg.empty() ? 8 : y + 12;
  return svg;
}

std::string Axes(const Chart& chart, const Scale& x, const Scale& y) {
  std::string svg;
  for (double tick : y.ticks.at) {
    svg += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", x.from, y(tick), x.to);
    svg += SvgText(x.from - 7, y(tick) + 4, "end", TickText(tick));
  }
  for (double tick : x.ticks.at) {
    svg += fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}v5\"/>", x(tick), y.from);
    svg += SvgText(x(tick), y.from + 18, "middle", TickText(tick));
  }
  svg += fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", x.from, y.from, x.to);
  svg += SvgText((x.from + x.to) / 2, kPaperHeight - 8, "middle", chart.x.title, " class=\"title\"");
  const double middle = (y.from + y.to) / 2;
  svg += SvgText(14, middle, "middle", chart.y.title,
                 fmt::format(" class=\"title\" transform=\"rotate(-90 14 {:.1f})\"", middle));
  return svg;
}

// Names of points, set once all marks are known: each takes the first place around its point where it lies on no mark
// and on no other name, and inside the paper; one that is a line or more away is joined to its point.
class Labels {
 public:
  void Add(double x, double y, const std::string& text) {
    marks_.push_back({x - 6, x + 6, y - 6, y + 6});
    if (!text.empty()) wanted_.push_back({x, y, text});
  }

  // top, bottom: of the plot on the paper.
  std::string Svg(double top, double bottom) const {
    std::string svg;
    std::vector<Box> taken = marks_;
    // Those at the right edge first: they fit on one side of their points only.
    std::vector<Wanted> wanted = wanted_;
    std::stable_partition(wanted.begin(), wanted.end(), [](const Wanted& label) {
      return label.x + kBeside + kCharacter * static_cast<double>(label.text.size()) > kPaperWidth - 2;
    });
    for (const Wanted& label : wanted) {
      const double width = kCharacter * static_cast<double>(label.text.size());
      double best_overlap = std::numeric_limits<double>::infinity(), best_at = 0;
      bool best_left = false;
      for (double away : {-6, 5, -19, 17, -32, 30, -45, 43, -58, 56, -71, 69})
        for (bool left : {false, true}) {
          const Box box = BoxOf(label, width, left, label.y + away);
          double overlap = Outside(box, top, bottom);
          for (const Box& other : taken) overlap += Overlap(box, other);
          if (overlap >= best_overlap) continue;
          best_overlap = overlap;
          best_at = label.y + away;
          best_left = left;
        }
      taken.push_back(BoxOf(label, width, best_left, best_at));
      if (std::abs(best_at - label.y) > 20)
        svg += fmt::format("<path class=\"lead\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>", label.x, label.y,
                           label.x + (best_left ? -8 : 8), best_at - 4);
      svg += SvgText(label.x + (best_left ? -kBeside : kBeside), best_at, best_left ? "end" : "start", label.text,
                     " class=\"label\"");
    }
    return svg;
  }

 private:
  struct Box {
    double left, right, top, bottom;
  };
  struct Wanted {
    double x, y;
    std::string text;
  };
  static constexpr double kBeside = 9;

  // baseline: of the text.
  static Box BoxOf(const Wanted& label, double width, bool left, double baseline) {
    const double start = left ? label.x - kBeside - width : label.x + kBeside;
    return {start, start + width, baseline - 10, baseline + 3};
  }
  static double Overlap(const Box& a, const Box& b) {
    return std::max(0.0, std::min(a.right, b.right) - std::max(a.left, b.left)) *
           std::max(0.0, std::min(a.bottom, b.bottom) - std::max(a.top, b.top));
  }
  static double Outside(const Box& box, double top, double bottom) {
    const Box paper{kPaperLeft, kPaperWidth - 2, top - 12, bottom};
    return (box.right - box.left) * (box.bottom - box.top) - Overlap(box, paper);
  }

  std::vector<Box> marks_;
  std::vector<Wanted> wanted_;
};

std::string SeriesSvg(const Chart& chart, const ChartSeries& series, const Scale& x, const Scale& y, Labels* labels) {
  std::string path, bars, marks;
  double last_y = 0;
  for (const ChartPoint& point : series.points) {
    if (!Usable(chart, point)) continue;
    const double at_x = x(point.x), at_y = y(point.y);
    if (path.empty())
      path = fmt::format("M{:.1f} {:.1f}", at_x, at_y);
    else if (series.line == ChartSeries::Line::kStep)
      path += fmt::format("L{:.1f} {:.1f}L{:.1f} {:.1f}", at_x, last_y, at_x, at_y);
    else
      path += fmt::format("L{:.1f} {:.1f}", at_x, at_y);
    last_y = at_y;
    if (point.y_low && point.y_high && std::isfinite(*point.y_low) && std::isfinite(*point.y_high))
      bars +=
          fmt::format("<path class=\"bar s{0}\" d=\"M{1:.1f} {2:.1f}V{3:.1f}M{4:.1f} {2:.1f}h8M{4:.1f} {3:.1f}h8\"/>",
                      series.style % kChartStyles, at_x, y(std::max(*point.y_low, y.ticks.low)),
                      y(std::min(*point.y_high, y.ticks.high)), at_x - 4);
    if (series.marks) marks += Mark(at_x, at_y, series.style, series.hollow);
    if (series.marks || !point.label.empty()) labels->Add(at_x, at_y, point.label);
  }
  std::string svg;
  if (series.line != ChartSeries::Line::kNone && !path.empty())
    svg = fmt::format("<path class=\"line s{}\" stroke-dasharray=\"{}\" d=\"{}\"/>", series.style % kChartStyles,
                      kDashes[static_cast<size_t>(series.style % kChartStyles)], path);
  return svg + bars + marks;
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void Take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

std::string Body(const Chart& chart, double top) {
  if (!chart.cells.empty()) return CellsSvg(chart, top);
  Range x_range, y_range;
  for (const ChartSeries& series : chart.series)
    for (const ChartPoint& point : series.points) {
      if (!Usable(chart, point)) continue;
      x_range.Take(point.x);
      y_range.Take(point.y);
      for (const auto& end : {point.y_low, point.y_high})
        if (end && std::isfinite(*end) && (!chart.y.log || *end > 0)) y_range.Take(*end);
    }
  if (x_range.low > x_range.high) return SvgText(kPaperWidth / 2, kPaperHeight / 2, "middle", "no data");
  double legend = 0;
  const std::string names = Legend(chart, &legend);
  const Scale x{TicksOf(x_range.low, x_range.high, chart.x.log, chart.x.from_zero), chart.x.log, kPaperLeft,
                kPaperWidth - kPaperRight};
  const Scale y{TicksOf(y_range.low, y_range.high, chart.y.log, chart.y.from_zero), chart.y.log,
                kPaperHeight - kPaperBottom, top + legend};
  std::string svg = fmt::format("<g transform=\"translate(0 {:.1f})\">{}</g>", top, names) + Axes(chart, x, y);
  Labels labels;
  for (const ChartSeries& series : chart.series) svg += SeriesSvg(chart, series, x, y, &labels);
  return svg + labels.Svg(y.to, y.from);
}

std::string Element(const Chart& chart, std::string_view attributes, std::string_view style, double top) {
  return fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\"{}><title>{}</title><desc>{}</desc>{}{}</svg>",
      kPaperWidth, kPaperHeight, attributes, EscapeXml(chart.title), EscapeXml(chart.description), style,
      Body(chart, top));
}

// The title of a file, smaller where the paper is not wide enough for it.
std::string FileTitle(const std::string& title) {
  constexpr double kSize = 14, kEdge = 8;
  const double width = kCharacter * kSize / 13 * static_cast<double>(title.size());
  if (kPaperLeft + width <= kPaperWidth) return SvgText(kPaperLeft, 18, "start", title, " class=\"name\"");
  const double size = std::min(kSize, kSize * (kPaperWidth - 2 * kEdge) / width);
  return SvgText(kEdge, 18, "start", title, fmt::format(" class=\"name\" style=\"font-size:{:.1f}px\"", size));
}

}  // namespace

std::string TickText(double value) {
  if (std::abs(value) < 1e-12) return "0";
  // Longer ones would run into the title of the axis.
  if (const double size = std::abs(value); size >= 1e5 && size < 1e9)
    return size < 1e6 ? fmt::format("{:.4g}k", value / 1e3) : fmt::format("{:.4g}M", value / 1e6);
  return std::abs(value) >= 1e6 || std::abs(value) < 1e-3 ? fmt::format("{:.3g}", value) : fmt::format("{:.6g}", value);
}

std::string SvgText(double x, double y, std::string_view anchor, std::string_view text, std::string_view more) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>", x, y, anchor, more,
                     EscapeXml(text));
}

std::string SvgElement(const Chart& chart) { return Element(chart, "", "", 0); }

std::string SvgFile(const Chart& chart) {
  const std::string size = fmt::format(" xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\"",
                                       kPaperWidth * 1.6, kPaperHeight * 1.6);
  return Element(chart, size,
                 fmt::format("<style>{}</style>"
                             "<rect width=\"100%\" height=\"100%\" class=\"paper\"/>{}",
                             ChartStyle(), FileTitle(chart.title)),
                 22) +
         "\n";
}

std::string_view ChartStyle() {
  return ":root{--paper:#fff;--ink:#1d2430;--soft:#5b6675;--rule:#dfe3e8;--c0:#0b62a8;--c1:#c2410c;--c2:#0f766e;"
         "--c3:#7c3aed;--c4:#8a6500;--c5:#be185d}\n"
         "@media screen and (prefers-color-scheme:dark){:root{--paper:#12161c;--ink:#e6eaf0;--soft:#a3adba;"
         "--rule:#2d3540;--c0:#6cb6ff;--c1:#ff9d5c;--c2:#4fd1c5;--c3:#c4a1ff;--c4:#e3c04d;--c5:#ff8ab8}}\n"
         ".chart{font:13px system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif;"
         "font-variant-numeric:tabular-nums}\n"
         ".chart text{fill:var(--soft)}.chart text.title,.chart text.label,.chart text.name{fill:var(--ink)}"
         ".chart text.name{font-weight:600;font-size:14px}.chart .paper{fill:var(--paper)}\n"
         ".chart .grid{stroke:var(--rule);fill:none}.chart .axis,.chart .lead{stroke:var(--soft);fill:none}\n"
         ".chart .ground{fill:var(--rule)}.chart .cell{fill:var(--c0)}\n"
         ".chart .line{fill:none;stroke-width:2;stroke-linejoin:round}.chart .bar{fill:none;stroke-width:1.4}\n"
         ".chart .full{stroke:var(--paper);stroke-width:1}.chart .hollow{fill:var(--paper);stroke-width:2}\n"
         ".chart .line.s0,.chart .bar.s0,.chart .hollow.s0{stroke:var(--c0)}.chart .full.s0{fill:var(--c0)}\n"
         ".chart .line.s1,.chart .bar.s1,.chart .hollow.s1{stroke:var(--c1)}.chart .full.s1{fill:var(--c1)}\n"
         ".chart .line.s2,.chart .bar.s2,.chart .hollow.s2{stroke:var(--c2)}.chart .full.s2{fill:var(--c2)}\n"
         ".chart .line.s3,.chart .bar.s3,.chart .hollow.s3{stroke:var(--c3)}.chart .full.s3{fill:var(--c3)}\n"
         ".chart .line.s4,.chart .bar.s4,.chart .hollow.s4{stroke:var(--c4)}.chart .full.s4{fill:var(--c4)}\n"
         ".chart .line.s5,.chart .bar.s5,.chart .hollow.s5{stroke:var(--c5)}.chart .full.s5{fill:var(--c5)}\n";
}

std::string EscapeXml(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char character = CharAt(text, at);
    const char c = text[at];
    if (character.code == kInvalidCodePoint || (character.code < 0x20 && c != '\n' && c != '\t') ||
        (character.code >= 0x7f && character.code < 0xa0) || (character.code & 0xfffe) == 0xfffe)
      out += "\xef\xbf\xbd";
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += text.substr(at, character.size);
    at += character.size;
  }
  return out;
}

}  // namespace ecld
