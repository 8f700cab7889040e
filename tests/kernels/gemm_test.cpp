#include "kernels/gemm/gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "core/random.h"
#include "kernels/gemm/implementations.h"
#include "kernels/packing/packing.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

// A random weight matrix that owns its bytes. The arrays have exactly the size of the format, so that a sanitizer
// sees every read beyond them, and start one byte off: a mapped file promises no alignment.
class OwnedWeight {
 public:
  static OwnedWeight Dense(int64_t out, int64_t in, DType dtype, Random& random) {
    OwnedWeight weight;
    weight.view_ = {.out_features = out, .in_features = in, .dtype = dtype};
    weight.view_.data = weight.Floats(out * in, dtype, random, 1.0);
    return weight;
  }

  static OwnedWeight Packed(int64_t out, int64_t in, const PackedFormat& format, DType scale_dtype, Random& random) {
    OwnedWeight weight;
    const int64_t groups = format.Groups(in);
    weight.view_ = {.out_features = out, .in_features = in, .format = format, .scale_dtype = scale_dtype};
    std::vector<uint32_t> codes(static_cast<size_t>(out * format.CodeWords(in)));
    for (int64_t row = 0; row < out; ++row)
      PackBits(format.bits, Codes(format.bits, in, random).data(), in, &codes[row * format.CodeWords(in)]);
    weight.view_.codes = weight.Keep(codes.data(), codes.size() * 4);
    weight.view_.scales = weight.Floats(out * groups, scale_dtype, random, 0.1);
    if (!format.symmetric) {
      std::vector<uint32_t> zeros(static_cast<size_t>(format.ZeroWords(out) * groups));
      for (int64_t group = 0; group < groups; ++group)
        PackBits(format.bits, Codes(format.bits, out, random).data(), out, &zeros[group], groups);
      weight.view_.zero_points = weight.Keep(zeros.data(), zeros.size() * 4);
    }
    return weight;
  }

  const WeightView& view() const { return view_; }

 private:
  static std::vector<uint8_t> Codes(int bits, int64_t count, Random& random) {
    std::vector<uint8_t> codes(static_cast<size_t>(count));
    for (auto& code : codes) code = static_cast<uint8_t>(random.Below(1u << bits));
    return codes;
  }
  const std::byte* Floats(int64_t count, DType dtype, Random& random, double scale) {
    std::vector<float> values(static_cast<size_t>(count));
    for (auto& value : values) value = static_cast<float>(random.Normal() * scale);
    std::vector<std::byte> bytes(values.size() * SizeOf(dtype));
    FromFloat(dtype, values.data(), values.size(), bytes.data());
    return Keep(bytes.data(), bytes.size());
  }
  const std::byte* Keep(const void* data, size_t size) {
    parts_.push_back(std::make_unique<std::byte[]>(size + 1));
    std::memcpy(parts_.back().get() + 1, data, size);
    return parts_.back().get() + 1;
  }

  WeightView view_;
  std::vector<std::unique_ptr<std::byte[]>> parts_;
};

std::vector<float> RandomRows(int64_t m, int64_t k, Random& random) {
  std::vector<float> x(static_cast<size_t>(m * k));
  for (auto& value : x) value = static_cast<float>(random.Normal());
  return x;
}

// The largest sum of absolute products over all outputs: what rounding errors of a sum are measured by.
double LargestAbsoluteSum(const WeightView& weight, const std::vector<float>& x) {
  const auto k = static_cast<size_t>(weight.in_features);
  std::vector<float> row(k);
  double largest = 0;
  for (int64_t o = 0; o < weight.out_features; ++o) {
    ReadRow(weight, o, row.data());
    for (size_t begin = 0; begin < x.size(); begin += k) {
      double sum = 0;
      for (size_t i = 0; i < k; ++i) sum += std::abs(double{x[begin + i]} * row[i]);
      largest = std::max(largest, sum);
    }
  }
  return largest;
}

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

INSTANTIATE_TEST_SUITE_P(Bits, GemmPacked, testing::Values(2, 3, 4, 8),
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
