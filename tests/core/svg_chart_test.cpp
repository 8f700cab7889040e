#include "core/svg_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

namespace ecld {
namespace {

using testing::HasSubstr;
using testing::Not;

Chart OneLine(std::vector<ChartPoint> points) {
  return {.title = "size & <KL>",
          .description = "made up",
          .x = {.title = "MB"},
          .y = {.title = "KL"},
          .series = {{.name = "ours", .points = std::move(points)}}};
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(EscapeXml, LeavesNothingThatMarkupWouldTakeForItsOwn) {
  EXPECT_EQ(EscapeXml("<b a=\"1\" c='2'>&amp;</b>"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;&lt;/b&gt;");
  EXPECT_EQ(EscapeXml("größe 語"), "größe 語");
  EXPECT_EQ(EscapeXml(std::string_view("a\0b\x1b\xff", 5)),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(EscapeXml("\xef\xbf\xbf"), "\xef\xbf\xbd") << "no character of XML";
}

TEST(SvgChart, LongNumbersAndTitlesStayOnThePaper) {
  Chart chart = OneLine({{.x = 0, .y = 0}, {.x = 1, .y = 400'000}});
  EXPECT_THAT(SvgElement(chart), HasSubstr(">400k</text>"));
  chart.series[0].points[1].y = 2.5e7;
  EXPECT_THAT(SvgElement(chart), HasSubstr(">20M</text>"));
  EXPECT_THAT(SvgFile(chart), Not(HasSubstr("style=\"font-size")));
  chart.title = std::string(62, 'a');
  EXPECT_THAT(SvgFile(chart), HasSubstr("style=\"font-size:11.0px\">aaa"));
}

TEST(TicksOf, AreRoundCoverTheRangeAndStepEvenly) {
  for (auto [low, high] : {std::pair{0.0, 1.0}, {0.45, 0.66}, {3.0, 1234.0}, {-2.0, 5.0}, {1e-9, 3e-9}, {7.0, 7.0}}) {
    const ChartTicks ticks = TicksOf(low, high, false, false);
    ASSERT_GE(ticks.at.size(), 2u) << low;
    ASSERT_LE(ticks.at.size(), 8u) << low;
    EXPECT_LE(ticks.low, low);
    EXPECT_GE(ticks.high, high * (1 - 1e-12));
    const double step = ticks.at[1] - ticks.at[0], lead = step / std::pow(10, std::floor(std::log10(step * 1.0000001)));
    EXPECT_TRUE(std::abs(lead - 1) < 1e-6 || std::abs(lead - 2) < 1e-6 || std::abs(lead - 2.5) < 1e-6 ||
                std::abs(lead - 5) < 1e-6 || std::abs(lead - 10) < 1e-6)
        << step;
    for (size_t i = 1; i < ticks.at.size(); ++i) EXPECT_NEAR(ticks.at[i] - ticks.at[i - 1], step, step * 1e-9);
  }
  EXPECT_EQ(TicksOf(5, 10, false, true).low, 0);
}

TEST(TicksOf, OfALogarithmAreAboveZeroAndInside) {
  for (auto [low, high] : {std::pair{1e-4, 10.0}, {16.0, 256.0}, {50.0, 60.0}, {1e-12, 1e12}, {3.0, 3.0}}) {
    const ChartTicks ticks = TicksOf(low, high, true, false);
    ASSERT_GE(ticks.at.size(), 2u) << low;
    ASSERT_LE(ticks.at.size(), 9u) << low;
    EXPECT_GT(ticks.low, 0);
    for (double tick : ticks.at) EXPECT_TRUE(tick >= ticks.low && tick <= ticks.high) << tick;
  }
}

TEST(SvgElement, PlacesPointsByTheirAxes) {
  const std::string svg = SvgElement(OneLine({{.x = 0, .y = 0}, {.x = 50, .y = 5}, {.x = 100, .y = 10}}));
  std::vector<double> xs, ys;
  for (size_t at = 0; (at = svg.find("<circle ", at)) != std::string::npos; ++at) {
    double x = 0, y = 0;
    if (std::sscanf(&svg[at], "<circle cx=\"%lf\" cy=\"%lf\" r=\"4\"", &x, &y) != 2) continue;
    xs.push_back(x);
    ys.push_back(y);
  }
  ASSERT_EQ(xs.size(), 4u) << "the legend, and three points";
  EXPECT_NEAR(xs[2] - xs[1], xs[3] - xs[2], 0.11);
  EXPECT_NEAR(ys[1] - ys[2], ys[2] - ys[3], 0.11);
  EXPECT_GT(ys[1], ys[3]) << "up is more";
}

TEST(SvgElement, LeavesOutWhatCannotBeDrawn) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  EXPECT_THAT(SvgElement(OneLine({})), HasSubstr("no data"));
  EXPECT_THAT(SvgElement(OneLine({{.x = nan, .y = 1}, {.x = 1, .y = infinity}})), HasSubstr("no data"));
  Chart chart = OneLine({{.x = 0, .y = 1}, {.x = 10, .y = -1}, {.x = 10, .y = 2}, {.x = 100, .y = 3}});
  chart.x.log = chart.y.log = true;
  const std::string svg = SvgElement(chart);
  EXPECT_EQ(Count(svg, "<circle"), 3u) << "the legend, and the two points above zero";
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(SvgElement, SeriesDifferInColourMarkAndDash) {
  Chart chart = OneLine({{.x = 0, .y = 0}, {.x = 1, .y = 1, .y_low = 0.5, .y_high = 2, .label = "a < b"}});
  chart.series.push_back(chart.series[0]);
  chart.series[1].style = 1;
  chart.series[1].hollow = true;
  const std::string svg = SvgElement(chart);
  EXPECT_THAT(svg, HasSubstr("class=\"line s1\" stroke-dasharray=\"7 4\""));
  EXPECT_THAT(svg, HasSubstr("class=\"s1 hollow\""));
  EXPECT_EQ(Count(svg, "class=\"bar"), 2u);
  EXPECT_EQ(Count(svg, ">a &lt; b</text>"), 2u);
  EXPECT_THAT(svg, HasSubstr("<title>size &amp; &lt;KL&gt;</title>"));
}

TEST(SvgElement, NamesLieOnNoOtherNameAndNoMark) {
  std::vector<ChartPoint> points;
  for (int i = 0; i < 9; ++i)
    points.push_back({.x = 85 + 1.5 * i, .y = 0.1 + 0.01 * (i % 3), .label = "checkpoint " + std::to_string(i)});
  Chart chart = OneLine(points);
  chart.series[0].line = ChartSeries::Line::kNone;
  chart.x.from_zero = true;
  const std::string svg = SvgElement(chart);
  struct Box {
    double left, right, top, bottom;
  };
  std::vector<Box> boxes;
  for (size_t at = 0; (at = svg.find("<circle ", at)) != std::string::npos; ++at) {
    double x = 0, y = 0;
    ASSERT_EQ(std::sscanf(&svg[at], "<circle cx=\"%lf\" cy=\"%lf\"", &x, &y), 2);
    boxes.push_back({x - 4, x + 4, y - 4, y + 4});
  }
  ASSERT_EQ(boxes.size(), 10u) << "the legend, and nine points";
  for (size_t at = 0; (at = svg.find("<text ", at)) != std::string::npos; ++at) {
    double x = 0, y = 0;
    char anchor[8] = {};
    ASSERT_EQ(std::sscanf(&svg[at], "<text x=\"%lf\" y=\"%lf\" text-anchor=\"%7[a-z]\"", &x, &y, anchor), 3);
    if (svg.compare(svg.find('>', at) - 13, 13, "class=\"label\"") != 0) continue;
    const double width = 7 * 12;  // units of a character of this size, about
    const Box box = anchor == std::string("end") ? Box{x - width, x, y - 9, y + 2} : Box{x, x + width, y - 9, y + 2};
    EXPECT_GE(box.left, 0);
    EXPECT_LE(box.right, 420);
    for (const Box& other : boxes)
      EXPECT_FALSE(box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom)
          << svg.substr(at, 100);
    boxes.push_back(box);
  }
  EXPECT_EQ(boxes.size(), 19u);
}

TEST(SvgFile, StandsAlone) {
  const std::string svg = SvgFile(OneLine({{.x = 0, .y = 0}, {.x = 1, .y = 1}}));
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_THAT(svg, HasSubstr("xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, HasSubstr(std::string(ChartStyle())));
  EXPECT_EQ(Count(svg, "http"), 1u) << "nothing from elsewhere";
}

}  // namespace
}  // namespace ecld
