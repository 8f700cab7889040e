#include "model/statistics.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "model/block_walker.h"
#include "model/embedding.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"
#include "tests/testing/small_layer.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

class Statistics : public testing::Test {
 protected:
  void Write(const TinyOptions& options, int64_t windows = 3) {
    model_ = directory_.path() / std::to_string(cases_++);
    WriteTinyCheckpoint(model_, options);
    in_.emplace(Checkpoint::Open(model_));
    windows_ = RandomWindows(windows, 12, in_->config().vocab_size);
    context_.pool = &pool_;
    context_.calibration = &windows_;
    context_.statistics = model_.string() + ".statistics";
  }
  // Log-probabilities in double of the model with a linear of block 0 changed.
  at::Tensor LogProbabilities(Role role, const at::Tensor& change) {
    at::NoGradGuard no_gradients;
    at::Tensor states = Embed(*in_, windows_.windows);
    for (int64_t layer = 0; layer < in_->config().num_layers; ++layer) {
      Block block = Block::Load(*in_, layer);
      if (layer == 0 && change.defined()) block.Parameter(role) = block.Parameter(role) + change;
      AdvanceStates(TorchOps(), block, states);
    }
    return at::log_softmax(Logits(*in_, states).to(at::kDouble), -1);
  }
  std::map<std::string, std::string> Files() {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(context_.statistics))
      if (entry.is_regular_file()) files[entry.path().filename()] = ReadFile(entry.path());
    return files;
  }

  TempDir directory_;
  int cases_ = 0;
  fs::path model_;
  std::optional<Checkpoint> in_;
  TokenWindows windows_;
  ThreadPool pool_{1};
  PassContext context_;
};

// Over many draws (sum_t g E x)^2 / 2 is what a small change E adds to the KL: the Fisher information is its second
// derivative, and its first is zero.
TEST_F(Statistics, GradientsOfTheModelsOwnDrawsAreTheCurvatureOfTheKl) {
  Write({.family = Family::kQwen3}, 4);
  at::manual_seed(1);
  const at::Tensor before = LogProbabilities(Role::kQuery, {});
  std::map<Role, at::Tensor> changes;
  std::map<Role, double> measured, found;
  for (Role role : kBlockLinears) {
    const at::Tensor weights = Block::Load(*in_, 0).Parameter(role);
    changes[role] = 0.02 * at::randn_like(weights) * weights.square().mean().sqrt();
    measured[role] = (before.exp() * (before - LogProbabilities(role, changes[role]))).sum().item<double>();
  }
  fs::create_directories(context_.statistics);
  GradientWalk walk{.scratch = context_.statistics};
  walk.body = [&](const Block& block, const BlockGradients& batch) {
    if (block.layer() != 0) return;
    for (const auto& [role, change] : changes) {
      const at::Tensor moved = at::linear(batch.inputs[role], change) * batch.gradients.at(role);
      found[role] += moved.sum(at::IntArrayRef{1, 2}).square().sum().item<double>() / 2;
    }
  };
  walk.done = [](const Block&) {};
  constexpr int kDraws = 150;
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    walk.seed = draw;
    WalkGradients(*in_, windows_, walk, pool_);
  }
  for (Role role : kBlockLinears) EXPECT_NEAR(found[role] / kDraws / measured[role], 1, 0.2) << static_cast<int>(role);
}

TEST_F(Statistics, AreTheMomentsOfTheGradients) {
  Write({.dtype = DType::kBF16, .tied = true});
  const OutputStatistics statistics(*in_, context_);
  std::map<std::string, at::Tensor> moments, energies;
  GradientWalk walk{.seed = context_.seed ^ OutputStatistics::kSeed, .scratch = context_.statistics};
  walk.body = [&](const Block& block, const BlockGradients& batch) {
    for (const auto& [role, gradient] : batch.gradients) {
      const at::Tensor rows = gradient.flatten(0, 1);
      moments[Find(in_->table(), role, block.layer()).name] = rows.t().matmul(rows) / rows.size(0);
      at::Tensor& energy = energies[fmt::format("{} {}", block.layer(), GroupIndex(role))];
      energy = gradient.square().sum(-1) + (energy.defined() ? energy : at::zeros({1}));
    }
  };
  walk.done = [](const Block&) {};
  const EndGradients ends = WalkGradients(*in_, windows_, walk, pool_);
  for (const TensorSpec& spec : in_->table()) {
    if (!spec.matrix() || spec.layer < 0) continue;
    const at::Tensor& expected = moments.at(spec.name);
    const at::Tensor found = statistics.Moments(spec, 0);  // sums are of values rounded to bfloat16
    EXPECT_LT(((found - expected).norm() / expected.norm()).item<double>(), 0.01) << spec.name;
    EXPECT_TRUE(at::equal(found, found.t()));
    const at::Tensor energy = energies.at(fmt::format("{} {}", spec.layer, GroupIndex(spec.role)));
    EXPECT_TRUE(
        Near(Floats(statistics.TokenWeights(spec.role, spec.layer)), Floats(energy / energy.mean()), Relative(1e-5)));
  }
  const at::Tensor entering = ends.entering.flatten(0, 1);
  const at::Tensor expected = entering.t().matmul(entering) / entering.size(0);
  EXPECT_LT(((statistics.EmbeddingMoments() - expected).norm() / expected.norm()).item<double>(), 0.01);
  EXPECT_NEAR(statistics.TokenProbabilities().sum().item<double>(), 1, 1e-4);
}

TEST_F(Statistics, GoOnWhereAKillLeftThemAndAreReadWhenTheyAreThere) {
  Write({.dtype = DType::kBF16});
  { const OutputStatistics made(*in_, context_); }
  const auto whole = Files();
  EXPECT_EQ(whole.size(), static_cast<size_t>(in_->config().num_layers + 1)) << "and no states of the walk";
  const fs::path directory = fs::directory_iterator(context_.statistics)->path();
  fs::remove(directory / "block-0.moments");
  fs::remove(directory / "embedding.moments");
  const auto kept = fs::last_write_time(directory / "block-1.moments");
  { const OutputStatistics again(*in_, context_); }
  EXPECT_EQ(Files(), whole);
  EXPECT_EQ(fs::last_write_time(directory / "block-1.moments"), kept);
  // Damaged: made again.
  std::fstream(directory / "block-0.moments", std::ios::in | std::ios::out | std::ios::binary).seekp(5000).put('x');
  { const OutputStatistics again(*in_, context_); }
  EXPECT_EQ(Files(), whole);
}

TEST_F(Statistics, OfAnotherModelTextOrSeedAreNotRead) {
  Write({.dtype = DType::kBF16});
  const fs::path directory = context_.statistics;
  const auto folders = [&] { return std::distance(fs::directory_iterator(directory), fs::directory_iterator()); };
  { const OutputStatistics made(*in_, context_); }
  EXPECT_EQ(folders(), 1);
  context_.seed = 1;
  { const OutputStatistics made(*in_, context_); }
  EXPECT_EQ(folders(), 2);
  windows_.windows[0][0] ^= 1;
  { const OutputStatistics made(*in_, context_); }
  EXPECT_EQ(folders(), 3);
  Write({.seed = 99, .dtype = DType::kBF16});
  context_.statistics = directory;
  { const OutputStatistics made(*in_, context_); }
  EXPECT_EQ(folders(), 4);
}

}  // namespace
}  // namespace ecld
