#include "profile/query/estimate.h"

#include <cmath>
#include <vector>

#include "core/error.h"

namespace ecld {
namespace {

// The neighbours of x among the keys of an axis with the share of the upper one; empty outside the axis.
struct Side {
  double at;
  double share;
};
template <class Axis>
std::vector<Side> Bracket(const Axis& axis, double x, EstimateGrid::Scale scale) {
  auto above = axis.lower_bound(x);
  if (above == axis.end()) return {};
  if (above->first == x) return {{x, 1}};
  if (above == axis.begin()) return {};
  auto below = std::prev(above);
  const double share = scale == EstimateGrid::Scale::kLinear
                           ? (x - below->first) / (above->first - below->first)
                           : std::log(x / below->first) / std::log(above->first / below->first);
  return {{below->first, 1 - share}, {above->first, share}};
}

}  // namespace

void EstimateGrid::Add(std::optional<double> x, std::optional<double> y, const Table& table, size_t row,
                       std::string_view column) {
  if (const auto value = table.Number(row, column); value && x && y) Add(*x, *y, *value, table.Text(row, "src")[0]);
}

Estimate EstimateGrid::At(double x, double y) const {
  // An x is on the axis when there is a value for any y.
  std::map<double, bool> xs;
  for (const auto& [unused, by_x] : points_)
    for (const auto& [at, point] : by_x) xs[at] = true;
  const std::vector<Side> y_sides = Bracket(points_, y, scale_), x_sides = Bracket(xs, x, scale_);
  if (y_sides.empty() || x_sides.empty()) return {};

  Estimate estimate{.value = 0, .src = 'm', .in_range = true};
  if (y_sides.size() * x_sides.size() > 1) estimate.src = 'i';
  for (const Side& b : y_sides) {
    for (const Side& p : x_sides) {
      const auto& row = points_.at(b.at);
      const auto it = row.find(p.at);
      if (it == row.end()) return {};
      estimate.value += b.share * p.share * it->second.value;
      estimate.src = WeakerSource(estimate.src, it->second.src);
    }
  }
  return estimate;
}

void RequireNumbers(const Table& table, std::string_view column) {
  for (const Column& declared : table.schema().columns)
    if (declared.name == column && (declared.type == ColumnType::kNumber || declared.type == ColumnType::kCount))
      return;
  Fail(fmt::format("{}.csv", table.schema().name), "has no column of numbers \"{}\"", column);
}

void RequireCounts(std::string_view what, double tokens, double batch) {
  if (!(tokens >= 1 && batch >= 1) || !std::isfinite(tokens) || !std::isfinite(batch))
    Fail("look-up", "{} {} and batch {} must be numbers of 1 or more", what, tokens, batch);
}

}  // namespace ecld
