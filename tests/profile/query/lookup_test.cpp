#include "profile/query/lookup.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "tests/profile/small_profile.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

// prefill_ms = f(log prompt, log batch) at the points given, so that interpolation of a bilinear f is exact.
double Bilinear(double prompt, double batch) {
  double p = std::log(prompt), b = std::log(batch);
  return 5 + 3 * p + 2 * b + 0.7 * p * b;
}

Table BilinearPhase() {
  Table phase(FindTableSchema("phase", "test"));
  for (int64_t batch : {1, 4, 8})
    for (int64_t prompt : {16, 64, 512}) AddPhase(phase, batch, prompt, Bilinear(double(prompt), double(batch)));
  return phase;
}

TEST(LookUpPhase, GivesMeasuredRowsAsTheyAre) {
  Estimate estimate = LookUpPhase(SmallProfile().At("phase"), "prefill_ms", 64, 4);
  EXPECT_EQ(estimate.value, 190);
  EXPECT_EQ(estimate.src, 'm');
  EXPECT_TRUE(estimate.in_range);
}

TEST(LookUpPhase, IsExactForBilinearFunctionsOfTheLogarithms) {
  Table phase = BilinearPhase();
  for (double prompt : {16.0, 17.0, 63.0, 64.0, 100.0, 512.0})
    for (double batch : {1.0, 2.0, 4.0, 5.5, 8.0}) {
      Estimate estimate = LookUpPhase(phase, "prefill_ms", prompt, batch);
      EXPECT_TRUE(estimate.in_range);
      EXPECT_TRUE(Near(std::array{estimate.value}, std::array{Bilinear(prompt, batch)}, Relative(1e-12)));
      bool on_grid = (prompt == 16 || prompt == 64 || prompt == 512) && (batch == 1 || batch == 4 || batch == 8);
      EXPECT_EQ(estimate.src, on_grid ? 'm' : 'i') << prompt << " " << batch;
    }
}

TEST(LookUpPhase, DoesNotExtrapolate) {
  Table phase = BilinearPhase();
  for (auto [prompt, batch] : {std::pair{15.0, 1.0}, {513.0, 1.0}, {16.0, 9.0}, {1e9, 1e9}}) {
    Estimate estimate = LookUpPhase(phase, "prefill_ms", prompt, batch);
    EXPECT_FALSE(estimate.in_range);
    EXPECT_TRUE(std::isnan(estimate.value));
  }
}

TEST(LookUpPhase, AMissingCornerIsNotInvented) {
  Table phase(FindTableSchema("phase", "test"));
  AddPhase(phase, 1, 16, 10);
  AddPhase(phase, 1, 64, 50);
  AddPhase(phase, 4, 16, 30);
  EXPECT_FALSE(LookUpPhase(phase, "prefill_ms", 32, 2).in_range);
  EXPECT_TRUE(LookUpPhase(phase, "prefill_ms", 32, 1).in_range);
  EXPECT_TRUE(LookUpPhase(phase, "prefill_ms", 16, 2).in_range);
  EXPECT_FALSE(LookUpPhase(phase, "e2e_ms", 16, 1).in_range) << "a column that was not measured";
}

TEST(LookUpPhase, TheWeakestSourceIsSaid) {
  Table phase(FindTableSchema("phase", "test"));
  AddPhase(phase, 1, 16, 10);
  AddPhase(phase, 1, 64, 50);
  phase.Set("src", std::string("c"));
  EXPECT_EQ(LookUpPhase(phase, "prefill_ms", 16, 1).src, 'm');
  EXPECT_EQ(LookUpPhase(phase, "prefill_ms", 32, 1).src, 'c');
}

TEST(LookUpPhase, BadQuestionsAreErrors) {
  Table phase = BilinearPhase();
  EXPECT_ERROR(LookUpPhase(phase, "prefill", 16, 1), "phase.csv: has no column of numbers \"prefill\"");
  EXPECT_ERROR(LookUpPhase(phase, "src", 16, 1), "has no column of numbers \"src\"");
  EXPECT_ERROR(LookUpPhase(phase, "prefill_ms", 0, 1), "must be numbers of 1 or more");
  EXPECT_ERROR(LookUpPhase(phase, "prefill_ms", std::nan(""), 1), "must be numbers of 1 or more");
}

TEST(LookUpUncertainty, GivesTheBinThatHoldsTheAnswer) {
  const DeviceProfile profile = SmallProfile();  // quiz, mean: [0, 0.5) 0.9, [0.9, 1] 0.3
  const Table& bins = profile.At("uncertainty");
  for (auto [uncertainty, acc] : {std::pair{0.0, 0.9}, {0.499, 0.9}, {0.9, 0.3}, {1.0, 0.3}}) {
    const Estimate estimate = LookUpUncertainty(bins, "acc", "quiz", "mean", uncertainty);
    EXPECT_TRUE(estimate.in_range) << uncertainty;
    EXPECT_EQ(estimate.value, acc) << uncertainty;
    EXPECT_EQ(estimate.src, 'm');
  }
}

TEST(LookUpUncertainty, InventsNothing) {
  const DeviceProfile profile = SmallProfile();
  const Table& bins = profile.At("uncertainty");
  EXPECT_FALSE(LookUpUncertainty(bins, "acc", "quiz", "mean", 0.5).in_range) << "no answer fell there";
  EXPECT_FALSE(LookUpUncertainty(bins, "acc", "quiz", "max", 0.1).in_range);
  EXPECT_FALSE(LookUpUncertainty(bins, "acc", "exam", "mean", 0.1).in_range);
  const Estimate nothing = LookUpUncertainty(bins, "halluc_rate", "quiz", "mean", 0.1);
  EXPECT_FALSE(nothing.in_range) << "not measured";
  EXPECT_TRUE(std::isnan(nothing.value));
  EXPECT_ERROR(LookUpUncertainty(bins, "accuracy", "quiz", "mean", 0.1), "has no column of numbers \"accuracy\"");
  EXPECT_ERROR(LookUpUncertainty(bins, "acc", "quiz", "mean", 1.5), "an uncertainty lies in [0, 1], found 1.5");
  EXPECT_ERROR(LookUpUncertainty(bins, "acc", "quiz", "mean", std::nan("")), "lies in [0, 1]");
}

TEST(LookUpLoad, IsTheRowOfTheState) {
  Table load(FindTableSchema("load", "test"));
  for (const auto& [state, ms] : {std::pair{"disk", 900.0}, {"ram", 120.0}}) {
    load.AddRow();
    load.Set("from_state", std::string(state));
    load.Set("load_ms", ms);
    load.Set("src", std::string("m"));
    load.Set("n", int64_t{3});
  }
  EXPECT_EQ(LookUpLoad(load, "load_ms", "ram").value, 120);
  EXPECT_EQ(LookUpLoad(load, "load_ms", "disk").src, 'm');
  EXPECT_FALSE(LookUpLoad(load, "load_ms", "cold").in_range);
  EXPECT_FALSE(LookUpLoad(load, "load_J", "ram").in_range);
  EXPECT_ERROR(LookUpLoad(load, "from_state", "ram"), "has no column of numbers");
}

TEST(AnswersTo, AreThoseOfTheTaskInTheirOrder) {
  const DeviceProfile profile = SmallProfile();
  const std::vector<AnswerItem> answers = AnswersTo(profile.At("uncertainty_items"), "quiz", "mean");
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[1].id, "quiz/1");
  EXPECT_EQ(answers[1].uncertainty, 0.125);
  EXPECT_FALSE(answers[1].correct) << "not known";
  EXPECT_FALSE(AnswersTo(profile.At("uncertainty_items"), "quiz", "max")[0].uncertainty);
  EXPECT_TRUE(AnswersTo(profile.At("uncertainty_items"), "qui", "mean").empty());
  EXPECT_ERROR(AnswersTo(profile.At("uncertainty_items"), "quiz", "median"), "has no column of numbers \"a_median\"");
}

}  // namespace
}  // namespace ecld
