#include "kernels/gemm/gemm.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "core/random.h"
#include "kernels/gemm/implementations.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/owned_weight.h"

namespace ecld {
namespace {

// Every entry of the list that runs here against the reference, with outputs poisoned beforehand and beyond the end.
void CompareAll(const WeightView& weight, int64_t m, Random& random, ThreadPool& pool) {
  const std::vector<float> x = RandomRows(m, weight.in_features, random);
  const auto size = static_cast<size_t>(m * weight.out_features);
  std::vector<float> expected(size, NAN);
  GemmArgs args{.weight = weight, .x = x.data(), .m = m, .y = expected.data()};
  GemmReference(args, pool);
  const double bound = 4e-7 * LargestAbsoluteSum(weight, x) + 1e-30;
  for (const GemmImplementation& implementation : GemmImplementations()) {
    if (!implementation.supports(args)) continue;
    SCOPED_TRACE(fmt::format("{} m {} n {} k {} {}", implementation.name, m, weight.out_features, weight.in_features,
                             weight.packed() ? weight.format.Name() : std::string(Name(weight.dtype))));
    std::vector<float> actual(size + 1, NAN);
    args.y = actual.data();
    GemmScratch scratch;
    implementation.run(std::span(&args, 1), pool, scratch);
    EXPECT_TRUE(std::isnan(actual.back())) << "wrote past the end";
    actual.pop_back();
    ASSERT_TRUE(Near(actual, expected, {.max_abs = bound, .mean_abs = bound / 2}));
  }
}

struct Shape {
  int64_t m, n, k;
};

constexpr Shape kShapes[] = {{1, 1, 1},    {1, 5, 7},     {2, 3, 17},   {3, 33, 31},   {4, 66, 172}, {5, 31, 64},
                             {7, 37, 576}, {13, 172, 65}, {1, 9, 1024}, {6, 35, 1025}, {2, 7, 2600}, {20, 64, 128}};

TEST(Gemm, EveryImplementationAgreesWithReferenceOnDenseWeights) {
  Random random(1);
  ThreadPool pool(2);
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16})
    for (const Shape& shape : kShapes)
      CompareAll(OwnedWeight::Dense(shape.n, shape.k, dtype, random).view(), shape.m, random, pool);
}

class GemmPacked : public testing::TestWithParam<int> {};

TEST_P(GemmPacked, EveryImplementationAgreesWithReference) {
  Random random(2);
  ThreadPool pool(2);
  int turn = 0;
  for (int64_t group : {8, 32, 64, 128, 0})
    for (bool symmetric : {true, false})
      for (const Shape& shape : kShapes) {
        const PackedFormat format{.bits = GetParam(), .group_size = group, .symmetric = symmetric};
        const DType scale_dtype = std::array{DType::kF32, DType::kF16, DType::kBF16}[turn++ % 3];
        CompareAll(OwnedWeight::Packed(shape.n, shape.k, format, scale_dtype, random).view(), shape.m, random, pool);
      }
}

INSTANTIATE_TEST_SUITE_P(Bits, GemmPacked, testing::Values(2, 3, 4, 5, 6, 8),
                         [](const auto& bits) { return "W" + std::to_string(bits.param); });

TEST(Gemm, ReferenceIsTheProduct) {
  const std::vector<float> weight = {1, 2, 3, -1, 0, 10};  // [2, 3]
  const std::vector<float> x = {1, 1, 1, 2, 0, -1};        // [2, 3]
  std::vector<float> y(4, NAN);
  ThreadPool pool(1);
  Gemm({.weight = {.out_features = 2, .in_features = 3, .data = reinterpret_cast<const std::byte*>(weight.data())},
        .x = x.data(),
        .m = 2,
        .y = y.data()},
       pool, "reference");
  EXPECT_EQ(y, (std::vector<float>{6, 9, -1, -12}));
}

TEST(Gemm, NanReachesExactlyItsRow) {
  Random random(3);
  ThreadPool pool(2);
  const auto weight = OwnedWeight::Dense(37, 70, DType::kBF16, random);
  for (const GemmImplementation& implementation : GemmImplementations()) {
    std::vector<float> x = RandomRows(3, 70, random), y(3 * 37);
    x[70 + 69] = NAN;
    const GemmArgs args{.weight = weight.view(), .x = x.data(), .m = 3, .y = y.data()};
    if (!implementation.supports(args)) continue;
    GemmScratch scratch;
    implementation.run(std::span(&args, 1), pool, scratch);
    for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 37 == 1) << implementation.name << " " << i;
  }
}

TEST(Gemm, ResultDoesNotDependOnThreads) {
  Random random(4);
  const auto weight = OwnedWeight::Packed(300, 576, {.bits = 4, .group_size = 128}, DType::kBF16, random);
  const std::vector<float> x = RandomRows(9, 576, random);
  std::vector<float> one(9 * 300), three(9 * 300);
  ThreadPool single(1), several(3);
  Gemm({.weight = weight.view(), .x = x.data(), .m = 9, .y = one.data()}, single);
  Gemm({.weight = weight.view(), .x = x.data(), .m = 9, .y = three.data()}, several);
  EXPECT_TRUE(Near(three, one, Exact()));
}

TEST(Gemm, UnknownNameIsAnErrorWithTheKnownOnes) {
  Random random(5);
  ThreadPool pool(1);
  const auto weight = OwnedWeight::Dense(1, 1, DType::kF32, random);
  float x = 1, y = 0;
  const GemmArgs args{.weight = weight.view(), .x = &x, .m = 1, .y = &y};
  EXPECT_ERROR(Gemm(args, pool, "portabel"),
               "no matrix product implementation is named \"portabel\" (did you mean portable?)");
}

}  // namespace
}  // namespace ecld
