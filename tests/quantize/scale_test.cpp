#include "quantize/scale.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "quantize/round.h"
#include "tests/quantize/model_logits.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"
#include "tests/testing/small_layer.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

TEST(ChannelScales, FollowTheExponentAndAreBalancedAroundOne) {
  const at::Tensor magnitude = at::tensor({0.01f, 1.0f, 4.0f});
  EXPECT_TRUE(Near(Floats(ChannelScales(magnitude, 0)), std::vector<float>{1, 1, 1}, Exact()));
  EXPECT_TRUE(
      Near(Floats(ChannelScales(magnitude, 0.5)), std::vector<float>{0.223607f, 2.23607f, 4.47214f}, Relative(1e-5)));
  EXPECT_TRUE(Near(Floats(ChannelScales(at::tensor({0.0f, 4.0f, 1.0f}), 1)), std::vector<float>{0.5f, 2, 0.5f},
                   Relative(1e-6)));
  EXPECT_TRUE(Near(Floats(ChannelScales(at::zeros({3}), 0.5)), std::vector<float>{1, 1, 1}, Exact()));
}

TEST(ScaledLoss, IsTheErrorOfTheOutputs) {
  const at::Tensor weights = RandomWeights(24, 64, 1), inputs = CorrelatedInputs(100, 64, 2);
  // 8 bits on one coarse grid: rounding to multiples of 1/128 of the row's largest weight.
  const at::Tensor scale = weights.abs().amax(1, true) / 127.5;
  const at::Tensor error = ((weights / scale).round().clamp(-128, 127) * scale - weights).matmul(inputs.t());
  ThreadPool pool;
  EXPECT_NEAR(ScaledLoss(weights, inputs, at::ones({64}), {8, 0, true}, Clip::kMinMax, DType::kF32, pool) /
                  error.square().sum().item<double>(),
              1, 1e-3);
}

TEST(SearchScales, ProtectsTheChannelsThatAreLoudAndDoesNothingWhereAllAreAlike) {
  at::Tensor inputs = CorrelatedInputs(200, 64, 3);
  inputs.slice(1, 0, 4).mul_(30);
  const ScaleOptions options{.format = {3, 32, true}};
  ThreadPool pool(1);
  const std::vector<at::Tensor> matrices = {RandomWeights(24, 64, 4), RandomWeights(8, 64, 5)};
  const ScaleChoice choice = SearchScales(matrices, inputs, inputs.abs().mean(0), options, DType::kF32, pool);
  EXPECT_GT(choice.exponent, 0);
  EXPECT_LT(choice.loss, 0.7 * choice.loss_unscaled);
  const ScaleChoice none = SearchScales(matrices, inputs, at::ones({64}), options, DType::kF32, pool);
  EXPECT_EQ(none.exponent, 0);
  EXPECT_EQ(none.loss, none.loss_unscaled);
}

TEST(ScalePass, ChangesNoLogitOfAnyFamily) {
  for (Family family : kEveryFamily) {
    TempDir directory;
    const ModelConfig config = WriteTinyCheckpoint(directory / "in", {.family = family, .tied = true, .bias = true});
    const TokenWindows windows = RandomWindows(4, 20, config.vocab_size);
    const Json report = RunPass(ScalePass({.format = {3, 32, true}}), directory / "in", directory / "out", windows);
    const Checkpoint in = Checkpoint::Open(directory / "in"), out = Checkpoint::Open(directory / "out");
    EXPECT_TRUE(Near(Floats(ModelLogits(out, windows)), Floats(ModelLogits(in, windows)), {.max_abs = 1e-4}));
    int64_t scaled = 0;
    for (const auto& row : report["blocks"])
      for (const char* place : {"attention", "output", "mlp", "down"}) {
        EXPECT_LE(row[place]["error_kept"].get<double>(), 1);
        scaled += row[place]["exponent"].get<double>() > 0;
      }
    EXPECT_GT(scaled, 0);
  }
}

TEST(ScalePass, MakesRoundingChangeLogitsLess) {
  TempDir directory;
  const ModelConfig config = WriteTinyCheckpoint(directory / "plain", {.num_layers = 1});
  const TokenWindows windows = RandomWindows(8, 20, config.vocab_size);
  const Checkpoint plain = Checkpoint::Open(directory / "plain");
  {
    // A few channels are loud, and their weights small.
    CheckpointWriter writer(directory / "in", config);
    for (const auto& spec : plain.table()) {
      std::vector<float> values = plain.ReadFloats(spec);
      if (spec.role == Role::kMlpNorm)
        for (size_t i = 0; i < 3; ++i) values[i] *= 20;
      if (spec.role == Role::kGate || spec.role == Role::kUp)
        for (size_t i = 0; i < values.size(); ++i) values[i] *= i % 64 < 3 ? 0.1f : 1.0f;
      writer.WriteFloats(spec, values);
    }
    writer.Finish(directory / "plain");
  }
  const PackedFormat format{3, 32, true};
  RunPass(ScalePass({.format = format}), directory / "in", directory / "scaled", windows);
  RunPass(RoundPass(RoundOptions{{format}}), directory / "in", directory / "rounded");
  RunPass(RoundPass(RoundOptions{{format}}), directory / "scaled", directory / "scaled_rounded");
  const at::Tensor expected = ModelLogits(Checkpoint::Open(directory / "in"), windows);
  auto error = [&](const char* name) {
    return (ModelLogits(Checkpoint::Open(directory / name), windows) - expected).norm().item<double>();
  };
  EXPECT_LT(error("scaled_rounded"), 0.9 * error("rounded"));
}

TEST(ScalePass, InterruptedRunEndsInTheSameBytes) {
  TempDir directory;
  const ModelConfig config = WriteTinyCheckpoint(directory / "in", {.dtype = DType::kBF16});
  const TokenWindows windows = RandomWindows(4, 20, config.vocab_size);
  const ScalePass pass({.format = {3, 32, true}});
  RunPass(pass, directory / "in", directory / "whole", windows);
  const Checkpoint whole = Checkpoint::Open(directory / "whole");
  {
    CheckpointWriter writer(directory / "resumed", whole.config());
    for (const auto& spec : writer.table())
      if (spec.layer == 0) writer.CopyFrom(whole, spec);
    writer.Commit(true);
  }
  RunPass(pass, directory / "in", directory / "resumed", windows);
  EXPECT_EQ(CheckpointBytes(directory / "resumed"), CheckpointBytes(directory / "whole"));
}

TEST(ScalePass, RefusesWhatCannotWork) {
  TempDir directory;
  WriteTinyCheckpoint(directory / "in");
  const TokenWindows windows = RandomWindows(2, 8, 300);
  const PlanInput input = PlanInputOf(Checkpoint::Open(directory / "in"), windows);
  EXPECT_FALSE(ScalePass({}).Plan(input).config.quantization.has_value());
  EXPECT_ERROR(ScalePass({.format = {7, 32, true}}).Plan(input), "bits is 7");
  EXPECT_ERROR(ScalePass({.steps = 0}).Plan(input), "stages[0].steps: 0 is below 1");
  EXPECT_ERROR(ScalePass({.sample_tok = 0}).Plan(input), "stages[0].sample_tok: 0 is below 1");
}

}  // namespace
}  // namespace ecld
