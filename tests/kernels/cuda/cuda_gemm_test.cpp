// The CUDA products, whole, on the executor. What they do on a GPU is tests/gpu.

#include "kernels/gemm/cuda/gemm.h"

#include <fmt/format.h>

#include <array>

#include "tests/testing/cuda_problem.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/host_gpu.h"

namespace ecld {
namespace {

using Kernel = HostGpu::Product;

void RunKernel(Kernel kernel, CudaProblem& problem, bool backwards = false) {
  HostGpu gpu;
  gpu.memory.Readable(problem.args().weight.codes, problem.tiled_bytes());
  gpu.memory.Readable(problem.args().x, problem.x_bytes());
  gpu.memory.Writable(problem.y(), problem.y_bytes());
  gpu.memory.Writable(problem.args().workspace, problem.workspace_bytes());
  // The kernels may start before the one ahead of them has ended.
  gpu.memory.AfterPrevious(problem.args().x, problem.x_bytes());
  gpu.memory.AfterPrevious(problem.y(), problem.y_bytes());
  gpu.memory.AfterPrevious(problem.args().workspace, problem.workspace_bytes());
  gpu.Run(problem.args(), kernel, backwards);
}

struct Shape {
  int64_t m, n, k;
};

struct Case {
  Kernel kernel;
  int bits;
  DType type;
  int64_t group_size = 128;
};

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return fmt::format("{}W{}{}G{}", c.kernel == Kernel::kGemv ? "Gemv" : "Mma", c.bits, Name(c.type), c.group_size);
}

void PrintTo(const Case& c, std::ostream* out) { *out << CaseName({c, 0}); }

class CudaProducts : public testing::TestWithParam<Case> {
 protected:
  // Calls body(problem) for the symmetric and the asymmetric format over these shapes.
  template <class Body>
  void ForEach(std::span<const Shape> shapes, const Body& body) {
    uint64_t seed = 1;
    for (bool symmetric : {true, false})
      for (const Shape& shape : shapes) {
        if (GetParam().kernel == Kernel::kGemv && shape.m > 2) continue;
        const PackedFormat format = Format(symmetric);
        const DType scales = seed % 2 ? DType::kF16 : DType::kBF16;
        SCOPED_TRACE(
            fmt::format("m {} n {} k {} {} scales {}", shape.m, shape.n, shape.k, format.Name(), Name(scales)));
        CudaProblem problem(shape.m, shape.n, shape.k, format, GetParam().type, scales, seed++);
        body(problem);
      }
  }
  static PackedFormat Format(bool symmetric) {
    return {.bits = GetParam().bits, .group_size = GetParam().group_size, .symmetric = symmetric};
  }
};

TEST_P(CudaProducts, AgreeWithDoublePrecision) {
  const Shape shapes[] = {{1, 1, 7},   {1, 64, 64},  {2, 17, 33},  {1, 100, 200}, {2, 65, 576},
                          {5, 63, 96}, {9, 66, 130}, {17, 16, 72}, {33, 70, 65},  {2, 40, 641}};
  ForEach(shapes, [](CudaProblem& problem) {
    RunKernel(GetParam().kernel, problem);
    ASSERT_TRUE(Near(problem.Result(), problem.Expected(), problem.Bound()));
  });
}

// A row with a single 1 picks one weight of each output, exactly.
TEST_P(CudaProducts, OneHotRowsAreTheWeights) {
  const Shape shapes[] = {{2, 66, 200}, {11, 20, 97}};
  ForEach(shapes, [](CudaProblem& problem) {
    const int64_t k = problem.rows().in_features, n = problem.rows().out_features;
    std::vector<float> weight(static_cast<size_t>(k));
    for (int64_t r = 0; r < problem.args().m; ++r)
      for (int64_t i = 0; i < k; ++i) problem.SetX(r, i, i == (r * 37 + 61) % k ? 1.0f : 0.0f);
    RunKernel(GetParam().kernel, problem);
    const std::vector<float> result = problem.Result();
    for (int64_t o = 0; o < n; ++o) {
      ReadRow(problem.rows(), o, weight.data());
      for (int64_t r = 0; r < problem.args().m; ++r) {
        float expected = weight[static_cast<size_t>((r * 37 + 61) % k)];
        std::byte rounded[2];
        FromFloat(problem.args().type, &expected, 1, rounded);
        ToFloat(problem.args().type, rounded, 1, &expected);
        ASSERT_EQ(result[static_cast<size_t>(r * n + o)], expected) << "row " << r << " output " << o;
      }
    }
  });
}

// The order in which blocks and threads run changes no bit, and a workspace serves again.
TEST_P(CudaProducts, SameBitsInAnyOrder) {
  const Shape shapes[] = {{2, 40, 832}, {7, 33, 576}};
  ForEach(shapes, [](CudaProblem& problem) {
    RunKernel(GetParam().kernel, problem);
    const std::vector<float> first = problem.Result();
    problem.Poison();
    RunKernel(GetParam().kernel, problem, true);
    ASSERT_EQ(problem.Result(), first);
  });
}

// The row of a batch has the bits it has alone.
TEST_P(CudaProducts, RowsDoNotDependOnTheBatch) {
  const PackedFormat format = Format(true);
  const int64_t k = 700, n = 24;
  for (int64_t m : {2, 10, 30, 50}) {
    if (GetParam().kernel == Kernel::kGemv && m > 2) continue;
    CudaProblem batch(m, n, k, format, GetParam().type, DType::kBF16, 3),
        one(1, n, k, format, GetParam().type, DType::kBF16, 3);
    for (int64_t i = 0; i < k; ++i)
      for (CudaProblem* problem : {&batch, &one})
        problem->SetX(problem->args().m - 1, i, std::sin(static_cast<float>(i)));
    RunKernel(GetParam().kernel, batch);
    RunKernel(GetParam().kernel, one);
    const std::vector<float> all = batch.Result();
    EXPECT_EQ(std::vector<float>(all.end() - n, all.end()), one.Result()) << "m " << m;
  }
}

// What is to be rounded later comes as the sums.
TEST_P(CudaProducts, FloatsAreNotRounded) {
  const Shape shapes[] = {{2, 66, 200}, {11, 20, 97}};
  ForEach(shapes, [](CudaProblem& problem) {
    problem.Widen();
    RunKernel(GetParam().kernel, problem);
    ASSERT_TRUE(Near(problem.Result(), problem.Expected(), problem.Bound()));
  });
}

TEST_P(CudaProducts, NanStaysInItsRow) {
  CudaProblem problem(2, 20, 130, Format(true), GetParam().type, DType::kF16, 4);
  problem.SetX(1, 129, NAN);
  RunKernel(GetParam().kernel, problem);
  const std::vector<float> result = problem.Result();
  for (size_t i = 0; i < result.size(); ++i) EXPECT_EQ(std::isnan(result[i]), i >= 20) << i;
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (Kernel kernel : {Kernel::kGemv, Kernel::kMma})
    for (int bits : {2, 3, 4, 8})
      for (DType type : {DType::kF16, DType::kBF16})
        for (int64_t group_size : CudaGroups(type)) cases.push_back({kernel, bits, type, group_size});
  return cases;
}
INSTANTIATE_TEST_SUITE_P(, CudaProducts, testing::ValuesIn(Cases()), CaseName);

// As large as a test can have them: whole tiles and groups, and parts of everything.
using CudaLargeProducts = CudaProducts;

TEST_P(CudaLargeProducts, AgreeWithDoublePrecision) {
  const int64_t m = GetParam().kernel == Kernel::kGemv ? 2 : 64;
  for (auto [symmetric, shape] : {std::pair{true, Shape{m, 512, 1024}}, {false, {m - 1, 509, 1021}}}) {
    CudaProblem problem(shape.m, shape.n, shape.k, Format(symmetric), GetParam().type, GetParam().type, 5);
    SCOPED_TRACE(problem.rows().format.Name());
    RunKernel(GetParam().kernel, problem);
    EXPECT_TRUE(Near(problem.Result(), problem.Expected(), problem.Bound()));
    EXPECT_LT(problem.RelativeNorm(), GetParam().type == DType::kF16 ? 5e-4 : 3e-3);
  }
}

// Every width in every size of group, in one type or the other.
std::vector<Case> LargeCases() {
  if (kSanitized) return {{Kernel::kGemv, 4, DType::kBF16}, {Kernel::kMma, 4, DType::kBF16}};
  std::vector<Case> cases;
  for (Kernel kernel : {Kernel::kGemv, Kernel::kMma})
    for (int bits : {2, 3, 4, 8})
      for (int64_t group_size : {32, 64, 128, 0})
        cases.push_back({kernel, bits, cases.size() % 2 ? DType::kF16 : DType::kBF16, group_size});
  return cases;
}
INSTANTIATE_TEST_SUITE_P(, CudaLargeProducts, testing::ValuesIn(LargeCases()), CaseName);

}  // namespace
}  // namespace ecld
