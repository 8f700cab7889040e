#include "model/block_kernels.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "model/block.h"
#include "tests/testing/near.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

at::Tensor RandomStates(at::IntArrayRef shape, uint64_t seed = 3) {
  return at::randn(shape, at::detail::createCPUGenerator(seed));
}

double Difference(const at::Tensor& a, const at::Tensor& b) { return ((a - b).norm() / b.norm()).item<double>(); }

at::Tensor ThroughBf16(const at::Tensor& tensor) { return tensor.to(at::kBFloat16).to(at::kFloat); }

struct Case {
  Family family;
  DType dtype;
  double tolerance;  // relative: products of values rounded to bfloat16, or sums in another order
  RopeScaling::Kind rope = RopeScaling::Kind::kNone;
};

class KernelsOfFamily : public testing::TestWithParam<Case> {};

TEST_P(KernelsOfFamily, GiveWhatTorchGivesPartByPart) {
  TempDir directory;
  const ModelConfig config = WriteTinyCheckpoint(directory / "m", {.family = GetParam().family,
                                                                   .dtype = GetParam().dtype,
                                                                   .rope_scaling = GetParam().rope,
                                                                   .sliding_window = 5,
                                                                   .max_position = 64});
  const Checkpoint checkpoint = Checkpoint::Open(directory / "m");
  ThreadPool pool(1);
  BlockKernels kernels(config, pool);
  at::NoGradGuard no_grad;
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    const Block block = Block::Load(checkpoint, layer);
    for (int64_t tokens : {1, 12, 40, 100}) {  // 64 are the original length of those that have one
      const at::Tensor states = RandomStates({3, tokens, config.hidden_size});
      BlockInputs expected, inputs;
      const at::Tensor out = block.Forward(TorchOps(), states, &expected);
      EXPECT_LT(Difference(block.Forward(kernels, states, &inputs), out), GetParam().tolerance) << tokens;
      EXPECT_LT(Difference(inputs[Role::kQuery], expected[Role::kQuery]), GetParam().tolerance) << tokens;
      EXPECT_LT(Difference(inputs[Role::kOutput], expected[Role::kOutput]), GetParam().tolerance) << tokens;
      EXPECT_LT(Difference(inputs[Role::kGate], expected[Role::kGate]), GetParam().tolerance) << tokens;
      EXPECT_LT(Difference(inputs[Role::kDown], expected[Role::kDown]), GetParam().tolerance) << tokens;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, KernelsOfFamily,
    testing::Values(Case{Family::kGemma3, DType::kF32, 2e-6}, Case{Family::kLlama, DType::kF32, 2e-6},
                    Case{Family::kQwen2, DType::kF32, 2e-6}, Case{Family::kQwen3, DType::kF32, 2e-6},
                    Case{Family::kMistral, DType::kF32, 2e-6}, Case{Family::kLlama, DType::kBF16, 8e-3},
                    Case{Family::kQwen3, DType::kBF16, 8e-3},
                    Case{Family::kLlama, DType::kF32, 2e-6, RopeScaling::Kind::kYarn},
                    Case{Family::kLlama, DType::kF32, 2e-6, RopeScaling::Kind::kDynamic},
                    Case{Family::kLlama, DType::kF32, 2e-6, RopeScaling::Kind::kLongRope}));

TEST(BlockKernels, RefuseToTrain) {
  TempDir directory;
  const ModelConfig config = WriteTinyCheckpoint(directory / "m", {.dtype = DType::kBF16});
  ThreadPool pool(1);
  BlockKernels kernels(config, pool);
  Block block = Block::Load(Checkpoint::Open(directory / "m"), 0);
  const at::Tensor states = RandomStates({1, 4, config.hidden_size});
  const at::Tensor& weight = block.Parameter(Role::kQuery).requires_grad_();
  EXPECT_THROW(block.Forward(kernels, states), std::logic_error);
  block.Forward(TorchOps(), states).sum().backward();
  EXPECT_GT(weight.grad().norm().item<double>(), 0);
}

TEST(BlockKernels, AGramMatrixIsTheProductOfAllInputsWhateverTheirNumberOfPanels) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    ModelConfig config;
    config.dtype = dtype;
    ThreadPool pool(2);
    BlockKernels kernels(config, pool);
    for (int64_t features : {5, 512, 700}) {
      const at::Tensor inputs = RandomStates({2, 43, features});
      at::Tensor gram = at::zeros({features, features});
      kernels.AddGram(inputs.narrow(0, 0, 1), gram);
      kernels.AddGram(inputs.narrow(0, 1, 1), gram);
      at::Tensor flat = inputs.reshape({-1, features});
      if (dtype == DType::kBF16) flat = ThroughBf16(flat);
      EXPECT_LT(Difference(gram.tril(), flat.t().matmul(flat).tril()), 1e-6) << Name(dtype) << features;
    }
  }
}

}  // namespace
}  // namespace ecld
