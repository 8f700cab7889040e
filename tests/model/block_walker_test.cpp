#include "model/block_walker.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/embedding.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

std::vector<float> Values(const at::Tensor& tensor) {
  at::Tensor flat = tensor.detach().contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

at::Tensor StatesBefore(const Checkpoint& checkpoint, const TokenWindows& windows, int64_t layer) {
  at::Tensor states = Embed(checkpoint, windows.windows);
  for (int64_t i = 0; i < layer; ++i) AdvanceStates(TorchOps(), Block::Load(checkpoint, i), states);
  return states;
}

class Walk : public testing::Test {
 protected:
  Walk() {
    config_ = WriteTinyCheckpoint(directory_ / "in", {.dtype = DType::kBF16, .num_layers = 3});
    windows_ = RandomWindows(5, 16, config_.vocab_size);
  }
  // Walks into `name`; stops with an exception at layer stop.
  void Go(const char* name, const CompressBlock& compress) {
    CheckpointWriter writer(directory_ / name, config_);
    try {
      WalkBlocks(Checkpoint::Open(directory_ / "in"), writer, windows_, "test", compress);
    } catch (...) {
      writer.Commit(true);
      throw;
    }
    writer.Finish(directory_ / "in");
  }

  TempDir directory_;
  ModelConfig config_;
  TokenWindows windows_;
};

TEST_F(Walk, DoingNothingCopiesTheModel) {
  Go("out", [](int64_t, const at::Tensor&, Block*) {});
  const Checkpoint in = Checkpoint::Open(directory_ / "in"), out = Checkpoint::Open(directory_ / "out");
  for (const auto& spec : in.table())
    EXPECT_TRUE(Near(out.ReadFloats(spec), in.ReadFloats(spec), Exact())) << spec.name;
}

TEST_F(Walk, EachBlockSeesWhatTheWrittenOnesGive) {
  std::vector<at::Tensor> seen;
  Go("out", [&](int64_t, const at::Tensor& hidden, Block* block) {
    seen.push_back(hidden.clone());
    block->Parameter(Role::kDown).mul_(0.77f);
  });
  const Checkpoint out = Checkpoint::Open(directory_ / "out");
  ASSERT_EQ(seen.size(), 3u);
  for (int64_t layer = 0; layer < 3; ++layer)
    EXPECT_TRUE(Near(Values(seen[static_cast<size_t>(layer)]), Values(StatesBefore(out, windows_, layer)), Exact()));
}

// A pass that has run a finished block up to its last product saves the walk from doing so, and changes nothing else.
TEST_F(Walk, GoesOnFromWhereAPassHasCarriedTheStates) {
  BlockKernels kernels(config_);
  const auto states_after = [&](const char* name, bool carry) {
    CheckpointWriter writer(directory_ / name, config_);
    at::Tensor down_inputs;
    at::Tensor states =
        WalkBlocks(Checkpoint::Open(directory_ / "in"), writer, windows_, "test",
                   [&](int64_t, at::Tensor& hidden, Block* block) {
                     block->Parameter(Role::kDown).mul_(0.5f);
                     if (!carry) return;
                     hidden.copy_(block->AfterAttention(
                         kernels, hidden, block->OutputInput(kernels, block->AttentionInput(kernels, hidden))));
                     const at::Tensor inputs = block->DownInput(kernels, block->MlpInput(kernels, hidden));
                     down_inputs = kernels.RoomFor(hidden.size(0), hidden.size(1), inputs.size(2));
                     for (int64_t window = 0; window < hidden.size(0); ++window)
                       kernels.Keep(inputs.narrow(0, window, 1), window, down_inputs);
                   },
                   {.kernels = &kernels, .down_inputs = &down_inputs});
    EXPECT_FALSE(down_inputs.defined());
    return Values(states);
  };
  EXPECT_TRUE(Near(states_after("carried", true), states_after("run", false), Exact()));
}

TEST_F(Walk, StoppedWalkGoesOnToTheSameBytes) {
  // What is done to a block depends on the states that reach it, so states lost by the stop would show.
  const CompressBlock scale_by_states = [](int64_t, const at::Tensor& hidden, Block* block) {
    if (block) block->Parameter(Role::kDown).mul_(hidden.std());
  };
  Go("whole", scale_by_states);
  for (int64_t stop : {0, 1, 2}) {
    const std::string name = "stopped" + std::to_string(stop);
    EXPECT_THROW(Go(name.c_str(),
                    [&](int64_t layer, at::Tensor& hidden, Block* block) {
                      if (layer == stop) throw std::runtime_error("stopped");
                      scale_by_states(layer, hidden, block);
                    }),
                 std::runtime_error);
    int64_t handed_out = 0;
    Go(name.c_str(), [&](int64_t layer, at::Tensor& hidden, Block* block) {
      handed_out += block != nullptr;
      scale_by_states(layer, hidden, block);
    });
    EXPECT_EQ(handed_out, 3 - stop);
    EXPECT_EQ(CheckpointBytes(directory_ / name), CheckpointBytes(directory_ / "whole"));
  }
}

TEST_F(Walk, RefusesValuesThatAreNotFinite) {
  EXPECT_ERROR(
      Go("out", [](int64_t, const at::Tensor&, Block* block) { block->Parameter(Role::kUp)[3][2] = INFINITY; }),
      "model.layers.0.mlp.up_proj.weight: value inf");
}

TEST(WindowBatches, CoverAllWindowsOnce) {
  for (int64_t windows : {1, 7, 40}) {
    for (int64_t tokens : {1, 300, 5000}) {
      int64_t next = 0;
      ForWindowBatches(windows, tokens, [&](int64_t first, int64_t count) {
        EXPECT_EQ(first, next);
        EXPECT_GT(count, 0);
        next += count;
      });
      EXPECT_EQ(next, windows);
    }
  }
}

TEST(BlockPasses, NeedADenseModelAndCalibration) {
  PlanInput input;
  input.where = "recipe.yaml:3: stages[0]";
  EXPECT_ERROR(RequireDenseAndCalibrated(input), "stages[0]: this pass needs calibration text");
  input.calibration_windows = 1;
  RequireDenseAndCalibrated(input);
  input.config.quantization.emplace();
  EXPECT_ERROR(RequireDenseAndCalibrated(input), "stages[0]: the model is quantized already");
}

}  // namespace
}  // namespace ecld
