// Products with 8-bit activations over interleaved weights: all implementations against the plain one, which defines
// them, and that one against the float32 reference within what rounding to 8 bits can cost.

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "kernels/gemm/implementations.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/owned_weight.h"

namespace ecld {
namespace {

std::vector<float> Product(std::string_view implementation, const WeightView& weight, const std::vector<float>& x,
                           ThreadPool& pool, bool fine = false) {
  const int64_t m = static_cast<int64_t>(x.size()) / weight.in_features;
  std::vector<float> y(static_cast<size_t>(m * weight.out_features) + 1, NAN);
  Gemm({.weight = weight, .x = x.data(), .m = m, .y = y.data(), .exact = false, .fine = fine}, pool, implementation);
  EXPECT_TRUE(std::isnan(y.back())) << implementation << " wrote past the end";
  y.pop_back();
  return y;
}

// Those that round the activations and run here.
std::vector<std::string_view> Int8Implementations() {
  const GemmArgs rounded{.weight = {.interleaved = true}, .exact = false};
  std::vector<std::string_view> names;
  for (const GemmImplementation& implementation : GemmImplementations())
    if (implementation.supports(rounded) && std::string_view(implementation.name) != "reference")
      names.emplace_back(implementation.name);
  return names;
}

struct Shape {
  int64_t m, n, k;
};

constexpr Shape kShapes[] = {{1, 1, 1},    {1, 5, 7},    {2, 3, 17},   {3, 33, 31},  {4, 66, 172}, {5, 31, 64},
                             {7, 37, 576}, {13, 50, 65}, {1, 9, 1024}, {6, 35, 385}, {2, 7, 1300}, {20, 64, 128}};

class GemmInt8Bits : public testing::TestWithParam<int> {};

TEST_P(GemmInt8Bits, EveryImplementationAgreesWithTheDefinition) {
  Random random(1);
  ThreadPool pool(2);
  int turn = 0;
  for (int64_t group : {32, 64, 128, 160, 0})
    for (bool symmetric : {true, false})
      for (const Shape& shape : kShapes) {
        const PackedFormat format{.bits = GetParam(), .group_size = group, .symmetric = symmetric};
        const DType scale_dtype = std::array{DType::kF32, DType::kF16, DType::kBF16}[turn++ % 3];
        const auto weight = OwnedWeight::Packed(shape.n, shape.k, format, scale_dtype, random).Interleaved(pool);
        const std::vector<float> x = RandomRows(shape.m, shape.k, random);
        const std::vector<float> expected = Product("int8_portable", weight.view(), x, pool);
        const double rounding = 4e-7 * LargestAbsoluteSum(weight.view(), x) + 1e-30;
        for (std::string_view name : Int8Implementations()) {
          SCOPED_TRACE(fmt::format("{} m {} n {} k {} {}", name, shape.m, shape.n, shape.k, format.Name()));
          ASSERT_TRUE(Near(Product(name, weight.view(), x, pool), expected, {.max_abs = rounding}));
        }
        const double budget = 1.001 * RoundingBudget(weight.view(), x) + rounding;
        SCOPED_TRACE(fmt::format("m {} n {} k {} {}", shape.m, shape.n, shape.k, format.Name()));
        ASSERT_TRUE(Near(expected, Product("reference", weight.view(), x, pool), {.max_abs = budget}));
      }
}

// The largest codes and the largest activations of one sign: where 16-bit sums would be too short.
TEST_P(GemmInt8Bits, NothingSaturates) {
  ThreadPool pool(1);
  constexpr int64_t kIn = 256, kOut = 16;
  const PackedFormat format{.bits = GetParam(), .group_size = 128, .symmetric = false};
  const std::vector<uint32_t> codes(static_cast<size_t>(kOut * format.CodeWords(kIn)), 0xffffffffu);
  const std::vector<uint32_t> zeros(static_cast<size_t>(format.ZeroWords(kOut) * format.Groups(kIn)), 0);
  const std::vector<float> scales(static_cast<size_t>(kOut * format.Groups(kIn)), 1.0f);
  const WeightView rows{.out_features = kOut,
                        .in_features = kIn,
                        .format = format,
                        .codes = reinterpret_cast<const std::byte*>(codes.data()),
                        .scales = reinterpret_cast<const std::byte*>(scales.data()),
                        .scale_dtype = DType::kF32,
                        .zero_points = reinterpret_cast<const std::byte*>(zeros.data())};
  std::vector<std::byte> bytes(InterleavedBytes(rows));
  Interleave(rows, bytes.data(), pool);
  for (float sign : {1.0f, -1.0f}) {
    const std::vector<float> x(kIn, sign * 127);
    const std::vector<float> expected(kOut, sign * 127 * kIn * static_cast<float>(format.MaxCode()));
    for (std::string_view name : Int8Implementations())
      EXPECT_TRUE(Near(Product(name, InterleavedView(rows, bytes.data()), x, pool), expected, Relative(1e-6))) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Bits, GemmInt8Bits, testing::Values(2, 3, 4, 5, 6, 8),
                         [](const auto& bits) { return "W" + std::to_string(bits.param); });

TEST(GemmInt8, RoundingIsToNearestEvenOverEachGroup) {
  // One output of 64 inputs in two groups, all codes 9: the weights are 1 * 0.5 and 1 * 2.
  const PackedFormat format{.bits = 4, .group_size = 32};
  const std::vector<uint32_t> codes(8, 0x99999999u);
  const std::vector<float> scales = {0.5f, 2.0f};
  const WeightView rows{.out_features = 1,
                        .in_features = 64,
                        .format = format,
                        .codes = reinterpret_cast<const std::byte*>(codes.data()),
                        .scales = reinterpret_cast<const std::byte*>(scales.data()),
                        .scale_dtype = DType::kF32};
  ThreadPool pool(1);
  std::vector<std::byte> bytes(InterleavedBytes(rows));
  Interleave(rows, bytes.data(), pool);
  std::vector<float> x(64, 0.0f);
  x[0] = 254;      // the step of the first group is 2: code 127
  x[1] = 3;        // 1.5 -> 2
  x[31] = -5;      // -2.5 -> -2
  x[32] = -12.7f;  // the step of the second is 0.1: code -127
  x[33] = 0.26f;   // 2.6 -> 3
  const std::vector<float> expected = {0.5f * 2 * (127 + 2 - 2) + 2 * 0.1f * (-127 + 3)};
  for (std::string_view name : Int8Implementations())
    EXPECT_TRUE(Near(Product(name, InterleavedView(rows, bytes.data()), x, pool), expected, Relative(1e-6))) << name;
}

TEST(GemmInt8, RoundingCostsLittleOnAverage) {
  Random random(2);
  ThreadPool pool(2);
  const PackedFormat format{.bits = 4, .group_size = 128, .symmetric = false};
  const auto weight = OwnedWeight::Packed(64, 1024, format, DType::kF16, random).Interleaved(pool);
  const std::vector<float> x = RandomRows(4, 1024, random);
  // A step of 2.7 / 127 standard deviations leaves 0.006 of each product, uncorrelated; the mean over the largest
  // output is a fraction of that.
  EXPECT_TRUE(Near(Product("int8_portable", weight.view(), x, pool), Product("reference", weight.view(), x, pool),
                   Relative(0.012, 0.003)));
}

// Twice 8 bits: an error of half a step of the second rounding, whose steps are 1/254 of the first one's.
TEST(GemmInt8, FineProductsOf8BitWeightsAreNearlyExact) {
  Random random(8);
  ThreadPool pool(2);
  for (const Shape& shape : kShapes)
    for (int64_t group : {32, 160, 0}) {
      const PackedFormat format{.bits = 8, .group_size = group, .symmetric = group != 160};
      const auto weight = OwnedWeight::Packed(shape.n, shape.k, format, DType::kF16, random).Interleaved(pool);
      const std::vector<float> x = RandomRows(shape.m, shape.k, random);
      const std::vector<float> exact = Product("reference", weight.view(), x, pool);
      const double sums = 8e-7 * LargestAbsoluteSum(weight.view(), x) + 1e-30;
      const double bound = RoundingBudget(weight.view(), x) / 254 + sums;
      for (std::string_view name : Int8Implementations()) {
        SCOPED_TRACE(fmt::format("{} m {} n {} k {} {}", name, shape.m, shape.n, shape.k, format.Name()));
        ASSERT_TRUE(Near(Product(name, weight.view(), x, pool, true), exact, {.max_abs = bound}));
      }
    }
}

TEST(GemmInt8, BelowEightBitsFineIsAsAnyOther) {
  Random random(9);
  ThreadPool pool(1);
  const auto weight = OwnedWeight::Packed(40, 96, {.bits = 4, .group_size = 32}, DType::kF16, random).Interleaved(pool);
  const std::vector<float> x = RandomRows(3, 96, random);
  for (std::string_view name : Int8Implementations())
    EXPECT_TRUE(Near(Product(name, weight.view(), x, pool, true), Product(name, weight.view(), x, pool), Exact()));
}

TEST(GemmInt8, WhatIsNotFiniteReachesExactlyItsRow) {
  Random random(3);
  ThreadPool pool(2);
  const auto weight = OwnedWeight::Packed(37, 70, {.bits = 4, .group_size = 32}, DType::kF16, random).Interleaved(pool);
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()})
    for (std::string_view name : Int8Implementations()) {
      std::vector<float> x = RandomRows(3, 70, random);
      x[70 + 69] = bad;
      const std::vector<float> y = Product(name, weight.view(), x, pool);
      for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 37 == 1) << name << " " << i;
    }
}

TEST(GemmInt8, VerySmallAndVeryLargeActivationsAreNumbers) {
  Random random(4);
  ThreadPool pool(1);
  const auto weight = OwnedWeight::Packed(20, 64, {.bits = 8, .group_size = 64}, DType::kF16, random).Interleaved(pool);
  for (std::string_view name : Int8Implementations()) {
    for (float value : {0.0f, -0.0f, 1e-45f, 1e-38f})
      for (float y : Product(name, weight.view(), std::vector<float>(64, value), pool)) EXPECT_EQ(y, 0) << name;
    for (float value : {1e-29f, 1e32f}) {
      const std::vector<float> x(64, value), expected = Product("reference", weight.view(), x, pool);
      EXPECT_TRUE(Near(Product(name, weight.view(), x, pool), expected, Relative(1e-5))) << name;
    }
  }
}

// 140 rows: shared out by rows among two threads, by outputs among three.
TEST(GemmInt8, ResultDependsNeitherOnThreadsNorOnTheOtherRows) {
  Random random(5);
  ThreadPool single(1), two(2), three(3);
  for (int bits : {4, 8})
    for (size_t rows : {17, 140}) {
      const PackedFormat format{.bits = bits, .group_size = 128};
      const auto weight = OwnedWeight::Packed(150, 320, format, DType::kF16, random).Interleaved(single);
      const std::vector<float> x = RandomRows(static_cast<int64_t>(rows), 320, random);
      for (std::string_view name : Int8Implementations()) {
        const std::vector<float> all = Product(name, weight.view(), x, single, true);
        for (ThreadPool* pool : {&two, &three})
          EXPECT_TRUE(Near(Product(name, weight.view(), x, *pool, true), all, Exact())) << name;
        std::vector<float> alone;
        for (size_t r = 0; r < rows; ++r) {
          const auto y = Product(name, weight.view(), {x.begin() + r * 320, x.begin() + (r + 1) * 320}, single, true);
          alone.insert(alone.end(), y.begin(), y.end());
        }
        EXPECT_TRUE(Near(alone, all, Relative(1e-6))) << name;
      }
    }
}

TEST(GemmInt8, ProductsTogetherAreTheProductsAlone) {
  Random random(6);
  ThreadPool pool(3);
  constexpr int64_t kIn = 320, kRows = 5;
  std::vector<OwnedWeight> weights;
  for (int64_t out : {64, 17, 33, 300})
    for (int64_t group : {32, 128})
      weights.push_back(
          OwnedWeight::Packed(out, kIn, {.bits = out == 17 ? 8 : 4, .group_size = group}, DType::kF16, random)
              .Interleaved(pool));
  const std::vector<float> x = RandomRows(kRows, kIn, random);
  for (std::string_view name : Int8Implementations()) {
    std::vector<std::vector<float>> outputs;
    std::vector<GemmArgs> products;
    for (const auto& weight : weights) {
      outputs.emplace_back(static_cast<size_t>(kRows * weight.view().out_features), NAN);
      products.push_back(
          {.weight = weight.view(), .x = x.data(), .m = kRows, .y = outputs.back().data(), .exact = false});
    }
    GemmScratch scratch;
    Gemm(products, pool, scratch, name);
    for (size_t i = 0; i < weights.size(); ++i)
      EXPECT_TRUE(Near(outputs[i], Product(name, weights[i].view(), x, pool), Exact())) << name << " " << i;
  }
}

TEST(GemmInt8, OnlyWhereTheCallerAllowsIt) {
  Random random(7);
  ThreadPool pool(1);
  const auto rows = OwnedWeight::Packed(20, 64, {.bits = 4, .group_size = 32}, DType::kF16, random);
  const auto weight = rows.Interleaved(pool);
  const std::vector<float> x = RandomRows(2, 64, random);
  std::vector<float> exact(40), expected(40);
  GemmArgs args{.weight = weight.view(), .x = x.data(), .m = 2, .y = exact.data()};
  EXPECT_ERROR(Gemm(args, pool, "int8_portable"),
               "the matrix product \"int8_portable\" does not support m 2, n 20, k 64, W4 g32 sym on this processor");
  Gemm(args, pool);
  Gemm({.weight = rows.view(), .x = x.data(), .m = 2, .y = expected.data()}, pool, "reference");
  EXPECT_TRUE(Near(exact, expected, Relative(1e-6)));
}

}  // namespace
}  // namespace ecld
