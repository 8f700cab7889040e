#pragma once
// An answer of a profile, and the grid that answers between measured points come from.

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string_view>

#include "profile/format/table.h"

namespace ecld {

struct Estimate {
  double value = std::numeric_limits<double>::quiet_NaN();  // NaN when nothing is known
  char src = 'i';  // of the row on a grid point; 'i' between measured ones; else the weakest of those used
  bool in_range = false;
};

// Values over two quantities. Between four neighbours the answer is bilinear, on a point it is that point's. Outside
// the grid, or where one of the four is missing, nothing is invented: in_range is false.
class EstimateGrid {
 public:
  // kLogarithmic: bilinear in the logarithms, for which all x and y must be above 0.
  enum class Scale { kLinear, kLogarithmic };

  explicit EstimateGrid(Scale scale) : scale_(scale) {}

  void Add(double x, double y, double value, char src) { points_[y][x] = {value, src}; }
  // The value of a row's column, if it has one and both places are known.
  void Add(std::optional<double> x, std::optional<double> y, const Table& table, size_t row, std::string_view column);
  Estimate At(double x, double y) const;

 private:
  struct Point {
    double value;
    char src;
  };

  Scale scale_;
  std::map<double, std::map<double, Point>> points_;  // [y][x]
};

// THROWS Error unless the table has a column of numbers of this name.
void RequireNumbers(const Table& table, std::string_view column);
// THROWS Error unless both are finite and at least 1. what: the name of the first.
void RequireCounts(std::string_view what, double tokens, double batch);

}  // namespace ecld
