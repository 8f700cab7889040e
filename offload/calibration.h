#pragma once
// How likely an answer of this uncertainty is right: isotonic regression (pool adjacent violators; Barlow et al. 1972)
// over answers that were judged, so that less sure is never more likely. A raw uncertainty means something else in
// every model, task and temperature; a calibration says whose it is, and is of no use elsewhere.

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ecld::offload {

struct CalibrationOf {
  std::string weights_sha256, task, aggregate;
  double temperature = 0;

  bool operator==(const CalibrationOf&) const = default;
};

class Calibration {
 public:
  enum class Falls { kFalling, kRising };

  // outcomes: uncertainty and whether what is asked about was so. falls: with the uncertainty, as being right does, or
  // rises, as hallucinating does. REQUIRES: at least one.
  Calibration(CalibrationOf of, std::vector<std::pair<double, bool>> outcomes, Falls falls);

  // Level within pooled blocks, a straight line between them.
  // THROWS Error where the question is about another model, task or temperature.
  double At(const CalibrationOf& of, double uncertainty) const;
  double mean() const { return mean_; }  // where the uncertainty is not known

 private:
  CalibrationOf of_;
  std::vector<std::pair<double, double>> knots_;  // uncertainty rising, chance
  double mean_ = 0;
};

// The expected calibration error over ten bins of chance: what was foretold against what was seen, weighted by count.
double CalibrationError(std::span<const std::pair<double, bool>> foretold);

}  // namespace ecld::offload
