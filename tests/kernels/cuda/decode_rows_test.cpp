// The steps between products that take rows by themselves, and products with dense weights, whole on the executor.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/elementwise/elementwise.h"
#include "tests/testing/host_gpu.h"
#include "tests/testing/near.h"
#include "tests/testing/owned_weight.h"

namespace ecld {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr uint16_t kPoison = 0x7fff;  // NaN in both types of 16 bits
constexpr DType kTypes[] = {DType::kF16, DType::kBF16};

// What rounding once to the type allows.
Tolerance Rounding(DType type) { return Relative(type == DType::kF16 ? 5e-4 : 4e-3); }

std::vector<float> Floats(DType type, const uint16_t* from, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  ToFloat(type, reinterpret_cast<const std::byte*>(from), values.size(), values.data());
  return values;
}

std::vector<float> RowOf(const WeightView& weight, int64_t row) {
  std::vector<float> values(static_cast<size_t>(weight.in_features));
  ReadRow(weight, row, values.data());
  return values;
}

TEST(GatherStep, RowsOfADenseTable) {
  Random random(1);
  for (DType type : kTypes)
    for (int width : {1, 77, 300}) {
      const OwnedWeight table = OwnedWeight::Dense(40, width, type, random);
      HostGpu gpu;
      const int64_t stride = width + 3;
      uint16_t* rows = gpu.New<uint16_t>(40 * stride, kPoison);
      for (int64_t r = 0; r < 40; ++r)
        std::memcpy(rows + r * stride, table.view().data + r * width * 2, static_cast<size_t>(width) * 2);
      const std::vector<int32_t> tokens = {39, 0, 17};
      float* hidden = gpu.New<float>(3 * width, kNan);
      gpu.Run(cuda::GatherStep{.table = rows,
                               .table_type = type,
                               .table_stride = stride,
                               .tokens = gpu.New(tokens),
                               .rows = 3,
                               .width = width,
                               .hidden = hidden});
      for (int64_t r = 0; r < 3; ++r)
        EXPECT_EQ(std::vector<float>(hidden + r * width, hidden + (r + 1) * width),
                  RowOf(table.view(), tokens[static_cast<size_t>(r)]));
    }
}

TEST(GatherStep, RowsOfAPackedTable) {
  Random random(2);
  ThreadPool pool(1);
  for (int bits : {2, 3, 4, 8})
    for (bool symmetric : {true, false})
      for (int width : {33, 200}) {
        const PackedFormat format = {.bits = bits, .group_size = 32, .symmetric = symmetric};
        SCOPED_TRACE(fmt::format("{} width {}", format.Name(), width));
        const OwnedWeight table =
            OwnedWeight::Packed(150, width, format, bits % 2 ? DType::kF16 : DType::kBF16, random);
        HostGpu gpu;
        auto* tiles = gpu.New<std::byte>(static_cast<int64_t>(CudaTiledBytes(table.view())));
        CudaTile(table.view(), tiles, pool);
        const std::vector<int32_t> tokens = {149, 0, 63, 72, 8, 127};
        float* hidden = gpu.New<float>(6 * width, kNan);
        gpu.Run(cuda::GatherStep{
            .packed = cuda::MakeProduct({.weight = CudaTiled(table.view(), tiles), .workspace = tiles}, 0, 0),
            .bits = bits,
            .tokens = gpu.New(tokens),
            .rows = 6,
            .width = width,
            .hidden = hidden});
        for (int64_t r = 0; r < 6; ++r)
          ASSERT_EQ(std::vector<float>(hidden + r * width, hidden + (r + 1) * width),
                    RowOf(table.view(), tokens[static_cast<size_t>(r)]));
      }
}

TEST(GatherStep, MatricesBelowEachOther) {
  Random random(7);
  ThreadPool pool(1);
  for (int bits : {2, 3, 4, 8})
    for (bool symmetric : {true, false}) {
      const PackedFormat format = {.bits = bits, .group_size = 64, .symmetric = symmetric};
      const int width = 130;
      std::vector<OwnedWeight> parts;
      std::vector<WeightView> views;
      for (int64_t out : {10, 70, 33}) parts.push_back(OwnedWeight::Packed(out, width, format, DType::kF16, random));
      for (const OwnedWeight& part : parts) views.push_back(part.view());
      const WeightView all = CudaStackShape(views);
      ASSERT_EQ(all.out_features, 113);
      HostGpu gpu;
      auto* tiles = gpu.New<std::byte>(static_cast<int64_t>(CudaTiledBytes(all)), std::byte{0xff});
      CudaTile(views, tiles, pool);
      const std::vector<int32_t> tokens = {9, 10, 79, 80, 112};
      float* hidden = gpu.New<float>(5 * width, kNan);
      gpu.Run(cuda::GatherStep{.packed = cuda::MakeProduct({.weight = CudaTiled(all, tiles), .workspace = tiles}, 0, 0),
                               .bits = bits,
                               .tokens = gpu.New(tokens),
                               .rows = 5,
                               .width = width,
                               .hidden = hidden});
      std::vector<float> expected;
      for (auto [part, row] : {std::pair{0, 9}, {1, 0}, {1, 69}, {2, 0}, {2, 32}})
        for (float value : RowOf(views[static_cast<size_t>(part)], row)) expected.push_back(value);
      ASSERT_EQ(std::vector<float>(hidden, hidden + 5 * width), expected) << format.Name();
    }
}

class NormSteps : public testing::TestWithParam<DType> {};

TEST_P(NormSteps, AddBiasAndNormAsTheProcessorDoes) {
  Random random(3);
  for (int width : {1, 7, 64, 1000}) {
    const int rows = 3;
    const std::vector<float> hidden = RandomRows(rows, width, random), add = RandomRows(rows, width, random),
                             bias = RandomRows(1, width, random), weight = RandomRows(1, width, random);
    for (bool with_add : {false, true})
      for (bool with_bias : {false, true}) {
        if (with_bias && !with_add) continue;
        std::vector<float> sums = hidden, expected(hidden.size());
        for (int r = 0; r < rows; ++r) {
          float* row = sums.data() + r * width;
          if (with_add) kElementwisePortable.add(add.data() + r * width, width, row);
          if (with_bias) kElementwisePortable.add(bias.data(), width, row);
          kElementwisePortable.rms_norm(row, weight.data(), width, 1e-5f, expected.data() + r * width);
        }
        HostGpu gpu;
        const int64_t stride = width + 5;
        float* changed = gpu.New(hidden);
        uint16_t* out = gpu.New<uint16_t>(rows * stride, kPoison);
        gpu.Run(cuda::NormStep{.hidden = changed,
                               .add = with_add ? gpu.New(add) : nullptr,
                               .bias = with_bias ? gpu.New(bias) : nullptr,
                               .weight = gpu.New(weight),
                               .eps = 1e-5f,
                               .rows = rows,
                               .width = width,
                               .type = GetParam(),
                               .out = out,
                               .out_stride = stride});
        EXPECT_TRUE(Near(std::span(changed, hidden.size()), sums, Relative(1e-6)));
        for (int r = 0; r < rows; ++r) {
          EXPECT_TRUE(Near(Floats(GetParam(), out + r * stride, width),
                           std::span(expected).subspan(static_cast<size_t>(r * width), static_cast<size_t>(width)),
                           Rounding(GetParam())));
          for (int i = width; i < stride; ++i) EXPECT_EQ(out[r * stride + i], kPoison);
        }
      }
  }
}

TEST_P(NormSteps, NanStaysInItsRow) {
  HostGpu gpu;
  std::vector<float> hidden(3 * 40, 1.0f);
  hidden[45] = kNan;
  uint16_t* out = gpu.New<uint16_t>(3 * 40);
  gpu.Run(cuda::NormStep{.hidden = gpu.New(hidden),
                         .weight = gpu.New<float>(40, 1.0f),
                         .eps = 1e-5f,
                         .rows = 3,
                         .width = 40,
                         .type = GetParam(),
                         .out = out,
                         .out_stride = 40});
  const std::vector<float> result = Floats(GetParam(), out, 120);
  for (size_t i = 0; i < result.size(); ++i) EXPECT_EQ(std::isnan(result[i]), i / 40 == 1) << i;
}

INSTANTIATE_TEST_SUITE_P(, NormSteps, testing::ValuesIn(kTypes),
                         [](const auto& type) { return std::string(Name(type.param)); });

TEST(GateStep, IsSwigluOfTheProcessor) {
  Random random(4);
  for (DType type : kTypes)
    for (int width : {1, 30, 700})
      for (bool with_bias : {false, true}) {
        std::vector<float> y = RandomRows(2, 2 * width, random), bias = RandomRows(1, 2 * width, random);
        y[0] = -200;
        std::vector<float> expected;
        for (int r = 0; r < 2; ++r) {
          std::vector<float> row(y.begin() + r * 2 * width, y.begin() + (r + 1) * 2 * width);
          if (with_bias) kElementwisePortable.add(bias.data(), 2 * width, row.data());
          kElementwisePortable.swiglu(row.data(), row.data() + width, width, row.data());
          expected.insert(expected.end(), row.begin(), row.begin() + width);
        }
        HostGpu gpu;
        const int64_t stride = width + 2;
        uint16_t* out = gpu.New<uint16_t>(2 * stride, kPoison);
        gpu.Run(cuda::GateStep{.y = gpu.New(y),
                               .bias = with_bias ? gpu.New(bias) : nullptr,
                               .rows = 2,
                               .width = width,
                               .type = type,
                               .out = out,
                               .out_stride = stride});
        std::vector<float> result;
        for (int r = 0; r < 2; ++r)
          for (float value : Floats(type, out + r * stride, width)) result.push_back(value);
        EXPECT_TRUE(Near(result, expected, Rounding(type)));
        EXPECT_EQ(out[width], kPoison);
      }
}

TEST(GateStep, NanIsNotLost) {
  HostGpu gpu;
  uint16_t* out = gpu.New<uint16_t>(3, 0);
  gpu.Run(cuda::GateStep{.y = gpu.New<float>({kNan, 1, 1, 1, kNan, 1}),
                         .rows = 1,
                         .width = 3,
                         .type = DType::kF16,
                         .out = out,
                         .out_stride = 3});
  const std::vector<float> result = Floats(DType::kF16, out, 3);
  EXPECT_TRUE(std::isnan(result[0]) && std::isnan(result[1]) && !std::isnan(result[2]));
}

class ArgmaxSteps : public testing::Test {
 protected:
  // Token and position afterwards, run in both orders.
  int32_t Run(const std::vector<float>& logits) {
    HostGpu gpu;
    cuda::ArgmaxStep step{.logits = gpu.New(logits),
                          .count = static_cast<int>(logits.size()),
                          .best = gpu.New<float>(cuda::kArgmaxMostBlocks, kNan),
                          .best_ids = gpu.New<int32_t>(cuda::kArgmaxMostBlocks, 5),
                          .counter = gpu.New<uint32_t>(1),
                          .token = gpu.New<int32_t>(1, 77),
                          .position = gpu.New<int32_t>(1, 41)};
    gpu.Run(step);
    const int32_t token = *step.token;
    gpu.Run(step, true);
    EXPECT_EQ(*step.token, token);
    EXPECT_EQ(*step.position, 43);
    return token;
  }
};

TEST_F(ArgmaxSteps, TheLargestAndTheLowerIdOnATie) {
  Random random(5);
  for (int64_t count : {1, 31, 1025, 80000}) {
    std::vector<float> logits = RandomRows(1, count, random);
    EXPECT_EQ(Run(logits), std::max_element(logits.begin(), logits.end()) - logits.begin());
    logits[static_cast<size_t>(count - 1)] = logits[static_cast<size_t>(count / 2)] = 9;
    EXPECT_EQ(Run(logits), count / 2);
  }
  EXPECT_EQ(Run(std::vector<float>(600, -3)), 0);
}

TEST_F(ArgmaxSteps, ALogitThatIsNotFiniteIsSaid) {
  for (float bad : {kNan, HUGE_VALF, -HUGE_VALF}) {
    std::vector<float> logits(500, 1.0f);
    logits[321] = bad;
    EXPECT_EQ(Run(logits), -1);
  }
}

TEST(DenseStep, AgreesWithDoublePrecision) {
  Random random(6);
  for (DType weight_type : kTypes)
    for (DType type : kTypes)
      for (int rows : {1, 3, 5})
        for (auto [n, k] : {std::pair{1, 7}, {19, 64}, {9, 301}, {40, 520}}) {
          const OwnedWeight weight = OwnedWeight::Dense(n, k, weight_type, random);
          const std::vector<float> x = RandomRows(rows, k, random);
          HostGpu gpu;
          const int64_t stride = (k + 7) / 8 * 8 + 8, y_stride = n + 2;
          uint16_t* weights = gpu.New<uint16_t>(n * stride, kPoison);
          for (int64_t o = 0; o < n; ++o)
            std::memcpy(weights + o * stride, weight.view().data + o * k * 2, static_cast<size_t>(k) * 2);
          uint16_t* inputs = gpu.New<uint16_t>(rows * stride, kPoison);
          for (int64_t r = 0; r < rows; ++r)
            FromFloat(type, x.data() + r * k, static_cast<size_t>(k),
                      reinterpret_cast<std::byte*>(inputs + r * stride));
          float* y = gpu.New<float>(rows * y_stride, kNan);
          gpu.Run(cuda::DenseStep{.weight = weights,
                                  .weight_type = weight_type,
                                  .weight_stride = stride,
                                  .x = inputs,
                                  .type = type,
                                  .x_stride = stride,
                                  .rows = rows,
                                  .out_features = n,
                                  .in_features = k,
                                  .y = y,
                                  .y_stride = y_stride});
          std::vector<double> expected;
          std::vector<float> result;
          for (int64_t r = 0; r < rows; ++r) {
            const std::vector<float> row = Floats(type, inputs + r * stride, k);
            for (int64_t o = 0; o < n; ++o) {
              const std::vector<float> w = RowOf(weight.view(), o);
              double sum = 0;
              for (size_t i = 0; i < w.size(); ++i) sum += double{w[i]} * row[i];
              expected.push_back(sum);
              result.push_back(y[r * y_stride + o]);
            }
            EXPECT_TRUE(std::isnan(y[r * y_stride + n])) << "written between the rows of y";
          }
          ASSERT_TRUE(Near(result, expected, Relative(1e-6)));
        }
}

}  // namespace
}  // namespace ecld
