// The CUDA products on the GPU of this machine. Without one they are skipped, or fail where ECLD_REQUIRE_GPU is 1.

#include "kernels/gemm/cuda/gemm.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "kernels/cuda/graph.h"
#include "tests/testing/cuda_problem.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/gemm_shapes.h"
#include "tests/testing/gpu_test.h"

namespace ecld {
namespace {

using Shape = GemmShape;

class GpuGemm : public GpuTest {
 protected:
  // Runs the product on the device and leaves y in the problem.
  void Run(CudaProblem& problem, const CudaGemmImplementation& implementation) {
    const CudaWeight& shape = problem.args().weight;
    CudaBuffer weight(problem.tiled_bytes()), x(problem.x_bytes()), y(problem.y_bytes()),
        workspace(CudaGemmWorkspace(shape.out_features, shape.in_features, problem.args().m, implementation.name));
    weight.Upload(problem.args().weight.codes, problem.tiled_bytes());
    x.Upload(problem.args().x, problem.x_bytes());
    y.Upload(problem.y(), problem.y_bytes());
    workspace.Upload(problem.args().workspace, std::min(workspace.size(), problem.workspace_bytes()));  // zeros
    CudaGemmArgs args = problem.args();
    args.weight = CudaTiled(problem.rows(), weight.data());
    args.x = x.data();
    args.y = y.data();
    args.workspace = workspace.data();
    implementation.run(args, nullptr);
    y.Download(problem.y(), problem.y_bytes());
  }

  enum class Which { kAllButWgmma, kWgmma };

  // Every implementation that supports a product of this shape, in the formats given. For matrices of many weights,
  // whose reference takes long, one format and fewer rows.
  void Compare(const Shape& shape, std::span<const int> all_bits, std::span<const int64_t> groups, Which which) {
    const auto [m, n, k] = shape;
    const bool large = n * k > kLarge;
    uint64_t seed = 1;
    for (int bits : all_bits)
      for (int64_t group : groups)
        for (bool symmetric : {true, false})
          for (DType type : {DType::kF16, DType::kBF16}) {
            if (large && (symmetric || type == DType::kF16 || bits != all_bits.front() || group != groups.back()))
              continue;
            const PackedFormat format = {.bits = bits, .group_size = group, .symmetric = symmetric};
            CudaProblem problem(m, n, k, format, type, type, seed++);
            Compare(problem, which, RowsToSee(m, large ? 3 : 24));
          }
  }

  void Compare(CudaProblem& problem, Which which, const std::vector<int64_t>& rows) {
    const int64_t n = problem.rows().out_features;
    const std::vector<double> expected = problem.ExpectedRows(rows);
    for (const auto& implementation : CudaGemmImplementations()) {
      const std::string_view name = implementation.name;
      if ((name == "wgmma") != (which == Which::kWgmma)) continue;
      if (!implementation.unsupported(problem.args(), device_).empty()) continue;
      SCOPED_TRACE(fmt::format("{} m {} n {} k {} {} {}{}", name, problem.args().m, n, problem.rows().in_features,
                               problem.rows().format.Name(), Name(problem.args().type),
                               problem.args().wide_y ? " to floats" : ""));
      problem.Poison();
      Run(problem, implementation);
      const std::vector<float> first = problem.Result();
      std::vector<float> some;
      for (int64_t r : rows) some.insert(some.end(), first.begin() + r * n, first.begin() + (r + 1) * n);
      // dequant_cublas rounds the weights too.
      const Tolerance bound = name == "dequant_cublas" ? Relative(2 * problem.Rounding()) : problem.Bound();
      ASSERT_TRUE(Near(some, expected, bound));
      problem.Poison();
      Run(problem, implementation);
      ASSERT_EQ(problem.Result(), first) << "another run, other bits";
    }
  }

  // Of m rows about so many, the first and the last among them.
  static std::vector<int64_t> RowsToSee(int64_t m, int64_t count) {
    std::vector<int64_t> rows;
    for (int64_t r = 0; r < m; r += std::max<int64_t>(1, m / count)) rows.push_back(r);
    if (rows.back() != m - 1) rows.push_back(m - 1);
    return rows;
  }

  static constexpr int64_t kLarge = int64_t{1} << 24;  // weights
  static constexpr std::array<int, 4> kBits = {2, 3, 4, 8};
  static constexpr std::array<int64_t, 4> kGroups = {32, 64, 128, 0};
};

constexpr std::pair<int64_t, int64_t> kOdd[] = {{1, 7}, {65, 130}, {200, 288}, {208, 200}, {100, 1000}};

TEST_F(GpuGemm, OddShapes) {
  for (int64_t m : {1, 2, 3, 8, 9, 17, 33, 48, 49, 193})
    for (auto [n, k] : kOdd) Compare({m, n, k}, kBits, kGroups, Which::kAllButWgmma);
}

TEST_F(GpuGemm, WgmmaOddShapes) {
  for (int64_t m : {1, 33, 64, 65, 193})
    for (auto [n, k] : kOdd) Compare({m, n, k}, kBits, kGroups, Which::kWgmma);
}

// Shapes on which others test their kernels.
struct Others {
  const char* of;
  std::vector<int> bits;
  std::vector<int64_t> groups;
  std::vector<Shape> shapes;
};

std::vector<Others> ShapesOfOthers() {
  std::vector<Others> all;
  Others tiles{"marlin/test.py, tiles, stages and errors of K", {4}, {0, 128}, {}};
  for (int64_t m : {1, 2, 3, 4, 8, 12, 16, 24, 32, 48, 64, 118, 128, 152, 768, 1024})
    tiles.shapes.push_back({m, 512, 1024});
  for (int64_t k : {768, 832, 896, 64, 128, 192}) tiles.shapes.push_back({16, 512, k});
  all.push_back(tiles);
  all.push_back({"marlin/test.py, groups", {4}, {128}, {{16, 256, 512}, {16, 256, 1024}, {16, 32768, 1024}}});
  Others llama{"marlin/test.py, layers of Llama 7B", {4}, {128}, {}};
  for (int64_t m : {1, 16})
    for (auto [k, n] : {std::pair{4096, 12288}, {4096, 4096}, {4096, 21504}, {10752, 4096}})
      llama.shapes.push_back({m, n, k});
  all.push_back(llama);
  all.push_back({"vLLM's test_machete_mm.py", {4, 8}, {0, 128}, kMacheteShapes});
  Others marlin{"vLLM's test_marlin_gemm.py", {4, 8}, {0, 32, 64, 128}, {}};
  for (auto [m, n, k] : {Shape{1, 1, 1}, {1, 4, 8}, {26, 37, 13}, {257, 13, 11}})
    for (int64_t chunk : {64, 256}) marlin.shapes.push_back({m, n * chunk, k * 128});
  all.push_back(marlin);
  Others padding{"vLLM's test_marlin_tile_padding.py", {4, 8}, {0, 32, 64, 128}, {}};
  for (auto [n, k] :
       {std::pair{200, 288}, {256, 208}, {200, 208}, {4640, 512}, {64, 128}, {128, 64}, {256, 256}, {4608, 4096}})
    padding.shapes.push_back({8, n, k});
  for (int64_t inner : {64, 96, 100, 176, 192, 256, 2816}) {
    padding.shapes.push_back({8, inner, 256});
    padding.shapes.push_back({8, 256, inner});
  }
  all.push_back(padding);
  all.push_back(
      {"CUTLASS, example 55", {4, 8}, {0, 256, 512}, {{2048, 2048, 2048}, {4096, 5120, 8192}, {2048, 5120, 8192}}});
  all.push_back({"CUTLASS, example 55, a part of a group", {4, 8}, {128}, {{128, 128, 320}, {128, 128, 192}}});
  return all;
}

TEST_F(GpuGemm, ShapesOfOthers) {
  for (const Others& others : ShapesOfOthers()) {
    SCOPED_TRACE(others.of);
    for (const Shape& shape : others.shapes) Compare(shape, others.bits, others.groups, Which::kAllButWgmma);
  }
}

TEST_F(GpuGemm, WgmmaShapesOfOthers) {
  for (const Others& others : ShapesOfOthers()) {
    SCOPED_TRACE(others.of);
    for (const Shape& shape : others.shapes) Compare(shape, others.bits, others.groups, Which::kWgmma);
  }
}

// As a decoder asks for them, which rounds later.
TEST_F(GpuGemm, FloatResults) {
  for (int64_t m : {1, 2, 5, 64, 200})
    for (DType type : {DType::kF16, DType::kBF16})
      for (int bits : kBits) {
        CudaProblem problem(m, 200, 330, {.bits = bits, .group_size = 64}, type, DType::kF16, 8);
        problem.Widen();
        Compare(problem, Which::kAllButWgmma, RowsToSee(m, 24));
      }
}

TEST_F(GpuGemm, WgmmaFloatResults) {
  for (int64_t m : {33, 65, 200}) {
    CudaProblem problem(m, 200, 330, {.bits = 4, .group_size = 64}, DType::kBF16, DType::kF16, 8);
    problem.Widen();
    Compare(problem, Which::kWgmma, RowsToSee(m, 24));
  }
}

// Few and small, for tools that run a kernel many times slower.
constexpr Shape kSmall[] = {{1, 65, 130}, {9, 100, 200}, {40, 130, 576}};
constexpr int kSmallBits[] = {3, 4, 8};
constexpr int64_t kSmallGroups[] = {32, 128};

TEST_F(GpuGemm, Sanitized) {
  for (const Shape& shape : kSmall) Compare(shape, kSmallBits, kSmallGroups, Which::kAllButWgmma);
}

TEST_F(GpuGemm, WgmmaSanitized) {
  for (const Shape& shape : kSmall) Compare(shape, kSmallBits, kSmallGroups, Which::kWgmma);
}

// The row of a batch has the bits it has alone, over all sizes of block and launch.
TEST_F(GpuGemm, InvariantRows) {
  const PackedFormat format = {.bits = 4, .group_size = 64, .symmetric = false};
  const int64_t n = 300, k = 1000;
  const CudaGemmImplementation* mma = nullptr;
  for (const auto& implementation : CudaGemmImplementations())
    if (implementation.invariant) mma = &implementation;
  ASSERT_NE(mma, nullptr);
  CudaProblem one(1, n, k, format, DType::kBF16, DType::kF16, 9);
  for (int64_t m : {1, 8, 9, 17, 40, 200}) {
    CudaProblem batch(m, n, k, format, DType::kBF16, DType::kF16, 9);
    for (int64_t i = 0; i < k; ++i)
      for (CudaProblem* problem : {&batch, &one})
        problem->SetX(problem->args().m - 1, i, std::sin(static_cast<float>(i)));
    Run(batch, *mma);
    Run(one, *mma);
    const std::vector<float> all = batch.Result();
    EXPECT_EQ(std::vector<float>(all.end() - n, all.end()), one.Result()) << "m " << m;
  }
}

// Products captured in a graph, one after the other on one workspace, give what they give alone.
TEST_F(GpuGemm, GraphsOfProducts) {
  CudaProblem problem(5, 4096, 1024, {.bits = 4}, DType::kBF16, DType::kF16, 10);
  const CudaGemmImplementation& mma = CudaGemmImplementations()[1];
  Run(problem, mma);
  const std::vector<float> expected = problem.Result();
  CudaBuffer weight(problem.tiled_bytes()), x(problem.x_bytes()), y(problem.y_bytes()),
      workspace(problem.workspace_bytes());
  weight.Upload(problem.args().weight.codes, problem.tiled_bytes());
  x.Upload(problem.args().x, problem.x_bytes());
  workspace.Upload(problem.args().workspace, problem.workspace_bytes());
  CudaGemmArgs args = problem.args();
  args.weight = CudaTiled(problem.rows(), weight.data());
  args.x = x.data();
  args.y = y.data();
  args.workspace = workspace.data();
  CudaGraph graph;
  graph.Record([&](CudaStream stream) {
    for (int i = 0; i < 5; ++i) CudaGemm(args, device_, stream, "mma");
  });
  problem.Poison();
  y.Upload(problem.y(), problem.y_bytes());
  EXPECT_GT(graph.TimeMs(), 0);
  y.Download(problem.y(), problem.y_bytes());
  EXPECT_EQ(problem.Result(), expected);
}

TEST_F(GpuGemm, WhatIsNotSupportedIsSaid) {
  CudaProblem problem(3, 16, 64, {.bits = 4, .group_size = 32}, DType::kF16, DType::kF16, 1);
  EXPECT_ERROR(CudaGemm(problem.args(), device_, nullptr, "gemv"), "3 rows of x, at most 2");
  EXPECT_ERROR(CudaGemm(problem.args(), device_, nullptr, "gemw"),
               "no CUDA matrix product is named \"gemw\" (did you mean gemv?)");
}

}  // namespace
}  // namespace ecld
