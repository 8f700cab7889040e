// A pass that takes heads away, as small as one can be: what it needs to be told is in the pass and nowhere else.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "checkpoint/linear_groups.h"
#include "model/block_walker.h"
#include "recipes/verify.h"
#include "tests/runtime/tiny_model.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"

namespace ecld {
namespace {

// The first key and value head of every block with the query heads that read it: away, or unread by the output.
enum class FirstHeads { kCut, kUnread };

class HeadPass final : public Pass {
 public:
  explicit HeadPass(FirstHeads first) : first_(first) {}
  PassNeeds Needs() const override { return {.calibration = true}; }

  Planned Plan(const PlanInput& input) const override {
    RequireDenseAndCalibrated(input);
    Planned planned;
    planned.config = input.config;
    if (first_ == FirstHeads::kCut) {
      planned.config.num_heads -= input.config.num_heads / input.config.num_kv_heads;
      planned.config.num_kv_heads -= 1;
    }
    planned.output_B = WeightFileBytes(planned.config);
    return planned;
  }

  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override {
    const auto change = [&](const WalkedBlock& walked) -> BlockResult {
      Change(walked.block, in.config());
      return {};
    };
    WalkBlocks(in, out, context, {.label = "test.heads", .change = change});
  }

 private:
  void Change(Block& block, const ModelConfig& config) const {
    const int64_t query = config.QueryWidth() / config.num_kv_heads;
    at::Tensor& output = block.Parameter(Role::kOutput);
    if (first_ == FirstHeads::kUnread) {
      output.narrow(1, 0, query).zero_();
      return;
    }
    output = output.slice(1, query).contiguous();
    for (Role role : GroupOf(Role::kOutput).makers)
      for (bool bias : {false, true})
        if (block.Has(role, bias))
          block.Parameter(role, bias) =
              block.Parameter(role, bias).slice(0, role == Role::kQuery ? query : config.head_dim).contiguous();
  }

  FirstHeads first_;
};

std::vector<float> RuntimeLogits(const std::filesystem::path& directory) {
  const RuntimeModel model(Checkpoint::Open(directory));
  ThreadPool pool(1);
  Session session(model, pool);
  KvCache cache(model);
  return RunTokens(session, cache, SomeTokens(24));
}

class HeadsOfFamily : public testing::TestWithParam<Family> {};

TEST_P(HeadsOfFamily, ThatAPassTookAwayAreAsThoughNothingReadThem) {
  TempDir directory;
  const ModelConfig config = WriteTinyCheckpoint(
      directory / "in", {.family = GetParam(), .sliding_window = 5, .head_dim = 16, .num_heads = 6, .num_kv_heads = 3});
  const TokenWindows windows = RandomWindows(2, 8, config.vocab_size);
  RunPass(HeadPass(FirstHeads::kCut), directory / "in", directory / "cut", windows);
  RunPass(HeadPass(FirstHeads::kUnread), directory / "in", directory / "unread", windows);

  const Checkpoint cut = Checkpoint::Open(directory / "cut");
  EXPECT_EQ(cut.config().num_heads, 4);
  EXPECT_EQ(cut.config().num_kv_heads, 2);
  EXPECT_EQ(cut.config().head_dim, config.head_dim);
  const PlanInput input = PlanInputOf(Checkpoint::Open(directory / "in"), windows);
  EXPECT_NO_THROW(VerifyStage(directory / "cut", HeadPass(FirstHeads::kCut).Plan(input).config));

  const std::vector<float> expected = RuntimeLogits(directory / "unread");
  EXPECT_TRUE(Near(RuntimeLogits(directory / "cut"), expected, Relative(1e-5)));
  EXPECT_FALSE(Near(RuntimeLogits(directory / "in"), expected, Relative(1e-3))) << "the heads say nothing";
}

INSTANTIATE_TEST_SUITE_P(Families, HeadsOfFamily, testing::ValuesIn(kEveryFamily),
                         [](const auto& family) { return std::string(Name(family.param)); });

}  // namespace
}  // namespace ecld
