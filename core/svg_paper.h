#pragma once
// The sheet that svg_chart.h draws on, and text on it.

#include <string>
#include <string_view>

#include "core/svg_chart.h"

namespace ecld {

inline constexpr double kPaperWidth = 420, kPaperHeight = 290, kPaperLeft = 64, kPaperRight = 14, kPaperBottom = 50;

std::string TickText(double value);
// anchor: start, middle or end. more: further attributes.
std::string SvgText(double x, double y, std::string_view anchor, std::string_view text, std::string_view more = "");

// Rows of cells from `top` down. REQUIRES: there are some.
std::string CellsSvg(const Chart& chart, double top);

}  // namespace ecld
