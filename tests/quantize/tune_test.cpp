#include "quantize/tune.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "quantize/round.h"
#include "tests/quantize/compressed_logits.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/run_pass.h"

namespace ecld {
namespace {

class Tune : public CompressedLogits {
 protected:
  Tune() : CompressedLogits(64) {}
};

TEST_F(Tune, ChangesLogitsLessThanRounding) {
  for (Family family : {Family::kLlama, Family::kQwen2}) {
    Write({.family = family, .dtype = DType::kBF16, .tied = true});
    const Scheme scheme{{2, 32, false}};
    RunPass(RoundPass({scheme, Clip::kMse}), case_ / "in", case_ / "rounded");
    const Json report = RunPass(TunePass({.scheme = scheme, .steps = 30}), case_ / "in", case_ / "tuned", windows_);
    EXPECT_LT(LogitError("tuned"), 0.9 * LogitError("rounded")) << static_cast<int>(family);
    for (const auto& row : report["blocks"]) {
      EXPECT_TRUE(row["tuned"].get<bool>());
      EXPECT_LT(row["held_out_after"].get<double>(), row["held_out_before"].get<double>());
    }
  }
}

TEST_F(Tune, ABlockThatLearnsNothingIsRoundedToNearest) {
  Write({.dtype = DType::kBF16, .num_layers = 1});
  const Scheme scheme{{4, 32, true}};
  RunPass(RoundPass({scheme}), case_ / "in", case_ / "rounded");
  // One step across the whole range of everything.
  const TunePass pass({.scheme = scheme, .clip = Clip::kMinMax, .steps = 1, .learning_rate = 1});
  const Json report = RunPass(pass, case_ / "in", case_ / "tuned", windows_);
  EXPECT_FALSE(report["blocks"][0]["tuned"].get<bool>());
  EXPECT_EQ(CheckpointBytes(case_ / "tuned"), CheckpointBytes(case_ / "rounded"));
}

TEST_F(Tune, SameSeedGivesTheSameBytesAlsoAfterAnInterruption) {
  Write({.dtype = DType::kBF16, .tied = true});
  const TunePass pass({.scheme = {{3, 32, false}, PackedFormat{8, 32, true}}, .steps = 5});
  RunPass(pass, case_ / "in", case_ / "whole", windows_);
  const Checkpoint whole = Checkpoint::Open(case_ / "whole");
  {
    CheckpointWriter writer(case_ / "resumed", whole.config());
    for (const auto& spec : writer.table())
      if (spec.layer == 0) writer.CopyFrom(whole, spec);
    writer.Commit(true);
  }
  const Json report = RunPass(pass, case_ / "in", case_ / "resumed", windows_);
  EXPECT_EQ(CheckpointBytes(case_ / "resumed"), CheckpointBytes(case_ / "whole"));
  EXPECT_TRUE(report["blocks"][0]["tuned"].is_null());
  EXPECT_FALSE(report["blocks"][1]["tuned"].is_null());
}

TEST_F(Tune, RefusesWhatCannotWork) {
  Write({});
  PlanInput input = PlanInputOf(Checkpoint::Open(case_ / "in"), windows_);
  MachineRates rates(1e9, 1e9);
  input.rates = &rates;
  EXPECT_GT(TunePass({}).Plan(input).seconds, 0);
  EXPECT_ERROR(TunePass({.steps = 0}).Plan(input), "stages[0].steps: 0 is below 1");
  EXPECT_ERROR(TunePass({.batch_windows = 0}).Plan(input), "stages[0].batch_windows: 0 is below 1");
  EXPECT_ERROR(TunePass({.learning_rate = -1}).Plan(input), "stages[0].learning_rate: -1 is below 0");
  EXPECT_ERROR(TunePass({.held_out = 0}).Plan(input), "stages[0].held_out: 0 is not between 0 and 1");
  input.calibration_windows = 1;
  EXPECT_ERROR(TunePass({}).Plan(input), "1 calibration windows leave none to train on beside 1 held out");
}

}  // namespace
}  // namespace ecld
