// The CUDA products on the GPU of this machine. Without one they are skipped, or fail where ECLD_REQUIRE_GPU is 1.

#include "kernels/gemm/cuda_gemm.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/cuda/graph.h"
#include "tests/testing/cuda_problem.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/gpu_test.h"

namespace ecld {
namespace {

struct Shape {
  int64_t m, n, k;
};

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

  // Every implementation that supports a product of this shape, in the formats given; the reference is worked out for
  // some of the rows where there are many.
  void Compare(const Shape& shape, std::initializer_list<int> all_bits, std::initializer_list<int64_t> groups,
               Which which) {
    const auto [m, n, k] = shape;
    std::vector<int64_t> rows;
    for (int64_t r = 0; r < m; r += std::max<int64_t>(1, m / 24)) rows.push_back(r);
    if (rows.back() != m - 1) rows.push_back(m - 1);
    uint64_t seed = 1;
    for (int bits : all_bits)
      for (int64_t group : groups)
        for (bool symmetric : {true, false})
          for (DType type : {DType::kF16, DType::kBF16}) {
            const PackedFormat format = {.bits = bits, .group_size = group, .symmetric = symmetric};
            CudaProblem problem(m, n, k, format, type, type, seed++);
            const std::vector<double> expected = problem.ExpectedRows(rows);
            for (const auto& implementation : CudaGemmImplementations()) {
              const std::string_view name = implementation.name;
              if ((name == "wgmma") != (which == Which::kWgmma)) continue;
              if (!implementation.unsupported(problem.args(), device_).empty()) continue;
              SCOPED_TRACE(fmt::format("{} m {} n {} k {} {} {}", name, m, n, k, format.Name(), Name(type)));
              problem.Poison();
              Run(problem, implementation);
              const std::vector<float> first = problem.Result();
              std::vector<float> some;
              for (int64_t r : rows) some.insert(some.end(), first.begin() + r * n, first.begin() + (r + 1) * n);
              // dequant_cublas rounds twice, the weights too.
              const double roundings = name == "dequant_cublas" ? 2 : 1;
              ASSERT_TRUE(Near(some, expected, Relative(roundings * problem.Bound().max_abs)));
              problem.Poison();
              Run(problem, implementation);
              ASSERT_EQ(problem.Result(), first) << "another run, other bits";
            }
          }
  }
};

constexpr std::pair<int64_t, int64_t> kOdd[] = {{1, 7}, {65, 130}, {200, 288}, {208, 200}, {100, 1000}};

TEST_F(GpuGemm, OddShapes) {
  for (int64_t m : {1, 2, 3, 8, 9, 17, 33, 48, 49, 193})
    for (auto [n, k] : kOdd) Compare({m, n, k}, {2, 3, 4, 8}, {32, 64, 128, 0}, Which::kAllButWgmma);
}

TEST_F(GpuGemm, WgmmaOddShapes) {
  for (int64_t m : {1, 33, 64, 65, 193})
    for (auto [n, k] : kOdd) Compare({m, n, k}, {2, 3, 4, 8}, {32, 64, 128, 0}, Which::kWgmma);
}

// Shapes on which others test their kernels: marlin/test.py, vLLM's test_machete_mm.py, test_marlin_gemm.py and
// test_marlin_tile_padding.py, example 55 of CUTLASS (whole groups and a part of one).
constexpr Shape kOthers[] = {
    {1, 512, 1024},   {64, 512, 1024},   {118, 512, 1024}, {152, 512, 1024}, {1024, 512, 1024}, {16, 512, 768},
    {16, 512, 832},   {16, 512, 896},    {16, 512, 64},    {16, 512, 128},   {16, 512, 192},    {16, 12288, 4096},
    {1, 128, 128},    {13, 8192, 4096},  {26, 4096, 8192}, {64, 4096, 4096}, {257, 128, 4096},  {257, 4224, 4160},
    {26, 2368, 1664}, {257, 3328, 1408}, {8, 200, 288},    {8, 256, 208},    {8, 200, 208},     {8, 4640, 512},
    {8, 4608, 4096},  {128, 128, 320},   {128, 128, 192},  {16, 576, 1536}};

TEST_F(GpuGemm, ShapesOfOthers) {
  for (const Shape& shape : kOthers) Compare(shape, {4}, {128}, Which::kAllButWgmma);
}

TEST_F(GpuGemm, WgmmaShapesOfOthers) {
  for (const Shape& shape : kOthers) Compare(shape, {4}, {128}, Which::kWgmma);
}

// Few and small, for tools that run a kernel many times slower.
constexpr Shape kSmall[] = {{1, 65, 130}, {9, 100, 200}, {40, 130, 576}};

TEST_F(GpuGemm, Sanitized) {
  for (const Shape& shape : kSmall) Compare(shape, {3, 4, 8}, {32, 128}, Which::kAllButWgmma);
}

TEST_F(GpuGemm, WgmmaSanitized) {
  for (const Shape& shape : kSmall) Compare(shape, {3, 4, 8}, {32, 128}, Which::kWgmma);
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
