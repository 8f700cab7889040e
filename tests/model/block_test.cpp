#include "model/block.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/block_kernels.h"
#include "model/embedding.h"
#include "model/operations.h"
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

at::Tensor RandomStates(int64_t windows, int64_t tokens, int64_t hidden_size) {
  auto generator = at::detail::createCPUGenerator(3);
  return at::randn({windows, tokens, hidden_size}, generator);
}

// Equality with transformers is the oracle's business (tests/oracle); here: what must hold whatever the numbers are.
class BlockOfFamily : public testing::TestWithParam<Family> {
 protected:
  BlockOfFamily() { config_ = WriteTinyCheckpoint(directory_ / "m", {.family = GetParam(), .sliding_window = 5}); }
  Checkpoint Open() const { return Checkpoint::Open(directory_ / "m"); }

  TempDir directory_;
  ModelConfig config_;
};

TEST_P(BlockOfFamily, IsCausalAndSeesAtMostItsWindow) {
  const int64_t last = config_.num_layers - 1;
  const Block block = Block::Load(Open(), last);
  const int64_t window = config_.sliding_window[static_cast<size_t>(last)];
  at::Tensor states = RandomStates(1, 12, config_.hidden_size), changed = states.clone();
  changed[0][4] += 1;
  at::Tensor moved = (block.Forward(TorchOps(), changed) - block.Forward(TorchOps(), states)).abs().amax(-1)[0];
  for (int64_t token = 0; token < 12; ++token) {
    const bool sees = token >= 4 && (window == 0 || token - 4 < window);
    EXPECT_EQ(moved[token].item<float>() > 1e-5f, sees) << token << " window " << window;
  }
}

TEST_P(BlockOfFamily, WindowsDoNotTouchEachOther) {
  const Block block = Block::Load(Open(), 0);
  at::Tensor states = RandomStates(3, 9, config_.hidden_size);
  EXPECT_TRUE(Near(Values(block.Forward(TorchOps(), states)[1]),
                   Values(block.Forward(TorchOps(), states.narrow(0, 1, 1))[0]), Relative(1e-5)));
}

TEST_P(BlockOfFamily, HandsOutTheInputsOfItsLinears) {
  const Block block = Block::Load(Open(), 0);
  at::Tensor states = RandomStates(2, 7, config_.hidden_size);
  BlockInputs inputs;
  at::Tensor out = block.Forward(TorchOps(), states, &inputs);
  auto linear = [&](Role role, const at::Tensor& input) {
    at::Tensor result = at::linear(input, block.Parameter(role));
    return block.Has(role, true) ? result + block.Parameter(role, true) : result;
  };
  at::Tensor gate = linear(Role::kGate, inputs[Role::kGate]);
  gate = config_.activation == Activation::kGelu ? at::gelu(gate, "tanh") : at::silu(gate);
  at::Tensor gated = gate * linear(Role::kUp, inputs[Role::kGate]);
  EXPECT_TRUE(Near(Values(inputs[Role::kDown]), Values(gated), Relative(1e-6)));
  auto added = [&](Role role) {
    at::Tensor result = linear(role, inputs[role]);
    const Role norm = *GroupOf(role).out_norm;
    return block.Has(norm) ? RmsNorm(result, block.Parameter(norm), config_.rms_norm_eps) : result;
  };
  at::Tensor rebuilt = states + added(Role::kOutput) + added(Role::kDown);
  EXPECT_TRUE(Near(Values(out), Values(rebuilt), Relative(1e-5)));
  EXPECT_EQ(inputs[Role::kQuery].sizes(), states.sizes());
}

TEST_P(BlockOfFamily, WrittenBlockIsTheRoundedOne) {
  const Checkpoint in = Open();
  ModelConfig narrow = config_;
  narrow.dtype = DType::kBF16;
  CheckpointWriter writer(directory_ / "out", narrow);
  Block block = Block::Load(in, 1);
  block.Write(writer);
  const Block written = Block::Load(writer.View(), 1);
  block.RoundTo(narrow);
  for (const auto& spec : in.table()) {
    if (spec.layer != 1) continue;
    EXPECT_TRUE(
        Near(Values(written.Parameter(spec.role, spec.bias)), Values(block.Parameter(spec.role, spec.bias)), Exact()));
  }
}

TEST_P(BlockOfFamily, GradientsReachEveryParameterAndACloneIsItsOwn) {
  Block block = Block::Load(Open(), 0), copy = block.Clone();
  for (auto& parameter : copy.Parameters()) parameter.set_requires_grad(true);
  copy.Forward(TorchOps(), RandomStates(1, 6, config_.hidden_size)).square().sum().backward();
  for (auto& parameter : copy.Parameters()) EXPECT_GT(parameter.grad().abs().sum().item<float>(), 0);
  const std::vector<float> before = Values(block.Parameter(Role::kDown));
  copy.Parameter(Role::kDown).detach().add_(1);
  EXPECT_TRUE(Near(Values(block.Parameter(Role::kDown)), before, Exact()));
}

INSTANTIATE_TEST_SUITE_P(Families, BlockOfFamily, testing::ValuesIn(kEveryFamily),
                         [](const auto& family) { return std::string(Name(family.param)); });

// A pass may take heads away: what a block computes follows its matrices, not the config it was loaded with.
TEST(Block, HeadsThatNobodyReadsCanBeCut) {
  TempDir directory;
  const ModelConfig config = WriteTinyCheckpoint(directory / "m", {.family = Family::kQwen3});
  Block block = Block::Load(Checkpoint::Open(directory / "m"), 1);
  const int64_t query = config.QueryWidth() / 2, key = config.KeyWidth() / 2;  // of the first of two kv heads
  ASSERT_EQ(config.num_kv_heads, 2);
  block.Parameter(Role::kOutput).narrow(1, query, query).zero_();
  Block cut = block.Clone();
  for (Role role : GroupOf(Role::kOutput).makers)
    cut.Parameter(role) = cut.Parameter(role).narrow(0, 0, role == Role::kQuery ? query : key).contiguous();
  cut.Parameter(Role::kOutput) = cut.Parameter(Role::kOutput).narrow(1, 0, query).contiguous();
  const at::Tensor states = RandomStates(2, 9, config.hidden_size);
  const std::vector<float> whole = Values(block.Forward(TorchOps(), states));
  EXPECT_TRUE(Near(Values(cut.Forward(TorchOps(), states)), whole, {.max_abs = 1e-5}));
  ThreadPool pool(1);
  EXPECT_TRUE(Near(Values(cut.Forward(BlockKernels(config, pool), states)), whole, {.max_abs = 1e-5}));
}

// Only the factors of products: what is asked of other operations, here or later, is not touched.
TEST(Block, MixedPrecisionRoundsTheFactorsOfProductsAndKeepsGradientsFloat) {
  const at::Tensor inputs = RandomStates(1, 6, 32), matrix = RandomStates(1, 8, 32)[0].clone();
  const auto rounded = [](const at::Tensor& tensor) { return tensor.to(at::kBFloat16).to(at::kFloat); };
  const TorchOps mixed(DType::kBF16);
  const auto product = [&](const BlockOps& ops, const at::Tensor& x, const at::Tensor& w) {
    return ops.Linears(x, {{w, {}}}).front();
  };
  at::Tensor trained = matrix.clone().set_requires_grad(true);
  const at::Tensor found = product(mixed, inputs, trained);
  EXPECT_EQ(found.scalar_type(), at::kFloat);
  const std::vector<float> expected = Values(rounded(product(TorchOps(), rounded(inputs), rounded(matrix))));
  EXPECT_TRUE(Near(Values(found), expected, Relative(8e-3)));
  EXPECT_FALSE(Near(Values(found), Values(product(TorchOps(), inputs, matrix)), Exact()));
  found.sum().backward();
  EXPECT_EQ(trained.grad().scalar_type(), at::kFloat);
  EXPECT_TRUE(Near(Values(product(TorchOps(DType::kF32), inputs, matrix)), Values(product(TorchOps(), inputs, matrix)),
                   Exact()));
  EXPECT_TRUE(
      Near(Values(mixed.Norm(inputs, matrix[0], 1e-6)), Values(TorchOps().Norm(inputs, matrix[0], 1e-6)), Exact()));
}

// Causal attention: a longer text changes its beginning only by how its length turns positions.
TEST(Block, SomeRopesTurnABeginningByTheLengthOfAll) {
  for (RopeScaling::Kind kind : {RopeScaling::Kind::kNone, RopeScaling::Kind::kYarn, RopeScaling::Kind::kDynamic,
                                 RopeScaling::Kind::kLongRope}) {
    TempDir directory;
    const ModelConfig config =
        WriteTinyCheckpoint(directory / "m", {.rope_scaling = kind, .max_position = 64});  // the original length of all
    const Block block = Block::Load(Checkpoint::Open(directory / "m"), 0);
    const at::Tensor states = RandomStates(1, 100, config.hidden_size);
    const auto beginning = [&](int64_t tokens) {
      return Values(block.Forward(TorchOps(), states.narrow(1, 0, tokens)).narrow(1, 0, 30));
    };
    EXPECT_TRUE(Near(beginning(64), beginning(30), {.max_abs = 1e-5})) << Name(kind);
    const bool by_length = kind == RopeScaling::Kind::kDynamic || kind == RopeScaling::Kind::kLongRope;
    EXPECT_EQ(!Near(beginning(100), beginning(30), {.max_abs = 1e-3}), by_length) << Name(kind);
  }
}

TEST(Embedding, HeadOfATiedModelIsItsEmbedding) {
  TempDir directory;
  const ModelConfig config = WriteTinyCheckpoint(directory / "m", {.tied = true});
  const Checkpoint checkpoint = Checkpoint::Open(directory / "m");
  at::Tensor states = Embed(checkpoint, {{0, 5, 299}, {7, 7, 1}});
  ASSERT_EQ(states.sizes(), (at::IntArrayRef{2, 3, config.hidden_size}));
  const auto table = checkpoint.ReadFloats(Find(checkpoint.table(), Role::kEmbedding));
  const std::vector<float> row(table.begin() + 299 * config.hidden_size, table.begin() + 300 * config.hidden_size);
  EXPECT_TRUE(Near(Values(states[0][2]), row, Exact()));
  EXPECT_EQ(Logits(checkpoint, states).size(-1), config.vocab_size);
}

TEST(Embedding, RefusesIdsOutsideTheVocabulary) {
  TempDir directory;
  WriteTinyCheckpoint(directory / "m");
  const Checkpoint checkpoint = Checkpoint::Open(directory / "m");
  EXPECT_ERROR(Embed(checkpoint, {{1, 300}}), "token id 300 is outside the vocabulary of 300");
  EXPECT_ERROR(Embed(checkpoint, {{-1}}), "token id -1");
}

}  // namespace
}  // namespace ecld
