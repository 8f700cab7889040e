#pragma once
// Charts as SVG: points with error bars, lines and steps over linear or logarithmic axes. Made for a page or a file of
// its own, read on paper, light or dark, without scripts, fonts or anything else from elsewhere. Series differ in
// colour, mark and dash, so that print without colour tells them apart.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ecld {

struct ChartPoint {
  double x = 0, y = 0;
  std::optional<double> y_low, y_high;  // the error bar
  std::string label = {};               // beside the point
};

struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;
  int style = 0;  // colour, mark and dash: the same number looks the same in every chart
  enum class Line { kNone, kStraight, kStep } line = Line::kStraight;
  bool marks = true;
  bool hollow = false;  // marks of what was modelled
};

struct ChartAxis {
  std::string title;  // with the unit
  bool log = false;   // points that are not above 0 are left out
  bool from_zero = false;
};

// A row along the x axis, one cell for each whole number from 0 on, each the darker the larger its share of 1.
struct ChartCells {
  std::string name;
  std::vector<double> shares;  // what is not finite is left out
};

struct Chart {
  std::string title, description;  // for who cannot see it; a file of its own shows the title
  ChartAxis x, y;
  std::vector<ChartSeries> series;
  std::vector<ChartCells> cells = {};  // where there are some, they are drawn, and no series
};

// Where the ticks of an axis stand, ascending, the first and last of them at or within its ends.
struct ChartTicks {
  double low = 0, high = 1;
  std::vector<double> at;
};
ChartTicks TicksOf(double low, double high, bool log, bool from_zero);

// An <svg> element to stand in a page that has ChartStyle() in its style sheet. Values that are not finite are left
// out; a chart without any says so.
std::string SvgElement(const Chart& chart);

// A whole file, style and title included.
std::string SvgFile(const Chart& chart);

// The style sheet of SvgElement: colours as --c0 .. --c5, light, dark and print.
std::string_view ChartStyle();
inline constexpr int kChartStyles = 6;

// text as the content of an element or of a quoted attribute of XML or HTML; control characters, which neither can
// hold, and bytes that are no UTF-8 as U+FFFD.
std::string EscapeXml(std::string_view text);

}  // namespace ecld
