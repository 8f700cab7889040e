#include "profile/format/fit.h"

#include <gtest/gtest.h>

#include <array>

#include "profile/query/lookup.h"
#include "tests/profile/small_profile.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

struct Truth {
  double a, b, c;  // of prefill
  double d, e, f;  // of decode
};

Table PhaseOf(const Truth& t) {
  Table phase(FindTableSchema("phase", "test"));
  for (int64_t batch : {1, 2, 8})
    for (int64_t prompt : {16, 128, 1024}) {
      const double n = static_cast<double>(prompt), b = static_cast<double>(batch);
      AddPhase(phase, batch, prompt, t.a + t.b * b * n + t.c * b * n * n);
      phase.Set("ctx_tok", prompt);
      phase.Set("tpot_ms", t.d + t.e * b * (n + 2) + t.f * b);  // 4 steps from n on
    }
  return phase;
}

TEST(FitPhase, FindsTheCoefficientsThatMadeTheTimes) {
  for (const Truth& truth : {Truth{5, 0.25, 1e-4, 2, 1e-3, 0.5}, Truth{0, 0.25, 0, 2, 0, 0}, Truth{7, 0, 0, 0, 0, 3}}) {
    const Json fit = FitPhase(PhaseOf(truth));
    const Json &prefill = fit["prefill_ms"], &decode = fit["decode_ms"];
    const std::array found = {prefill["a"].get<double>(),    prefill["b"].get<double>(),
                              prefill["c"].get<double>(),    decode["a"].get<double>(),
                              decode["b_ctx"].get<double>(), decode["c_batch"].get<double>()};
    EXPECT_TRUE(Near(found, std::array{truth.a, truth.b, truth.c, truth.d, truth.e, truth.f}, {.max_abs = 1e-8}));
    EXPECT_LT(prefill["max_rel_err"].get<double>(), 1e-9);
    EXPECT_EQ(prefill["range_tok"], (Json{16.0, 1024.0}));
    EXPECT_EQ(prefill["range_batch"], (Json{1.0, 8.0}));
    EXPECT_EQ(prefill["n"], 9);
    const JsonView view(fit, "fit");
    EXPECT_NEAR(*FittedPrefillMs(view, 100, 3), truth.a + truth.b * 300 + truth.c * 30000, 1e-6);
    EXPECT_NEAR(*FittedDecodeMs(view, 100, 3), truth.d + truth.e * 300 + truth.f * 3, 1e-6);
  }
  EXPECT_GT(FitPhase(PhaseOf({5, 0.25, 1e-4, 2, 1e-3, 0.5}))["prefill_ms"]["r2"], 0.999999);
}

TEST(FitPhase, MoreWorkNeverTakesLessTime) {
  Table phase(FindTableSchema("phase", "test"));
  AddPhase(phase, 1, 16, 30);
  AddPhase(phase, 1, 64, 20);
  AddPhase(phase, 1, 256, 10);
  const Json fit = FitPhase(phase);
  for (const char* name : {"a", "b", "c"}) EXPECT_GE(fit["prefill_ms"][name].get<double>(), 0) << name;
  EXPECT_GT(fit["prefill_ms"]["a"], 0);
}

TEST(FitPhase, WhatThePointsDoNotDetermineIsZeroAndTheWeakestSourceIsSaid) {
  Table phase(FindTableSchema("phase", "test"));
  for (int64_t prompt : {16, 64, 256}) AddPhase(phase, 1, prompt, 10 + static_cast<double>(prompt));
  phase.Set("src", std::string("r"));
  const Json fit = FitPhase(phase);
  // With one batch size, a and c_batch are the same: one of them is enough.
  EXPECT_EQ(fit["decode_ms"]["a"].get<double>() * fit["decode_ms"]["c_batch"].get<double>(), 0);
  EXPECT_LT(fit["decode_ms"]["max_rel_err"].get<double>(), 0.05);
  EXPECT_EQ(fit["prefill_ms"]["src"], "r");
}

TEST(FitPhase, TwoRowsAreNoFit) {
  Table phase(FindTableSchema("phase", "test"));
  AddPhase(phase, 1, 16, 30);
  AddPhase(phase, 1, 64, 20);
  EXPECT_EQ(FitPhase(phase), Json::object());
  EXPECT_FALSE(FittedPrefillMs(JsonView(Json::object(), "fit"), 16, 1));
}

TEST(FitPhase, StandsInEveryWrittenProfile) {
  TempDir temp;
  DeviceProfile profile = SmallProfile();
  profile.fit = SmallSection(R"({"prefill_ms": "of other rows"})");
  WriteProfile(temp / "p", profile);
  EXPECT_EQ(ReadProfile(temp / "p").fit, FitPhase(profile.At("phase")));
}

// --- the look-up outside the grid

TEST(LookUp, OutsideTheGridTheFitIsUsedWhenAskedFor) {
  DeviceProfile profile = SmallProfile();
  profile.tables.at("phase").table = PhaseOf({5, 0.25, 1e-4, 2, 1e-3, 0.5});
  profile.fit = FitPhase(profile.At("phase"));
  EXPECT_FALSE(LookUp(profile, "prefill_ms", 4096, 16).in_range);
  EXPECT_TRUE(std::isnan(LookUp(profile, "prefill_ms", 4096, 16).value));
  const Estimate beyond = LookUp(profile, "prefill_ms", 4096, 16, Beyond::kModel);
  EXPECT_NEAR(beyond.value, 5 + 0.25 * 65536 + 1e-4 * 16 * 4096 * 4096, 1e-3);
  EXPECT_EQ(beyond.src, 'f');
  EXPECT_FALSE(beyond.in_range);
  EXPECT_NEAR(LookUp(profile, "tpot_ms", 4096, 16, Beyond::kModel).value, 2 + 1e-3 * 65536 + 8, 1e-3);
  EXPECT_EQ(LookUp(profile, "prefill_ms", 128, 2, Beyond::kModel).src, 'm') << "inside the grid, the row";
  EXPECT_TRUE(std::isnan(LookUp(profile, "e2e_ms", 4096, 16, Beyond::kModel).value)) << "no model of this one";
}

TEST(LookUp, WithoutAFitTheRooflineIsSaidToBeOne) {
  DeviceProfile profile = SmallProfile();
  profile.device["mem_bw_Bps"] = 1e6;  // 1000 bytes of weights: 1 ms
  EXPECT_DOUBLE_EQ(LookUp(profile, "tpot_ms", 999, 1, Beyond::kModel).value, 1);
  EXPECT_EQ(LookUp(profile, "tpot_ms", 999, 1, Beyond::kModel).src, 'r');
  EXPECT_TRUE(std::isnan(LookUp(profile, "prefill_ms", 999, 1, Beyond::kModel).value)) << "the peak is not known";
  profile.device["peak_fp16_flops"] = 1e9;  // 2 * 1000 parameters * 2000 tokens: 4 ms
  EXPECT_DOUBLE_EQ(LookUp(profile, "prefill_ms", 1000, 2, Beyond::kModel).value, 4);
  EXPECT_EQ(LookUp(profile, "prefill_ms", 1000, 2, Beyond::kModel).src, 'r');
  EXPECT_ERROR(LookUp(profile, "speed", 1, 1, Beyond::kModel), "has no column of numbers \"speed\"");
}

TEST(LookUp, AFitOfAnUnknownSourceIsRefused) {
  DeviceProfile profile = SmallProfile();
  profile.fit = FitPhase(profile.At("phase"));
  profile.fit["prefill_ms"]["src"] = "x";
  EXPECT_ERROR(LookUp(profile, "prefill_ms", 4096, 1, Beyond::kModel),
               "fit.prefill_ms.src: expected one of m, f, r, i, c");
  profile.fit["prefill_ms"].erase("b");
  EXPECT_ERROR(LookUp(profile, "prefill_ms", 4096, 1, Beyond::kModel), "fit.prefill_ms: key \"b\" is missing");
}

}  // namespace
}  // namespace ecld
