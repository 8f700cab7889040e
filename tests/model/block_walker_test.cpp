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

class BlockWalk : public testing::Test {
 protected:
  using Change = std::function<void(const WalkedBlock&)>;

  BlockWalk() {
    config_ = WriteTinyCheckpoint(directory_ / "in", {.dtype = DType::kBF16, .num_layers = 3});
    windows_ = RandomWindows(5, 16, config_.vocab_size);
  }
  // Walks into `name`. What stops it with an exception is like a kill.
  at::Tensor Go(const std::string& name, const Walk& walk, ReportRows rows = {}) {
    CheckpointWriter writer(directory_ / name, config_);
    PassContext context;
    context.calibration = &windows_;
    context.rows = std::move(rows);
    report_ = Json::object();
    context.report = &report_;
    at::Tensor states;
    try {
      states = WalkBlocks(Checkpoint::Open(directory_ / "in"), writer, context, walk).states;
    } catch (...) {
      writer.Commit(true);
      throw;
    }
    writer.Finish(directory_ / "in");
    return states;
  }
  at::Tensor Go(const std::string& name, const Change& change) {
    const auto without_row = [&](const WalkedBlock& walked) -> BlockResult {
      change(walked);
      return {};
    };
    return Go(name, Walk{.label = "test", .change = without_row});
  }

  TempDir directory_;
  ModelConfig config_;
  TokenWindows windows_;
  Json report_;
};

TEST_F(BlockWalk, DoingNothingCopiesTheModel) {
  Go("out", [](const WalkedBlock&) {});
  const Checkpoint in = Checkpoint::Open(directory_ / "in"), out = Checkpoint::Open(directory_ / "out");
  for (const auto& spec : in.table())
    EXPECT_TRUE(Near(out.ReadFloats(spec), in.ReadFloats(spec), Exact())) << spec.name;
  EXPECT_FALSE(report_.contains("blocks"));
}

TEST_F(BlockWalk, EachBlockSeesWhatTheWrittenOnesGive) {
  std::vector<at::Tensor> seen;
  Go("out", [&](const WalkedBlock& walked) {
    seen.push_back(walked.states.clone());
    walked.block.Parameter(Role::kDown).mul_(0.77f);
    EXPECT_FALSE(walked.targets.defined());
  });
  const Checkpoint out = Checkpoint::Open(directory_ / "out");
  ASSERT_EQ(seen.size(), 3u);
  for (int64_t layer = 0; layer < 3; ++layer)
    EXPECT_TRUE(Near(Values(seen[static_cast<size_t>(layer)]), Values(StatesBefore(out, windows_, layer)), Exact()));
}

// The teacher's blocks see the teacher's own states, whether it is the walked model or another one.
TEST_F(BlockWalk, TargetsAreWhatTheTeachersBlocksGive) {
  const Checkpoint teacher = Checkpoint::Open(directory_ / "in");
  int64_t layer = 0;
  const auto change = [&](const WalkedBlock& walked) -> BlockResult {
    EXPECT_TRUE(Near(Values(walked.targets), Values(StatesBefore(teacher, windows_, ++layer)), Exact()));
    walked.block.Parameter(Role::kDown).mul_(0.77f);
    return {};
  };
  Go("out", {.label = "test", .change = change, .teacher = &teacher});
  EXPECT_EQ(layer, 3);
}

TEST_F(BlockWalk, TargetsMayBeTheStatesAfterAttention) {
  const Checkpoint teacher = Checkpoint::Open(directory_ / "in");
  int64_t layer = 0;
  const auto change = [&](const WalkedBlock& walked) -> BlockResult {
    const Block block = Block::Load(teacher, layer);
    const at::Tensor before = StatesBefore(teacher, windows_, layer++);
    const TorchOps ops;
    const at::Tensor after =
        block.AfterAttention(ops, before, block.OutputInput(ops, block.AttentionInput(ops, before)));
    EXPECT_TRUE(Near(Values(walked.targets), Values(after), Exact()));
    walked.block.Parameter(Role::kDown).mul_(0.77f);
    return {};
  };
  Go("out", {.label = "test", .change = change, .teacher = &teacher, .after_attention = true});
  EXPECT_EQ(layer, 3);
}

// A pass that has run a finished block up to its last product saves the walk from doing so, and changes nothing else.
TEST_F(BlockWalk, GoesOnFromWhereAPassHasCarriedTheStates) {
  ThreadPool pool(1);
  BlockKernels kernels(config_, pool);
  const auto states_after = [&](const char* name, bool carry) {
    const auto halve = [&](const WalkedBlock& walked) -> BlockResult {
      Block& block = walked.block;
      at::Tensor& states = walked.states;
      block.Parameter(Role::kDown).mul_(0.5f);
      if (!carry) return {};
      states.copy_(
          block.AfterAttention(kernels, states, block.OutputInput(kernels, block.AttentionInput(kernels, states))));
      const at::Tensor inputs = block.DownInput(kernels, block.MlpInput(kernels, states));
      at::Tensor kept = kernels.RoomFor(states.size(0), states.size(1), inputs.size(2));
      for (int64_t window = 0; window < states.size(0); ++window)
        kernels.Keep(inputs.narrow(0, window, 1), window, kept);
      return {nullptr, kept};
    };
    return Values(Go(name, {.label = "test", .change = halve, .ops = &kernels}));
  };
  EXPECT_TRUE(Near(states_after("carried", true), states_after("run", false), Exact()));
}

TEST_F(BlockWalk, StoppedWalkGoesOnToTheSameBytes) {
  // What is done to a block depends on the states that reach it, so states lost by the stop would show.
  const Change scale_by_states = [](const WalkedBlock& walked) {
    walked.block.Parameter(Role::kDown).mul_(walked.states.std());
  };
  Go("whole", scale_by_states);
  for (int64_t stop : {0, 1, 2}) {
    const std::string name = "stopped" + std::to_string(stop);
    EXPECT_THROW(Go(name,
                    [&](const WalkedBlock& walked) {
                      if (walked.block.layer() == stop) throw std::runtime_error("stopped");
                      scale_by_states(walked);
                    }),
                 std::runtime_error);
    int64_t handed_out = 0;
    Go(name, [&](const WalkedBlock& walked) {
      ++handed_out;
      scale_by_states(walked);
    });
    EXPECT_EQ(handed_out, 3 - stop);
    EXPECT_EQ(CheckpointBytes(directory_ / name), CheckpointBytes(directory_ / "whole"));
  }
}

// Rows of blocks that an earlier run wrote are taken from it, or say that they are lost.
TEST_F(BlockWalk, ReportHasARowOfEveryBlock) {
  const auto change = [&](const WalkedBlock& walked) -> BlockResult {
    if (walked.block.layer() == 2 && !std::filesystem::exists(directory_ / "go")) throw std::runtime_error("stopped");
    return {{{"found", 10 + walked.block.layer()}}, {}};
  };
  const Walk walk{.label = "test", .change = change, .lost_row = {{"found", nullptr}}};
  EXPECT_THROW(Go("kept", walk, ReportRows(directory_ / "rows.jsonl")), std::runtime_error);
  EXPECT_THROW(Go("lost", walk), std::runtime_error);
  std::filesystem::create_directory(directory_ / "go");
  Go("kept", walk, ReportRows(directory_ / "rows.jsonl"));
  EXPECT_EQ(report_.dump(), R"({"blocks":[{"layer":0,"found":10},{"layer":1,"found":11},{"layer":2,"found":12}]})");
  Go("lost", walk);
  EXPECT_EQ(report_.dump(), R"({"blocks":[{"layer":0,"found":null},{"layer":1,"found":null},{"layer":2,"found":12}]})");
}

TEST_F(BlockWalk, RefusesValuesThatAreNotFinite) {
  EXPECT_ERROR(Go("out", [](const WalkedBlock& walked) { walked.block.Parameter(Role::kUp)[3][2] = INFINITY; }),
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
