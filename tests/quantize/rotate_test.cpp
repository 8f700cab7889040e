#include "quantize/rotate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/quantize/model_logits.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"
#include "tests/testing/small_layer.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

TEST(Rotation, IsOrthogonalMixesAllChannelsAndDependsOnTheSeedAlone) {
  for (int64_t size : {1, 9, 64, 96, 576}) {
    const at::Tensor rotation = Rotation(size, 3);
    EXPECT_TRUE(Near(Floats(rotation.t().matmul(rotation)), Floats(at::eye(size)), {.max_abs = 1e-7}));
    EXPECT_TRUE(Near(Floats(rotation), Floats(Rotation(size, 3)), Exact()));
    if (size == 1) continue;
    EXPECT_GT((rotation - Rotation(size, 4)).abs().max().item<double>(), 0.1);
    // One channel that stands out is spread over all of them.
    EXPECT_LT(rotation.abs().max().item<double>(), size == 9 ? 1.0 : 0.75) << size;
    EXPECT_GT((rotation != 0).sum(1).min().item<int64_t>(), size - 1);
  }
}

TEST(RotatePass, ChangesNoLogitOfAnyFamily) {
  for (Family family : kEveryFamily)
    for (bool residual : {false, true}) {
      const bool tied = family != Family::kMistral;
      TempDir directory;
      const ModelConfig config = WriteTinyCheckpoint(directory / "in", {.family = family,
                                                                        .tied = tied,
                                                                        .bias = true,
                                                                        .head_dim = 24,
                                                                        .hidden_size = 72,
                                                                        .num_heads = 3,
                                                                        .num_kv_heads = 1});
      const TokenWindows windows = RandomWindows(2, 20, config.vocab_size);
      if (residual && config.output_norms) {
        EXPECT_ERROR(RunPass(RotatePass({}), directory / "in", directory / "out"),
                     "residual: this gemma3_text model norms what attention and the feed-forward layer add");
        continue;
      }
      RunPass(RotatePass({.residual = residual}), directory / "in", directory / "out");
      const Checkpoint in = Checkpoint::Open(directory / "in"), out = Checkpoint::Open(directory / "out");
      EXPECT_TRUE(Near(Floats(ModelLogits(out, windows)), Floats(ModelLogits(in, windows)), {.max_abs = 1e-4}));
      EXPECT_EQ(out.config().tie_embeddings, tied && !residual);
      const TensorSpec& value = Find(in.table(), Role::kValue, 1);
      EXPECT_FALSE(Near(out.ReadFloats(value), in.ReadFloats(value), {.max_abs = 0.01}));
    }
}

// Widths of published models: 576 = 64 * 9 (SmolLM2-135M), 5120 = 1024 * 5 (Qwen2.5-14B).
TEST(RotatePass, ChangesNoLogitAtWidthsThatAreNoPowerOfTwo) {
  for (int64_t hidden_size : {576, 5120}) {
    TempDir directory;
    const ModelConfig config = WriteTinyCheckpoint(directory / "in", {.tied = true,
                                                                      .head_dim = 16,
                                                                      .hidden_size = hidden_size,
                                                                      .intermediate_size = 32,
                                                                      .num_layers = 1,
                                                                      .num_heads = 2,
                                                                      .num_kv_heads = 1});
    const TokenWindows windows = RandomWindows(1, 20, config.vocab_size);
    RunPass(RotatePass({}), directory / "in", directory / "out");
    const Checkpoint in = Checkpoint::Open(directory / "in"), out = Checkpoint::Open(directory / "out");
    EXPECT_TRUE(Near(Floats(ModelLogits(out, windows)), Floats(ModelLogits(in, windows)), {.max_abs = 1e-4}))
        << hidden_size;
    const TensorSpec& gate = Find(in.table(), Role::kGate, 0);
    EXPECT_FALSE(Near(out.ReadFloats(gate), in.ReadFloats(gate), {.max_abs = 0.01})) << hidden_size;
  }
}

TEST(RotatePass, FlattensAChannelThatStandsOut) {
  TempDir directory;
  const ModelConfig config = WriteTinyCheckpoint(directory / "plain");
  const Checkpoint plain = Checkpoint::Open(directory / "plain");
  {
    CheckpointWriter writer(directory / "in", config);
    for (const auto& spec : plain.table()) {
      std::vector<float> values = plain.ReadFloats(spec);
      if (spec.role == Role::kGate)
        for (size_t row = 0; row < static_cast<size_t>(spec.shape[0]); ++row) values[row * 64 + 7] *= 50;
      writer.WriteFloats(spec, values);
    }
    writer.Finish(directory / "plain");
  }
  RunPass(RotatePass({}), directory / "in", directory / "out");
  auto peak = [&](const char* name) {
    const Checkpoint checkpoint = Checkpoint::Open(directory / name);
    const at::Tensor gate = at::tensor(checkpoint.ReadFloats(Find(checkpoint.table(), Role::kGate, 0)));
    return (gate.abs().max() / gate.square().mean().sqrt()).item<double>();
  };
  EXPECT_LT(peak("out"), 0.5 * peak("in"));
}

TEST(RotatePass, InterruptedRunEndsInTheSameBytes) {
  TempDir directory;
  WriteTinyCheckpoint(directory / "in", {.dtype = DType::kBF16, .tied = true});
  RunPass(RotatePass({}), directory / "in", directory / "whole");
  const Checkpoint whole = Checkpoint::Open(directory / "whole");
  {
    CheckpointWriter writer(directory / "resumed", whole.config());
    for (const auto& spec : writer.table())
      if (spec.layer == 0) writer.CopyFrom(whole, spec);
    writer.Commit(true);
  }
  RunPass(RotatePass({}), directory / "in", directory / "resumed");
  EXPECT_EQ(CheckpointBytes(directory / "resumed"), CheckpointBytes(directory / "whole"));
}

TEST(RotatePass, PlansTheUntiedHeadAndRefusesNothingToDo) {
  TempDir directory;
  WriteTinyCheckpoint(directory / "in", {.tied = true});
  const Checkpoint in = Checkpoint::Open(directory / "in");
  const PlanInput input = PlanInputOf(in, {});
  const Planned planned = RotatePass({}).Plan(input);
  EXPECT_EQ(planned.output_B, in.WeightBytes() + 300 * 64 * 4);
  ASSERT_EQ(planned.notes.size(), 2u);
  EXPECT_NE(planned.notes[1].find("19200 more weights"), std::string::npos);
  EXPECT_TRUE(RotatePass({.residual = false}).Plan(input).config.tie_embeddings);
  EXPECT_ERROR(RotatePass({false, false}).Plan(input), "stages[0]: neither residual nor values");
  PlanInput quantized = input;
  quantized.config.quantization.emplace();
  EXPECT_ERROR(RotatePass({}).Plan(quantized), "stages[0]: the model is quantized already");
}

}  // namespace
}  // namespace ecld
