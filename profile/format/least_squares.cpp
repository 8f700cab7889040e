#include "profile/format/least_squares.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace ecld {
namespace {

// Coefficients of the terms in `used` (a bit each), the others 0, by normal equations over columns of unit length;
// nullopt where the points do not determine them.
std::optional<FitTerms> Solve(std::span<const FitTerms> rows, unsigned used) {
  FitTerms scale{};
  for (const FitTerms& row : rows)
    for (size_t i = 0; i < kFitTerms; ++i) scale[i] += row[i] * row[i];
  for (size_t i = 0; i < kFitTerms; ++i) {
    if ((used >> i & 1) && scale[i] == 0) return std::nullopt;
    scale[i] = scale[i] > 0 ? std::sqrt(scale[i]) : 1;
  }
  double a[kFitTerms][kFitTerms + 1] = {};
  for (const FitTerms& row : rows)
    for (size_t i = 0; i < kFitTerms; ++i) {
      const double term = row[i] / scale[i];
      for (size_t j = 0; j < kFitTerms; ++j) a[i][j] += term * row[j] / scale[j];
      a[i][kFitTerms] += term;
    }
  FitTerms solution{};
  for (size_t i = 0; i < kFitTerms; ++i) {
    if (!(used >> i & 1)) continue;
    if (a[i][i] < 1e-9) return std::nullopt;  // what is left of this column, orthogonal to those before
    for (size_t row = 0; row < kFitTerms; ++row) {
      if (row == i || !(used >> row & 1)) continue;
      const double factor = a[row][i] / a[i][i];
      for (size_t j = 0; j <= kFitTerms; ++j) a[row][j] -= factor * a[i][j];
    }
  }
  for (size_t i = 0; i < kFitTerms; ++i)
    if (used >> i & 1) solution[i] = a[i][kFitTerms] / a[i][i] / scale[i];
  return solution;
}

}  // namespace

double Dot(const FitTerms& a, const FitTerms& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// With so few terms, every set of those that are not zero can be tried.
FitTerms NonNegativeLeastSquares(std::span<const FitTerms> rows) {
  FitTerms best{};
  double least = std::numeric_limits<double>::infinity();
  for (unsigned used = 1; used < 1u << kFitTerms; ++used) {
    const std::optional<FitTerms> found = Solve(rows, used);
    if (!found || std::any_of(found->begin(), found->end(), [](double value) { return value < 0; })) continue;
    double squares = 0;
    for (const FitTerms& row : rows) squares += std::pow(Dot(row, *found) - 1, 2);
    if (squares >= least * (1 - 1e-9)) continue;
    best = *found;
    least = squares;
  }
  return best;
}

}  // namespace ecld
