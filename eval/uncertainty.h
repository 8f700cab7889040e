#pragma once
// How sure a model was of its answers, and what that is worth: the figures by which a scheduler decides which queries a
// device answers itself. Of a token: a = 1 - (p1 - p2), with p1 and p2 the two largest probabilities of the model's own
// distribution (temperature 1, all tokens); arXiv 2602.07958 defines it so. Of an answer: five aggregates over its
// tokens. Smaller is surer.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace ecld {

struct AnswerUncertainty {
  double mean = 0, max = 0, first = 0, last = 0;
  double p90 = 0;  // 90th percentile, linear between ranks

  double Get(std::string_view aggregate) const;  // REQUIRES one of kUncertaintyAggregates
};
inline constexpr std::string_view kUncertaintyAggregates[] = {"mean", "max", "first", "last", "p90"};

// of_tokens: in order. REQUIRES: not empty.
AnswerUncertainty Aggregate(std::span<const double> of_tokens);
Json ToJson(const AnswerUncertainty& uncertainty);
AnswerUncertainty ParseAnswerUncertainty(const JsonView& json);  // THROWS Error

// One answer: how unsure the model was, in [0, 1], and whether it was right.
struct JudgedAnswer {
  double uncertainty = 0;
  bool right = false;
};

// Probability that a wrong answer is less sure than a right one, ties counting half (Mann-Whitney U / (n0 n1)).
// Absent unless some are right and some wrong.
std::optional<double> Auroc(std::span<const JudgedAnswer> answers);

// Expected calibration error of the confidence 1 - uncertainty: sum over bins of share * |accuracy - mean confidence|
// (Naeini et al. 2015), over `bins` bins of equal width. REQUIRES: not empty, bins > 0.
double CalibrationError(std::span<const JudgedAnswer> answers, int bins = 10);

struct CalibrationBin {
  double low = 0, high = 0;  // of the uncertainty: [low, high), the last one [low, high]
  int64_t n = 0;
  double accuracy = 0, accuracy_low = 0, accuracy_high = 0;  // with the Wilson 95 % interval
  double mean_uncertainty = 0;
};
// Index among `bins` bins of equal width over [0, 1].
size_t BinOf(double uncertainty, int bins = 10);
// Bins of equal width over [0, 1]; those without an answer are left out.
std::vector<CalibrationBin> CalibrationBins(std::span<const JudgedAnswer> answers, int bins = 10);

// The surest share of the answers, and how many of those are right (El-Yaniv and Wiener 2010). Answers of equal
// uncertainty are accepted together, so there is one point per distinct value.
struct CoveragePoint {
  double threshold = 0;  // answers of at most this uncertainty are accepted
  double coverage = 0;   // share of all
  double accuracy = 0;   // of those accepted
};
std::vector<CoveragePoint> RiskCoverage(std::span<const JudgedAnswer> answers);
// Area under the risk-coverage curve: mean over the answers, surest first, of the risk when it is the last accepted;
// ties take the risk of their whole group. REQUIRES: not empty.
double AreaUnderRiskCoverage(std::span<const JudgedAnswer> answers);

// Offload the queries less sure than a threshold: what is left here reaches an accuracy.
struct OffloadThreshold {
  double target = 0;                // accuracy wanted of the queries that stay
  std::optional<double> threshold;  // the largest that reaches it; absent: none does
  double coverage = 0;              // share that stays
  // With the threshold chosen on one half of the answers (even or odd index) and tried on the other, both ways:
  // what to expect on answers that did not choose it.
  double held_out_coverage = 0;
  std::optional<double> held_out_accuracy;  // absent: nothing stays
};
// The largest threshold whose accepted answers are right at least `target` of the time.
std::optional<CoveragePoint> LargestCoverage(std::span<const JudgedAnswer> answers, double target);
OffloadThreshold ThresholdFor(std::span<const JudgedAnswer> answers, double target);

// Spearman's rank correlation of uncertainty and being right, ties at their mean rank; absent when either is constant.
std::optional<double> Spearman(std::span<const JudgedAnswer> answers);

}  // namespace ecld
