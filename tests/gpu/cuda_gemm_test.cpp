// The CUDA products on the GPU of this machine. Without one they are skipped, or fail where ECLD_REQUIRE_GPU is 1.

#include "kernels/gemm/cuda_gemm.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string>

#include "tests/testing/cuda_problem.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

class GpuGemm : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    const auto device = FindCudaDevice(&why);
    if (device) {
      device_ = *device;
      return;
    }
    const char* required = std::getenv("ECLD_REQUIRE_GPU");
    if (required != nullptr && std::string(required) == "1") FAIL() << "ECLD_REQUIRE_GPU is 1, but: " << why;
    GTEST_SKIP() << "no GPU: " << why;
  }

  // Runs the product on the device and leaves y in the problem.
  void Run(CudaProblem& problem, const CudaGemmImplementation& implementation) {
    CudaBuffer weight(problem.tiled_bytes()), x(problem.x_bytes()), y(problem.y_bytes()),
        workspace(problem.workspace_bytes());
    weight.Upload(problem.args().weight.codes, problem.tiled_bytes());
    x.Upload(problem.args().x, problem.x_bytes());
    y.Upload(problem.y(), problem.y_bytes());
    workspace.Upload(problem.args().workspace, problem.workspace_bytes());
    CudaGemmArgs args = problem.args();
    args.weight = CudaTiled(problem.rows(), weight.data());
    args.x = x.data();
    args.y = y.data();
    args.workspace = workspace.data();
    implementation.run(args, nullptr);
    y.Download(problem.y(), problem.y_bytes());
  }

  // Every implementation that supports a product of this shape, in every format.
  void Compare(int64_t m, int64_t n, int64_t k, std::initializer_list<int64_t> groups) {
    uint64_t seed = 1;
    for (int bits : {2, 3, 4, 8})
      for (int64_t group : groups)
        for (bool symmetric : {true, false})
          for (DType type : {DType::kF16, DType::kBF16}) {
            const PackedFormat format = {.bits = bits, .group_size = group, .symmetric = symmetric};
            CudaProblem problem(m, n, k, format, type, type, seed++);
            const std::vector<double> expected = problem.Expected();
            for (const auto& implementation : CudaGemmImplementations()) {
              if (!implementation.supports(problem.args(), device_)) continue;
              SCOPED_TRACE(
                  fmt::format("{} m {} n {} k {} {} {}", implementation.name, m, n, k, format.Name(), Name(type)));
              problem.Poison();
              Run(problem, implementation);
              const std::vector<float> first = problem.Result();
              ASSERT_TRUE(Near(first, expected, problem.Bound()));
              problem.Poison();
              Run(problem, implementation);
              ASSERT_EQ(problem.Result(), first) << "another run, other bits";
            }
          }
  }

  CudaDevice device_;
};

TEST_F(GpuGemm, OddShapes) {
  for (int64_t m : {1, 2, 3, 8, 9, 17, 33, 48, 49, 193})
    for (auto [n, k] : {std::pair<int64_t, int64_t>{1, 7}, {65, 130}, {200, 288}, {208, 200}, {100, 1000}})
      Compare(m, n, k, {32, 64, 128, 0});
}

TEST_F(GpuGemm, ShapesOfRealLayers) {
  for (int64_t m : {1, 16, 48})
    for (auto [n, k] : {std::pair<int64_t, int64_t>{576, 1536}, {4096, 4096}, {4640, 512}}) Compare(m, n, k, {128});
}

TEST_F(GpuGemm, WhatIsNotSupportedIsSaid) {
  CudaProblem problem(3, 16, 64, {.bits = 4, .group_size = 32}, DType::kF16, DType::kF16, 1);
  EXPECT_ERROR(CudaGemm(problem.args(), device_, nullptr, "gemv"), "3 rows of x, at most 2");
  EXPECT_ERROR(CudaGemm(problem.args(), device_, nullptr, "gemw"),
               "no CUDA matrix product is named \"gemw\" (did you mean gemv?)");
}

}  // namespace
}  // namespace ecld
