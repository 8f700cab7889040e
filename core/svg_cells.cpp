#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/svg_paper.h"

namespace ecld {
namespace {

constexpr double kMostHeight = 26;  // of a row

std::string RowSvg(const ChartCells& row, double y, double width, double height) {
  std::string svg = SvgText(kPaperLeft - 7, y + height / 2 + 4, "end", row.name);
  svg += fmt::format("<rect class=\"ground\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
                     kPaperLeft, y, width * static_cast<double>(row.shares.size()), height - 1);
  for (size_t i = 0; i < row.shares.size(); ++i) {
    if (!std::isfinite(row.shares[i])) continue;
    svg += fmt::format(
        "<rect class=\"cell\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill-opacity=\"{:.2f}\">"
        "<title>{} {}: {}</title></rect>",
        kPaperLeft + width * static_cast<double>(i), y, width - 1, height - 1, std::clamp(row.shares[i], 0.0, 1.0),
        EscapeXml(row.name), i, TickText(row.shares[i]));
  }
  return svg;
}

}  // namespace

std::string CellsSvg(const Chart& chart, double top) {
  size_t columns = 1;
  for (const ChartCells& row : chart.cells) columns = std::max(columns, row.shares.size());
  const double first = top + 8, last = kPaperHeight - kPaperBottom;
  const double height = std::min(kMostHeight, (last - first) / static_cast<double>(chart.cells.size()));
  const double width = (kPaperWidth - kPaperLeft - kPaperRight) / static_cast<double>(columns);
  std::string svg;
  double y = first;
  for (const ChartCells& row : chart.cells) {
    svg += RowSvg(row, y, width, height);
    y += height;
  }
  for (double tick : TicksOf(0, static_cast<double>(columns - 1), false, true).at)
    if (tick == std::floor(tick) && tick < static_cast<double>(columns))
      svg += SvgText(kPaperLeft + width * (tick + 0.5), y + 16, "middle", TickText(tick));
  return svg +
         SvgText((kPaperLeft + kPaperWidth - kPaperRight) / 2, y + 36, "middle", chart.x.title, " class=\"title\"");
}

}  // namespace ecld
