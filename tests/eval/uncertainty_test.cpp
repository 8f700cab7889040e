#include "eval/uncertainty.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/random.h"
#include "eval/statistics.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

// Answers whose chance to be right is 1 - uncertainty, on a coarse grid so that there are ties.
std::vector<JudgedAnswer> Calibrated(size_t count, uint64_t seed = 1) {
  Random random(seed);
  std::vector<JudgedAnswer> answers;
  for (size_t i = 0; i < count; ++i) {
    const double uncertainty = std::round(random.Uniform() * 200) / 200;
    answers.push_back({uncertainty, random.Uniform() >= uncertainty});
  }
  return answers;
}

TEST(AnswerUncertainty, AggregatesTokens) {
  const double tokens[] = {0.5, 0.1, 0.9, 0.2, 0.3};
  const AnswerUncertainty all = Aggregate(tokens);
  EXPECT_DOUBLE_EQ(all.mean, 0.4);
  EXPECT_EQ(all.max, 0.9);
  EXPECT_EQ(all.first, 0.5);
  EXPECT_EQ(all.last, 0.3);
  EXPECT_DOUBLE_EQ(all.p90, 0.5 + 0.6 * 0.4);  // rank 3.6 of 0 .. 4
  const double one[] = {0.7};
  for (std::string_view aggregate : kUncertaintyAggregates) EXPECT_EQ(Aggregate(one).Get(aggregate), 0.7);
  const Json json = ToJson(all);
  EXPECT_EQ(ToJson(ParseAnswerUncertainty(JsonView(json, "line"))), json);
}

TEST(Auroc, CountsPairs) {
  const std::vector<JudgedAnswer> answers = Calibrated(300);
  double wins = 0, pairs = 0;
  for (const JudgedAnswer& wrong : answers)
    for (const JudgedAnswer& right : answers) {
      if (wrong.right || !right.right) continue;
      pairs += 1;
      wins += wrong.uncertainty > right.uncertainty ? 1 : wrong.uncertainty == right.uncertainty ? 0.5 : 0;
    }
  EXPECT_NEAR(*Auroc(answers), wins / pairs, 1e-12);
  EXPECT_EQ(Auroc(std::vector<JudgedAnswer>{{0.1, true}, {0.9, false}}), 1);
  EXPECT_EQ(Auroc(std::vector<JudgedAnswer>{{0.9, true}, {0.1, false}}), 0);
  EXPECT_EQ(Auroc(std::vector<JudgedAnswer>{{0.5, true}, {0.5, false}}), 0.5);
  EXPECT_EQ(Auroc(std::vector<JudgedAnswer>{{0.5, true}, {0.6, true}}), std::nullopt);
}

TEST(Calibration, IsZeroWhenConfidenceIsTheShareOfRightAnswers) {
  // In each bin one uncertainty, and as many right answers as it promises.
  std::vector<JudgedAnswer> answers;
  for (int bin = 0; bin < 10; ++bin)
    for (int i = 0; i < 20; ++i) answers.push_back({0.05 + 0.1 * bin, i < 19 - 2 * bin});
  EXPECT_NEAR(CalibrationError(answers), 0, 1e-12);
  for (JudgedAnswer& answer : answers) answer.right = true;
  EXPECT_NEAR(CalibrationError(answers), 0.5, 1e-12);  // the mean uncertainty
}

TEST(Calibration, BinsHoldAllAnswersOnce) {
  std::vector<JudgedAnswer> answers = Calibrated(500);
  answers.push_back({0, true});
  answers.push_back({1, false});
  int64_t n = 0;
  for (const CalibrationBin& bin : CalibrationBins(answers)) {
    n += bin.n;
    EXPECT_GE(bin.mean_uncertainty, bin.low);
    EXPECT_LE(bin.mean_uncertainty, bin.high);
    EXPECT_LE(bin.accuracy_low, bin.accuracy);
    EXPECT_GE(bin.accuracy_high, bin.accuracy);
  }
  EXPECT_EQ(n, 502);
  EXPECT_LT(CalibrationError(Calibrated(20000)), 0.02);
}

TEST(RiskCoverage, AcceptsTheSurestFirstAndTiesTogether) {
  const std::vector<JudgedAnswer> answers = {{0.9, false}, {0.2, true}, {0.5, true}, {0.5, false}, {0.1, true}};
  const std::vector<CoveragePoint> points = RiskCoverage(answers);
  ASSERT_EQ(points.size(), 4u);
  EXPECT_EQ(points[1].threshold, 0.2);
  EXPECT_DOUBLE_EQ(points[1].coverage, 0.4);
  EXPECT_DOUBLE_EQ(points[1].accuracy, 1);
  EXPECT_DOUBLE_EQ(points[2].coverage, 0.8);
  EXPECT_DOUBLE_EQ(points[2].accuracy, 0.75);
  EXPECT_DOUBLE_EQ(points[3].accuracy, 0.6);
  EXPECT_DOUBLE_EQ(AreaUnderRiskCoverage(answers), 0.4 * 0 + 0.4 * 0.25 + 0.2 * 0.4);
}

TEST(Threshold, IsTheLargestThatKeepsTheAccuracy) {
  const std::vector<JudgedAnswer> answers = {{0.9, false}, {0.2, true}, {0.5, true}, {0.5, false}, {0.1, true}};
  EXPECT_EQ(LargestCoverage(answers, 0.75)->threshold, 0.5);
  EXPECT_EQ(LargestCoverage(answers, 0.8)->threshold, 0.2);
  EXPECT_EQ(LargestCoverage(answers, 0.6)->coverage, 1);
  EXPECT_FALSE(LargestCoverage(std::vector<JudgedAnswer>{{0.1, false}, {0.2, true}}, 0.9));
}

TEST(Threshold, HeldOutAnswersComeCloseToTheTarget) {
  const OffloadThreshold found = ThresholdFor(Calibrated(20000), 0.8);
  ASSERT_TRUE(found.threshold && found.held_out_accuracy);
  // Accuracy of those accepted at t is 1 - t / 2.
  EXPECT_NEAR(*found.threshold, 0.4, 0.03);
  EXPECT_NEAR(found.coverage, 0.4, 0.03);
  EXPECT_NEAR(*found.held_out_accuracy, 0.8, 0.02);
  EXPECT_NEAR(found.held_out_coverage, 0.4, 0.03);
  const OffloadThreshold none = ThresholdFor(std::vector<JudgedAnswer>{{0.1, false}, {0.2, false}}, 0.5);
  EXPECT_FALSE(none.threshold || none.held_out_accuracy);
  EXPECT_EQ(none.coverage, 0);
}

TEST(Spearman, IsTheCorrelationOfRanks) {
  EXPECT_NEAR(*Spearman(std::vector<JudgedAnswer>{{0.1, true}, {0.2, true}, {0.8, false}, {0.9, false}}),
              -2 / std::sqrt(5.0), 1e-12);
  EXPECT_NEAR(*Spearman(std::vector<JudgedAnswer>{{0.5, true}, {0.5, true}, {0.8, false}, {0.8, false}}), -1, 1e-12);
  EXPECT_FALSE(Spearman(std::vector<JudgedAnswer>{{0.1, true}, {0.2, true}}));
  EXPECT_FALSE(Spearman(std::vector<JudgedAnswer>{{0.2, true}, {0.2, false}}));
  // d^2 sums to 8 over 5 pairs: 1 - 6 * 8 / (5 * 24).
  EXPECT_NEAR(*RankCorrelation(std::vector<double>{1, 2, 3, 4, 50}, std::vector<double>{20, 10, 50, 30, 40}), 0.6,
              1e-12);
  EXPECT_FALSE(RankCorrelation({}, {}));
}

}  // namespace
}  // namespace ecld
