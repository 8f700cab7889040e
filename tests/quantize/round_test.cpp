#include "quantize/round.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

// Every matrix of an output as floats, to compare with the input's.
double WorstRelativeError(const Checkpoint& before, const Checkpoint& after) {
  double worst = 0;
  for (size_t i = 0; i < before.table().size(); ++i) {
    const auto expected = before.ReadFloats(before.table()[i]), actual = after.ReadFloats(after.table()[i]);
    double error = 0, weight = 0;
    for (size_t j = 0; j < expected.size(); ++j) {
      error += std::pow(expected[j] - actual[j], 2);
      weight += std::pow(expected[j], 2);
    }
    worst = std::max(worst, std::sqrt(error / weight));
  }
  return worst;
}

TEST(RoundPass, EightBitsStayNearInEveryFamilyTiedAndUntied) {
  for (Family family : kEveryFamily)
    for (bool tied : {false, true}) {
      TempDir directory;
      WriteTinyCheckpoint(directory / "in", {.family = family, .dtype = DType::kBF16, .tied = tied});
      const PackedFormat format{8, 32, true};
      RoundOptions options{{format, format}};
      if (!tied) options.scheme.lm_head = PackedFormat{8, 0, false};
      const Json report = RunPass(RoundPass(options), directory / "in", directory / "out");
      const Checkpoint in = Checkpoint::Open(directory / "in"), out = Checkpoint::Open(directory / "out");
      EXPECT_LT(WorstRelativeError(in, out), 0.01);
      EXPECT_LT(out.WeightBytes(), in.WeightBytes() * 2 / 3);
      ASSERT_EQ(report["tensors"].size(), out.table().size());
      for (const auto& row : report["tensors"]) EXPECT_LT(row["relative_error"].get<double>(), 0.01);
    }
}

TEST(RoundPass, InterruptedRunEndsInTheSameBytes) {
  TempDir directory;
  WriteTinyCheckpoint(directory / "in");
  const RoundPass pass(RoundOptions{{{4, 32, false}, PackedFormat{8, 32, true}}, Clip::kMse});
  RunPass(pass, directory / "in", directory / "whole");

  // A NaN in the last block stops a run after it wrote the first; the same directory then goes on from good weights.
  const Checkpoint in = Checkpoint::Open(directory / "in");
  CheckpointWriter broken(directory / "broken", in.config());
  for (const auto& spec : in.table()) broken.CopyFrom(in, spec);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  broken.Write(Find(in.table(), Role::kDown, 1).name,
               broken.View().Tensor(Find(in.table(), Role::kDown, 1).name).bytes);
  broken.WritePiece(Find(in.table(), Role::kDown, 1).name, 64, std::as_bytes(std::span(&nan, 1)));
  broken.Finish(directory / "in");
  {
    const Checkpoint bad = Checkpoint::Open(directory / "broken");
    CheckpointWriter writer(directory / "resumed", pass.Plan(PlanInputOf(bad, {})).config);
    Json report = Json::object();
    ThreadPool pool(1);
    PassContext context;
    context.pool = &pool;
    context.report = &report;
    EXPECT_ERROR(pass.Run(bad, writer, context), "model.layers.1.mlp.down_proj.weight\": row 0 holds NaN");
    writer.Commit(true);
  }
  const Json report = RunPass(pass, directory / "in", directory / "resumed");
  EXPECT_TRUE(report["tensors"][1]["relative_error"].is_null());
  EXPECT_FALSE(report["tensors"].back()["relative_error"].is_null());
  EXPECT_EQ(CheckpointBytes(directory / "resumed"), CheckpointBytes(directory / "whole"));
}

TEST(RoundPass, SaysATimeWhereThereAreRates) {
  TempDir directory;
  WriteTinyCheckpoint(directory / "in", {.dtype = DType::kBF16});
  PlanInput input = PlanInputOf(Checkpoint::Open(directory / "in"), {});
  EXPECT_EQ(RoundPass(RoundOptions{}).Plan(input).seconds, 0);
  ThreadPool pool(1);
  MachineRates rates(input.config, pool);
  input.rates = &rates;
  EXPECT_GT(RoundPass(RoundOptions{}).Plan(input).seconds, 0);
}

}  // namespace
}  // namespace ecld
