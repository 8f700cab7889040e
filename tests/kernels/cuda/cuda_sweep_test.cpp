#include "kernels/gemm/cuda/sweep.h"

#include <gtest/gtest.h>

#include "kernels/gemm/cuda/dispatch.h"

namespace ecld {
namespace {

CudaDispatch TableOf(const std::vector<CudaGemmPoint>& points) {
  return CudaDispatch::Parse(DispatchFromSweep(points, 90, "A GPU, at 700 W"), "sweep", kCudaDispatched);
}

const CudaDispatchRow& Find(const CudaDispatch& table, int cc, int bits, DType type, int64_t m, int64_t n, int64_t k) {
  return table.Find({.compute_capability = cc, .bits = bits, .type = type, .m = m, .n = n, .k = k});
}

TEST(CudaSweep, TheFastestIsTakenAroundWhatWasTimed) {
  std::vector<CudaGemmPoint> points;
  const auto add = [&](int64_t m, int64_t n, int64_t k, std::string_view name, int splits, double us) {
    points.push_back({4, DType::kBF16, m, n, k, std::string(name), splits, us});
  };
  for (int64_t n : {4096, 16384}) {
    add(1, n, 4096, "gemv", 0, 4);
    add(1, n, 4096, "mma", 0, 5);
    add(16, n, 4096, "mma", 0, n == 4096 ? 6 : 5);
    add(16, n, 4096, "mma", 2, n == 4096 ? 5 : 6);
    add(64, n, 4096, "mma", 0, 9);
    add(64, n, 4096, "dequant_cublas", 0, 20);
    add(1024, n, 4096, "mma", 0, 90);
    add(1024, n, 4096, "dequant_cublas", 0, 50);
  }
  const CudaDispatch table = TableOf(points);
  const auto name = [&](int64_t m, int64_t n) { return Find(table, 90, 4, DType::kBF16, m, n, 77).implementation; };
  EXPECT_EQ(name(1, 4096), "gemv");
  EXPECT_EQ(name(4, 100), "gemv");  // the geometric middle of 1 and 16
  EXPECT_EQ(name(5, 100), "mma");
  EXPECT_EQ(name(64, 1 << 20), "mma");
  EXPECT_EQ(name(256, 8192), "mma");
  EXPECT_EQ(name(257, 8192), "dequant_cublas");
  EXPECT_EQ(name(1 << 20, 1), "dequant_cublas");
  EXPECT_EQ(Find(table, 90, 4, DType::kBF16, 16, 8192, 1).splits, 2);
  EXPECT_EQ(Find(table, 90, 4, DType::kBF16, 16, 8193, 1).splits, 0);
  const CudaDispatchRow& measured = Find(table, 90, 4, DType::kBF16, 16, 16384, 1);
  EXPECT_TRUE(measured.measured);
  EXPECT_EQ(measured.device, "A GPU, at 700 W");
  // All else is as it was.
  for (const auto& [cc, bits, type] :
       {std::tuple(90, 4, DType::kF16), {90, 8, DType::kBF16}, {89, 4, DType::kBF16}, {100, 4, DType::kBF16}})
    for (int64_t m : {1, 40, 4096}) {
      const CudaDispatchRow& row = Find(table, cc, bits, type, m, 4096, 4096);
      EXPECT_FALSE(row.measured);
      EXPECT_EQ(row.implementation, Find(ShippedCudaDispatch(), cc, bits, type, m, 4096, 4096).implementation);
    }
}

// Products with the same number of outputs decide together, by those that were timed for all of them.
TEST(CudaSweep, SeveralInputsDecideTogether) {
  const auto point = [](int64_t k, std::string_view name, double us) {
    return CudaGemmPoint{8, DType::kF16, 32, 4096, k, std::string(name), 0, us};
  };
  const std::vector<CudaGemmPoint> points = {point(4096, "mma", 10), point(14336, "mma", 20), point(4096, "wgmma", 5),
                                             point(14336, "wgmma", 30), point(4096, "gemv", 1)};
  EXPECT_EQ(Find(TableOf(points), 90, 8, DType::kF16, 32, 4096, 4096).implementation, "mma");
}

TEST(CudaSweep, LeastTimes) {
  const PackedFormat w4 = {.bits = 4, .group_size = 128}, w8 = {.bits = 8, .group_size = 0, .symmetric = false};
  EXPECT_DOUBLE_EQ(CostOf(1, 4096, 4096, nullptr).bytes, 2.0 * 4096 * 4096 + 4 * 4096);
  EXPECT_DOUBLE_EQ(CostOf(2, 4096, 14336, &w4).bytes, 4096 * 14336 / 2.0 + 4096 * 112 * 2.0 + 4.0 * 14336 + 4 * 4096);
  EXPECT_DOUBLE_EQ(CostOf(1, 64, 100, &w8).bytes, 6400 + 64 * 3 + 200 + 128);
  const CudaGemmCost cost = CostOf(16, 1000, 2000, nullptr);
  EXPECT_DOUBLE_EQ(cost.flops, 64e6);
  EXPECT_DOUBLE_EQ(cost.LeastUs(1e12, 1e12), 64);  // multiplying
  EXPECT_DOUBLE_EQ(cost.LeastUs(1e10, 1e12), cost.bytes / 1e4);
}

}  // namespace
}  // namespace ecld
