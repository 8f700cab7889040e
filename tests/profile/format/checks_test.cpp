// The rules between the tables of a profile: a good one that each test spoils in one place.

#include "profile/format/checks.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/profile/small_profile.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

TEST(CheckProfile, AcceptsTheGoodOne) {
  DeviceProfile profile = SmallProfile();
  CheckProfile(profile);
  EXPECT_EQ(profile.tables.at("layers").status, TableStatus::kComplete);
}

// The four layer rows with these times and weights in place of the good ones.
DeviceProfile WithLayers(double block_ms, int64_t head_weight_B, int64_t kv_B_per_tok) {
  DeviceProfile profile = SmallProfile();
  Table layers(FindTableSchema("layers", "test"));
  AddLayer(layers, "embed", 0.5, 400, 0);
  AddLayer(layers, "0", block_ms, 320, kv_B_per_tok);
  AddLayer(layers, "1", block_ms, 270, kv_B_per_tok);
  AddLayer(layers, "head", 1.25, head_weight_B, 0);
  profile.tables.at("layers").table = layers;
  return profile;
}

TEST(CheckProfile, LayersThatDoNotSumToThePrefillArePartial) {
  // The prefill took 10 ms; embed and head together take 1.75.
  for (auto [block_ms, status] : {std::pair{4.6, TableStatus::kComplete},
                                  {4.7, TableStatus::kPartial},
                                  {3.65, TableStatus::kComplete},
                                  {3.6, TableStatus::kPartial}}) {
    DeviceProfile profile = WithLayers(block_ms, 10, kSmallKvBytesPerTok);
    CheckProfile(profile);
    EXPECT_EQ(profile.tables.at("layers").status, status) << block_ms;
  }
}

TEST(CheckProfile, WeightsAndCacheMustAddUp) {
  DeviceProfile profile = WithLayers(4, 11, kSmallKvBytesPerTok);
  EXPECT_ERROR(CheckProfile(profile),
               "weight_B of the layers (prefill, batch 1, 16 tokens) sums to 1001, "
               "variant.file_B is 1000");
  profile = WithLayers(4, 10, kSmallKvBytesPerTok + 1);
  EXPECT_ERROR(CheckProfile(profile), "phase.csv: row 1: kv_B is 2560, by the layers' kv_B_per_tok it is 2600");
  profile = WithLayers(4, std::numeric_limits<int64_t>::max(), kSmallKvBytesPerTok);
  EXPECT_ERROR(CheckProfile(profile), "does not fit 63 bits");
}

TEST(CheckProfile, AnIncompleteSetOfLayersSaysNothing) {
  DeviceProfile profile = SmallProfile();
  Table layers(FindTableSchema("layers", "test"));
  AddLayer(layers, "0", 100, 1, 1);
  profile.tables.at("layers") = {TableStatus::kPartial, layers};
  EXPECT_NO_THROW(CheckProfile(profile));
}

TEST(CheckProfile, ATableWithoutRowsIsAbsent) {
  DeviceProfile profile = SmallProfile();
  profile.tables.emplace("ops", ProfileTable{TableStatus::kComplete, Table(FindTableSchema("ops", "test"))});
  EXPECT_ERROR(CheckProfile(profile), "ops.csv: has no rows");
  profile = SmallProfile();
  profile.tables.at("phase").status = TableStatus::kAbsent;
  EXPECT_ERROR(CheckProfile(profile), "phase.csv: has rows, and its status is absent");
}

TEST(CheckProfile, QualityLiesInItsInterval) {
  for (double value : {19.9, 22.1}) {
    Table quality(FindTableSchema("quality", "test"));
    quality.AddRow();
    quality.Set("metric", std::string("ppl"));
    quality.Set("value", value);
    quality.Set("ci_lo", 20.0);
    quality.Set("ci_hi", 22.0);
    quality.Set("src", std::string("m"));
    quality.Set("n", int64_t{100});
    DeviceProfile profile = With(SmallProfile(), quality);
    EXPECT_ERROR(CheckProfile(profile), "quality.csv: row 1: value");
  }
}

TEST(CheckProfile, BinsHoldEveryAnswerOnce) {
  Table bins = SmallProfile().At("uncertainty");
  AddBin(bins, 0.5, 0.6, 1, 0.5);
  DeviceProfile profile = With(SmallProfile(), bins);
  EXPECT_ERROR(CheckProfile(profile),
               "uncertainty.csv: the bins of quiz, mean, hold 4 answers, uncertainty_items.csv has 3");
  Table items = SmallProfile().At("uncertainty_items");
  AddItem(items, "other quiz/1", 0.5);
  profile = With(SmallProfile(), items);
  EXPECT_NO_THROW(CheckProfile(profile)) << "an answer to another task";
}

TEST(CheckProfile, TheAccuracyOfABinLiesInItsInterval) {
  for (double accuracy : {0.2, 0.96}) {
    Table bins(FindTableSchema("uncertainty", "test"));
    AddBin(bins, 0, 1, 3, accuracy);
    DeviceProfile profile = With(SmallProfile(), bins);
    EXPECT_ERROR(CheckProfile(profile), "uncertainty.csv: row 1: acc");
  }
}

TEST(CheckProfile, SharesAreAtMostOne) {
  Table items = SmallProfile().At("uncertainty_items");
  AddItem(items, "quiz/3", 1.5);
  DeviceProfile profile = With(SmallProfile(), items);
  EXPECT_ERROR(CheckProfile(profile), "uncertainty_items.csv: row 4: a_mean is 1.5, a share is at most 1");
  Table bins = SmallProfile().At("uncertainty");
  bins.Set("halluc_rate", 1.25);
  profile = With(SmallProfile(), bins);
  EXPECT_ERROR(CheckProfile(profile), "uncertainty.csv: row 2: halluc_rate is 1.25");
  Table planner(FindTableSchema("planner", "test"));
  planner.AddRow();
  planner.Set("acc", 2.0);
  profile = With(SmallProfile(), planner);
  EXPECT_ERROR(CheckProfile(profile), "planner.csv: row 1: acc is 2");
}

TEST(CheckProfile, ACutSendsWhatItsShapeSays) {
  struct Case {
    int64_t cut;
    const char* dtype;
    int64_t up_B;
    std::string message;
  };
  for (const Case& bad : {Case{0, "f16", 25, "up_B is 25, by its shape it is 24"},
                          {1, "f16", 192, "up_B is 192, by its shape it is 96"},
                          {2, "f32", 4, "up_B is 4, by its shape it is 0"},
                          {3, "f32", 0, "cut: one of 0 to 2, the layers"}}) {
    Table cuts = SmallProfile().At("cuts");
    AddCut(cuts, bad.cut, bad.dtype, bad.up_B);
    DeviceProfile profile = With(SmallProfile(), cuts);
    EXPECT_ERROR(CheckProfile(profile), "cuts.csv: row 5: " + bad.message);
  }
  Table cuts = SmallProfile().At("cuts");
  AddCut(cuts, 1, "f32", 7);
  cuts.Set("quant_scheme", std::string("int8 with a scale per row"));
  DeviceProfile profile = With(SmallProfile(), cuts);
  EXPECT_NO_THROW(CheckProfile(profile)) << "scales have no formula here";
}

TEST(CheckProfile, DamageIsDoneBetweenTwoBlocks) {
  const auto with = [](int64_t cut, double level, double ratio, double acc) {
    Table splits(FindTableSchema("split_quality", "test"));
    splits.AddRow();
    splits.Set("cut", cut);
    splits.Set("corruption", std::string("dropout"));
    splits.Set("level", level);
    splits.Set("ppl_ratio", ratio);
    splits.Set("ci_lo", 1.1);
    splits.Set("ci_hi", 1.3);
    splits.Set("acc", acc);
    splits.Set("n", int64_t{10});
    splits.Set("src", std::string("m"));
    return With(SmallProfile(), splits);
  };
  DeviceProfile profile = with(1, 0.1, 1.2, 0.5);
  EXPECT_NO_THROW(CheckProfile(profile));
  for (int64_t cut : {0, 2}) {
    profile = with(cut, 0.1, 1.2, 0.5);
    EXPECT_ERROR(CheckProfile(profile), fmt::format("split_quality.csv: row 1: cut is {}; blocks stand on both", cut));
  }
  profile = with(1, 1.5, 1.2, 0.5);
  EXPECT_ERROR(CheckProfile(profile), "split_quality.csv: row 1: level is 1.5, a probability is at most 1");
  profile = with(1, 0.1, 1.4, 0.5);
  EXPECT_ERROR(CheckProfile(profile), "split_quality.csv: row 1: ppl_ratio 1.4 lies outside its interval");
  profile = with(1, 0.1, 1.2, 1.5);
  EXPECT_ERROR(CheckProfile(profile), "split_quality.csv: row 1: acc is 1.5");
}

TEST(CheckProfile, EnergyIsPowerTimesTime) {
  const auto with = [](double prefill_J, int64_t idle_sub_J) {
    Table phase = SmallProfile().At("phase");  // the last row: batch 4, 4 tokens generated
    phase.Set("e2e_ms", 500.0);
    phase.Set("avg_W", 10.0);  // 5 J
    phase.Set("prefill_J", prefill_J);
    phase.Set("decode_J_per_tok", 0.25);  // 4 J
    phase.Set("idle_sub_J", idle_sub_J);
    return With(SmallProfile(), phase);
  };
  for (double prefill_J : {1.0, 1.24, 0.76}) {
    DeviceProfile profile = with(prefill_J, 0);
    EXPECT_NO_THROW(CheckProfile(profile));
  }
  for (double prefill_J : {1.26, 0.74}) {
    DeviceProfile profile = with(prefill_J, 0);
    EXPECT_ERROR(CheckProfile(profile), "phase.csv: row 4: prefill and decoding take");
    profile = with(prefill_J, 1);
    EXPECT_NO_THROW(CheckProfile(profile)) << "idle power was taken off";
  }
}

TEST(CheckProfile, NothingWasMeasuredWhereMemoryRanOut) {
  DeviceProfile profile = SmallProfile();  // most tokens: 4 * (64 + 4)
  profile.limits["oom_at"] = 273;
  EXPECT_NO_THROW(CheckProfile(profile));
  profile.limits["oom_at"] = 272;
  EXPECT_ERROR(CheckProfile(profile), "phase.csv: row 4: keeps 272 tokens, and memory ran out at limits.oom_at = 272");
}

}  // namespace
}  // namespace ecld
