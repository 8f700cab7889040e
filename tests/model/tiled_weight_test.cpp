// What a GPU would be asked for tensors, asked for tensors of the processor and run there by the executor.

#include "model/tiled_weight.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <tuple>

#include "model/packed_weight.h"
#include "tests/model/packed_tensors.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/host_gpu.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

class TiledWeights : public testing::Test {
 protected:
  static constexpr PackedFormat kFormat = {.bits = 4, .group_size = 32, .symmetric = false};

  PackedWeight Weight(const PackedTensors& tensors, int64_t in, const PackedFormat& format) {
    return {tensors.codes, tensors.scales, tensors.zero_points, in, format, pool_};
  }
  TiledWeight Some() { return Weight(RandomPackedTensors(70, 96, kFormat, at::kHalf, 1), 96, kFormat).Tiled(); }

  // The product as the kernel gives it, which may touch what the question names and nothing else.
  static at::Tensor Run(const TiledWeight& weight, const at::Tensor& rows, HostGpu::Product kernel) {
    const at::Tensor workspace = at::zeros({TiledWorkspaceBytes(weight, rows.size(0))}, at::kByte);
    TiledProduct product = AskProduct(weight, rows, workspace);
    product.y.fill_(NAN);
    const auto last = (product.args.m - 1) * product.args.x_stride + weight.in_features;
    HostGpu gpu;
    for (const at::Tensor& part : {weight.codes, weight.scales, weight.zero_points})
      if (part.defined()) gpu.memory.Readable(part.const_data_ptr(), part.nbytes());
    gpu.memory.Readable(product.args.x, static_cast<size_t>(last) * 2);
    gpu.memory.Writable(product.args.y, product.y.nbytes());
    gpu.memory.Writable(product.args.workspace, workspace.nbytes());
    gpu.Run(product.args, kernel);
    return product.y;
  }

  ThreadPool pool_{1};
};

TEST_F(TiledWeights, KernelsAreAskedForWhatTorchWouldGive) {
  auto generator = at::detail::createCPUGenerator(5);
  uint64_t seed = 1;
  for (int bits : {2, 3, 4, 8})
    for (bool symmetric : {true, false})
      for (at::ScalarType type : {at::kHalf, at::kBFloat16})
        for (auto [rows, kernel] : {std::pair{1, HostGpu::Product::kGemv}, {5, HostGpu::Product::kMma}}) {
          const PackedFormat format = {.bits = bits, .group_size = 32, .symmetric = symmetric};
          const int64_t in = 70 + bits, out = 67;
          const PackedTensors tensors =
              RandomPackedTensors(out, in, format, seed % 2 ? at::kHalf : at::kBFloat16, seed);
          const at::Tensor x = at::randn({rows, in}, generator).to(type);
          const at::Tensor y = Run(Weight(tensors, in, format).Tiled(), x, kernel);
          EXPECT_EQ(y.scalar_type(), type);
          const std::vector<float> expected = Values(at::matmul(x.to(at::kFloat), tensors.dense.t()));
          EXPECT_TRUE(Near(Values(y), expected, Relative(type == at::kHalf ? 5e-4 : 4e-3)))
              << format.Name() << " rows " << rows;
          ++seed;
        }
}

TEST_F(TiledWeights, RowsAreCopiedOnlyWhereTheKernelsWantOthers) {
  const TiledWeight weight = Some();
  const at::Tensor workspace = at::zeros({TiledWorkspaceBytes(weight, 4)}, at::kByte);
  const at::Tensor wide = at::randn({4, 104}, at::kHalf);
  const auto taken = [&](const at::Tensor& rows) {
    const TiledProduct product = AskProduct(weight, rows, workspace);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(product.args.x) % 16, 0u);
    EXPECT_EQ(product.args.x_stride % 8, 0);
    EXPECT_TRUE(at::equal(product.x, rows));
    return product.args.x == rows.const_data_ptr();
  };
  EXPECT_TRUE(taken(wide.narrow(1, 0, 96)));                             // rows 104 apart
  EXPECT_TRUE(taken(wide.narrow(1, 8, 96)));                             // 16 bytes further on
  EXPECT_FALSE(taken(wide.narrow(1, 1, 96)));                            // 2 bytes further on
  EXPECT_FALSE(taken(at::randn({4, 100}, at::kHalf).narrow(1, 0, 96)));  // rows 200 bytes apart
  EXPECT_FALSE(taken(at::randn({96, 4}, at::kHalf).t()));
  EXPECT_FALSE(taken(at::randn({1, 96}, at::kHalf).expand({4, 96})));
}

TEST_F(TiledWeights, TilesThatDoNotFitAreNamed) {
  const TiledWeight good = Some();
  CheckTiled(good, at::kCPU);
  TiledWeight bad = good;
  bad.codes = at::zeros({70, 12}, at::kInt);
  EXPECT_ERROR(CheckTiled(bad, at::kCPU), "codes: is Int [70, 12] on cpu; it must be Byte [2, 2, 2048]");
  bad = good;
  bad.scales = good.scales.to(at::kFloat);
  EXPECT_ERROR(CheckTiled(bad, at::kCPU), "scales: is Float [2, 3, 64] on cpu; it must be BFloat16 [2, 3, 64]");
  bad = good;
  bad.zero_points = at::Tensor();
  EXPECT_ERROR(CheckTiled(bad, at::kCPU), "zero_points: is undefined; it must be [2, 3, 64]");
  bad = good;
  bad.zero_points = at::zeros({2, 64, 3}, at::kByte).transpose(1, 2);
  EXPECT_ERROR(CheckTiled(bad, at::kCPU), "zero_points: is not contiguous");
  bad = good;
  bad.codes = at::zeros({2 * 2 * 2048 + 1}, at::kByte).narrow(0, 1, 2 * 2 * 2048).view({2, 2, 2048});
  EXPECT_ERROR(CheckTiled(bad, at::kCPU), "codes: begins between multiples of 16 bytes");
  EXPECT_ERROR(CheckTiled(good, at::kMeta), "on cpu; it must be on meta");
  bad = good;
  bad.in_features = 0;
  EXPECT_ERROR(CheckTiled(bad, at::kCPU), "in_features: is 0, must be at least 1");
  bad = good;
  bad.out_features = -1;
  EXPECT_ERROR(CheckTiled(bad, at::kCPU), "out_features: is -1, must be at least 1");
  bad = good;
  bad.format.bits = 5;
  EXPECT_ERROR(CheckTiled(bad, at::kCPU), "packed weight: is W5 g32");
}

TEST_F(TiledWeights, FormatsThatAGpuDoesNotTakeAreSaid) {
  const auto tiled = [&](const PackedFormat& format, at::ScalarType scales) {
    return Weight(RandomPackedTensors(8, 96, format, scales, 2), 96, format).Tiled();
  };
  EXPECT_ERROR(tiled({.bits = 6, .group_size = 32}, at::kHalf), "a GPU takes 2, 3, 4 or 8 bits");
  EXPECT_ERROR(tiled({.bits = 4, .group_size = 48}, at::kHalf), "packed weight: is W4 g48 sym with scales F16");
  EXPECT_ERROR(tiled({.bits = 4, .group_size = 32}, at::kFloat), "packed weight: is W4 g32 sym with scales F32");
}

TEST_F(TiledWeights, AProductNeedsAGpu) {
  const at::Tensor x = at::zeros({2, 96}, at::kHalf);
  EXPECT_ERROR(MultiplyTiled(Some(), x), "device: is cpu, must be cuda");
  EXPECT_ERROR(GpuNamed(at::Device(at::kCUDA, 7)), "device: ");
}

// Two streams have two workspaces, what is taken down in a graph another one, and what is there is taken again.
TEST(StreamWorkspace, IsKeptForItsStream) {
  StreamWorkspaces workspaces;
  const auto stream = [](uintptr_t number) { return reinterpret_cast<CudaStream>(number); };
  const auto place = [&](uintptr_t number, uint64_t capture, int64_t bytes) {
    const at::Tensor workspace = workspaces.For(stream(number), capture, bytes, at::kCPU);
    EXPECT_GE(workspace.numel(), bytes);
    return workspace;
  };
  const at::Tensor first = place(1, 0, 100);
  EXPECT_EQ(first.sum().item<int64_t>(), 0);
  EXPECT_TRUE(place(1, 0, 60).is_same(first));
  const at::Tensor other = place(2, 0, 100), captured = place(1, 7, 100);
  EXPECT_FALSE(other.is_same(first));
  EXPECT_FALSE(captured.is_same(first));
  EXPECT_TRUE(place(1, 7, 100).is_same(captured));
  EXPECT_FALSE(place(1, 8, 100).is_same(captured));
  EXPECT_TRUE(place(1, 0, 100).is_same(first));
  EXPECT_FALSE(place(1, 0, 101).is_same(first));
}

}  // namespace
}  // namespace ecld
