// The CUDA product of wgmma, whole, on the executor: every format, odd shapes, any split, any order of threads.

#include "kernels/gemm/cuda/wgmma.h"

#include <fmt/format.h>

#include "kernels/gemm/cuda/gemm.h"
#include "tests/testing/cuda_problem.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/gpu_hopper.h"

namespace ecld {
namespace {

template <int kBits, DType kType, int kQuads>
void LaunchRows(GpuExecutor& gpu, const cuda::Product& product, bool backwards) {
  const GpuGrid grid = {(product.tiles_n + 1) / 2, product.splits, (product.m + 8 * kQuads - 1) / (8 * kQuads)};
  const cuda::TensorBox x = cuda::XBox(product, kType, 8 * kQuads);
  const auto body = [&](HopperThread& machine) { cuda::WgmmaBody<kBits, kType, kQuads>(machine, product, x); };
  gpu.Launch<HopperThread>(grid, cuda::WgmmaSharedBytes(kBits, kQuads), body, backwards);
}

void RunWgmma(CudaProblem& problem, int splits = 0, bool backwards = false) {
  GpuExecutor gpu(cuda::kWgmmaThreads);
  CudaGemmArgs args = problem.args();
  args.splits = splits;
  gpu.memory.Readable(args.weight.codes, problem.tiled_bytes());
  gpu.memory.Readable(args.x, problem.x_bytes());
  gpu.memory.Writable(problem.y(), problem.y_bytes());
  gpu.memory.Writable(args.workspace, problem.workspace_bytes());
  gpu.memory.AfterPrevious(args.x, problem.x_bytes());
  gpu.memory.AfterPrevious(problem.y(), problem.y_bytes());
  gpu.memory.AfterPrevious(args.workspace, problem.workspace_bytes());
  const cuda::Product product = cuda::MakeWgmmaProduct(args);
  cuda::WithFormat(problem.rows().format.bits, args.type, [&](auto bits, auto type) {
    constexpr int kBits = decltype(bits)::value;
    constexpr DType kType = decltype(type)::value;
    cuda::WgmmaRows(product.m) == 64 ? LaunchRows<kBits, kType, 8>(gpu, product, backwards)
                                     : LaunchRows<kBits, kType, 16>(gpu, product, backwards);
  });
}

struct Case {
  int bits;
  DType type;
  int64_t group_size;
};

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  return fmt::format("W{}{}G{}", info.param.bits, Name(info.param.type), info.param.group_size);
}
void PrintTo(const Case& c, std::ostream* out) { *out << CaseName({c, 0}); }

class CudaWgmma : public testing::TestWithParam<Case> {
 protected:
  static PackedFormat Format(bool symmetric) {
    return {.bits = GetParam().bits, .group_size = GetParam().group_size, .symmetric = symmetric};
  }
};

TEST_P(CudaWgmma, AgreesWithDoublePrecision) {
  uint64_t seed = 1;
  for (bool symmetric : {true, false})
    for (auto [m, n, k] : {std::array<int64_t, 3>{1, 1, 7}, {33, 70, 97}, {64, 130, 576}, {70, 17, 200}}) {
      const DType scales = seed % 2 ? DType::kF16 : DType::kBF16;
      SCOPED_TRACE(fmt::format("m {} n {} k {} {}", m, n, k, Format(symmetric).Name()));
      CudaProblem problem(m, n, k, Format(symmetric), GetParam().type, scales, seed++);
      RunWgmma(problem, 0, seed % 2 == 0);
      ASSERT_TRUE(Near(problem.Result(), problem.Expected(), problem.Bound()));
    }
}

TEST_P(CudaWgmma, FloatsAreNotRounded) {
  CudaProblem problem(35, 70, 97, Format(false), GetParam().type, DType::kF16, 7);
  problem.Widen();
  RunWgmma(problem);
  EXPECT_TRUE(Near(problem.Result(), problem.Expected(), problem.Bound()));
}

TEST_P(CudaWgmma, OneHotRowsAreTheWeights) {
  CudaProblem problem(40, 66, 200, Format(false), GetParam().type, DType::kF16, 2);
  const int64_t k = 200, n = 66;
  for (int64_t r = 0; r < 40; ++r)
    for (int64_t i = 0; i < k; ++i) problem.SetX(r, i, i == (r * 37 + 61) % k ? 1.0f : 0.0f);
  RunWgmma(problem);
  const std::vector<float> result = problem.Result();
  std::vector<float> weight(static_cast<size_t>(k));
  for (int64_t o = 0; o < n; ++o) {
    ReadRow(problem.rows(), o, weight.data());
    for (int64_t r = 0; r < 40; ++r) {
      std::byte rounded[2];
      float expected = weight[static_cast<size_t>((r * 37 + 61) % k)];
      FromFloat(problem.args().type, &expected, 1, rounded);
      ToFloat(problem.args().type, rounded, 1, &expected);
      ASSERT_EQ(result[static_cast<size_t>(r * n + o)], expected) << "row " << r << " output " << o;
    }
  }
}

// More tiles than stages, in one to as many parts as there are tiles; in any order, the same bits, and a workspace
// serves again.
TEST_P(CudaWgmma, SplitsAreAddedInTheirOrder) {
  CudaProblem problem(34, 40, 832, Format(true), GetParam().type, DType::kBF16, 4);
  const std::vector<double> expected = problem.Expected();
  for (int splits : kSanitized ? std::vector<int>{2, 13} : std::vector<int>{1, 2, 3, 13, 100}) {
    if (splits * 128 * 64 * 4 > static_cast<int>(problem.workspace_bytes())) continue;
    SCOPED_TRACE(splits);
    problem.Poison();
    RunWgmma(problem, splits);
    const std::vector<float> first = problem.Result();
    ASSERT_TRUE(Near(first, expected, problem.Bound()));
    problem.Poison();
    RunWgmma(problem, splits, true);
    ASSERT_EQ(problem.Result(), first);
  }
}

TEST_P(CudaWgmma, NanStaysInItsRow) {
  CudaProblem problem(36, 20, 130, Format(true), GetParam().type, DType::kF16, 4);
  problem.SetX(35, 129, NAN);
  RunWgmma(problem);
  const std::vector<float> result = problem.Result();
  for (size_t i = 0; i < result.size(); ++i) EXPECT_EQ(std::isnan(result[i]), i >= 35 * 20) << i;
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (int bits : {2, 3, 4, 8})
    for (DType type : {DType::kF16, DType::kBF16})
      for (int64_t group_size : CudaGroups(type)) cases.push_back({bits, type, group_size});
  return cases;
}
INSTANTIATE_TEST_SUITE_P(, CudaWgmma, testing::ValuesIn(Cases()), CaseName);

TEST(CudaWgmmaLarge, AgreesWithDoublePrecision) {
  for (DType type : {DType::kF16, DType::kBF16}) {
    CudaProblem problem(64, 512, 1024, {.bits = 4, .group_size = 128, .symmetric = false}, type, type, 5);
    RunWgmma(problem);
    EXPECT_TRUE(Near(problem.Result(), problem.Expected(), problem.Bound()));
    EXPECT_LT(problem.RelativeNorm(), type == DType::kF16 ? 5e-4 : 3e-3);
  }
}

TEST(CudaWgmmaLarge, TwoBlocksOfRows) {
  CudaProblem problem(130, 200, 320, {.bits = 4, .group_size = 128}, DType::kBF16, DType::kBF16, 6);
  RunWgmma(problem);
  EXPECT_TRUE(Near(problem.Result(), problem.Expected(), problem.Bound()));
}

TEST(CudaWgmmaPlan, SplitsFillADeviceOnce) {
  EXPECT_EQ(cuda::WgmmaSplits(64, 64, 64, 0), 4);  // 32 blocks of 4096 x 4096
  EXPECT_EQ(cuda::WgmmaSplits(64, 16, 64, 0), 2);  // at least 8 tiles in a part
  EXPECT_EQ(cuda::WgmmaSplits(448, 64, 64, 0), 1);
  EXPECT_EQ(cuda::WgmmaSplits(64, 64, 4096, 0), 1);
  EXPECT_EQ(cuda::WgmmaSplits(1, 3, 64, 100), 3);  // no part without a tile
  EXPECT_EQ(cuda::WgmmaSplits(1 << 20, 64, 64, 4), 1);
  for (int64_t tiles_n : {1, 3, 64, 65, 131, 132, 300})
    for (int64_t m : {1, 64, 65, 128, 129, 1000}) {
      const int64_t rows = cuda::WgmmaRows(m), blocks = (tiles_n + 1) / 2 * ((m + rows - 1) / rows);
      const int64_t splits = cuda::WgmmaSplits(tiles_n, 1 << 10, m, 0);
      const auto parts = static_cast<uint64_t>(splits * blocks * 128 * rows * 4);
      if (splits == 1) continue;  // no parts
      EXPECT_LE(parts, CudaGemmWorkspace(tiles_n * 64, 1 << 16, m, "wgmma"));
    }
}

TEST(CudaWgmmaPlan, SharedMemoryFits) {
  for (int bits : {2, 3, 4, 8})
    for (int quads : {8, 16}) {
      EXPECT_LE(cuda::WgmmaSharedBytes(bits, quads), 227u << 10);
      EXPECT_EQ(cuda::WgmmaStageBytes(bits, quads) % 1024, 0u);
    }
}

TEST(CudaWgmmaPlan, OtherDevicesAreTold) {
  CudaProblem problem(40, 64, 64, {.bits = 4}, DType::kBF16, DType::kF16, 1);
  const CudaDevice device = {.name = "A GPU", .compute_capability = 120};
  const auto named = [&](std::string_view name) { return ChooseCudaGemm(problem.args(), device, name); };
  if (!BuiltWithCuda()) {
    EXPECT_ERROR(named("wgmma"), "built without CUDA");
    return;
  }
  EXPECT_ERROR(named("wgmma"),
               "wgmma does not support this: A GPU has compute capability 12.0; this one is for 9.0 alone");
  EXPECT_STREQ(named("").implementation->name, "mma");
  for (const char* name : {"", "gemv", "mma", "dequant_cublas", "wgmma"})
    EXPECT_ERROR(ChooseCudaGemm(problem.args(), {.name = "Tesla T4", .compute_capability = 75}, name),
                 "does not support");
  EXPECT_ERROR(ChooseCudaGemm(problem.args(), {.name = "Tesla T4", .compute_capability = 75}),
               "Tesla T4 has compute capability 7.5; the kernels need 8.0 or later");
  CudaGemmArgs args = problem.args();
  args.invariant = true;
  EXPECT_STREQ(ChooseCudaGemm(args, device).implementation->name, "mma");
  EXPECT_ERROR(ChooseCudaGemm(args, {.name = "H200", .compute_capability = 90}, "wgmma"),
               "wgmma does not support this: the bits of its rows depend on how many there are");
  args.m = 1;
  EXPECT_STREQ(ChooseCudaGemm(args, device).implementation->name, "mma");
  args.invariant = false;
  EXPECT_STREQ(ChooseCudaGemm(args, device).implementation->name, "gemv");
  // A y of floats.
  args.wide_y = true;
  EXPECT_STREQ(ChooseCudaGemm(args, device).implementation->name, "gemv");
  args.m = 5000;
  EXPECT_STREQ(ChooseCudaGemm(args, {.name = "H200", .compute_capability = 90}, "wgmma").implementation->name, "wgmma");
}

// Without cuBLAS what dispatch names is replaced, and the choice says so.
TEST(CudaWgmmaPlan, WhatCannotRunIsReplacedInTheOpen) {
  if (!BuiltWithCuda() || FindCudaDevice()) GTEST_SKIP() << "needs a build with CUDA on a machine without a GPU";
  CudaProblem problem(1000, 16, 32, {.bits = 4, .group_size = 32}, DType::kBF16, DType::kF16, 1);
  const CudaGemmChoice choice = ChooseCudaGemm(problem.args(), {.name = "A GPU", .compute_capability = 90});
  EXPECT_STREQ(choice.implementation->name, "mma");
  EXPECT_TRUE(choice.instead_of.starts_with("dequant_cublas: ")) << choice.instead_of;
}

}  // namespace
}  // namespace ecld
