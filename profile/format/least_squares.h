#pragma once
// Fits of a measured figure as a sum of a few terms that each take some of it: the squares of relative errors are
// least, and no coefficient is below 0, so that more work never takes less.

#include <array>
#include <cstddef>
#include <span>

namespace ecld {

inline constexpr size_t kFitTerms = 3;
using FitTerms = std::array<double, kFitTerms>;

double Dot(const FitTerms& a, const FitTerms& b);

// rows: the terms of each point over its figure, so that with the right coefficients they sum to one. A coefficient
// that the points do not determine is 0.
FitTerms NonNegativeLeastSquares(std::span<const FitTerms> rows);

}  // namespace ecld
