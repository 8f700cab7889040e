#pragma once
// The four metrics of a profile in one table: accuracy, hallucination, energy, accessibility. Every figure is a record
// that says its unit, where it is from and how sure it is; four groups side by side, never blended into one number.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/document.h"
#include "profile/format/profile.h"
#include "profile/score/coverage.h"

namespace ecld {

struct Figure {
  std::string metric;           // accuracy, hallucination, energy, accessibility
  std::string name;             // "piqa, acc", "joules per token"
  std::optional<double> value;  // absent: not measured, and not modelled either
  std::string unit;
  char src = 0;                                       // as in the tables; 0 without a value
  std::optional<std::pair<double, double>> interval;  // 95 %, of a coverage from sure to possible
  int64_t n = 0;                                      // items or repetitions
  std::string method;
  bool higher_is_better = false;
  bool headline = false;  // of the few that stand for its metric, on what comes first
};

struct Scorecard {
  std::string variant, device, weights_sha256;
  std::vector<Figure> figures;
  Coverage coverage;
};

// Energy that was not measured is modelled where the catalogue has a device of the profile's id with coefficients.
// THROWS Error as CoverageOf does.
Scorecard ScorecardOf(const DeviceProfile& profile, const DeviceCatalogue& catalogue, const CoverageLimits& limits);

// "measured", "modelled" (fitted, by a roofline, interpolated), "declared" (copied), "not measured".
std::string_view KindOf(char src);

inline constexpr DocumentKind kScorecardDocument{"ecld.scorecard", "1.1.0"};
Json ToJson(const std::vector<Scorecard>& cards, const DeviceCatalogue& catalogue);

}  // namespace ecld
