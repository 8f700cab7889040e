// The shapes on which others test their low-bit products (IST-DASLab/marlin test.py; vLLM test_marlin_gemm.py,
// test_marlin_tile_padding.py and test_machete_mm.py; CUTLASS example 55; TensorRT-LLM weightOnlyKernelTest.cpp;
// exllamav3 test_qgemm.py; humming test_shape.py; PyTorch test__int4_mm; ggml test-backend-ops; BitBLAS's V shapes):
// every implementation for this processor against the reference.
//
// An output depends on its own row of x and its own row of weights only, so that two shortcuts lose nothing: large
// products are cut in their outputs, to a number with the same remainder by 64; and the reference computes
// a sample of the rows.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/gemm/implementations.h"
#include "tests/testing/gemm_shapes.h"
#include "tests/testing/near.h"
#include "tests/testing/owned_weight.h"

namespace ecld {
namespace {

#if defined(__aarch64__)  // these tests run under an emulator
constexpr int64_t kMostProducts = 1 << 18, kMostWeights = 1 << 15, kFewestOutputs = 17, kMostRows = 8;
#else
constexpr int64_t kMostProducts = 2 << 20, kMostWeights = 1 << 18, kFewestOutputs = 40, kMostRows = 1 << 20;
#endif

using Shape = GemmShape;

struct List {
  const char* name;
  std::vector<Shape> shapes;
};

std::vector<Shape> ForRows(std::initializer_list<int64_t> rows, std::initializer_list<Shape> shapes) {
  std::vector<Shape> all;
  for (int64_t m : rows)
    for (const Shape& shape : shapes) all.push_back({m, shape.n, shape.k});
  return all;
}

const std::vector<List>& Lists() {
  static const std::vector<List> lists = {
      {"marlin_tiles", ForRows({1, 2, 3, 4, 8, 12, 16, 24, 32, 48, 64, 118, 128, 152, 768, 1024}, {{0, 512, 1024}})},
      {"marlin_depths", ForRows({16}, {{0, 512, 768},
                                       {0, 512, 832},
                                       {0, 512, 896},
                                       {0, 512, 64},
                                       {0, 512, 128},
                                       {0, 512, 192},
                                       {0, 256, 512},
                                       {0, 256, 1024},
                                       {0, 32768, 1024}})},
      {"marlin_llama",
       ForRows({1, 16}, {{0, 12288, 4096}, {0, 4096, 4096}, {0, 21504, 4096}, {0, 4096, 10752}, {0, 8192, 8192}})},
      {"vllm_marlin",
       {{1, 64, 128},
        {1, 256, 128},
        {1, 256, 1024},
        {1, 1024, 1024},
        {26, 2368, 1664},
        {26, 9472, 1664},
        {257, 832, 1408},
        {257, 3328, 1408},
        {32, 2048, 1024}}},
      {"vllm_padding", ForRows({8}, {{0, 200, 288},
                                     {0, 256, 208},
                                     {0, 200, 208},
                                     {0, 4640, 512},
                                     {0, 64, 128},
                                     {0, 128, 64},
                                     {0, 256, 256},
                                     {0, 4608, 4096},
                                     {0, 128, 96},
                                     {0, 128, 100},
                                     {0, 128, 176},
                                     {0, 192, 128},
                                     {0, 128, 2816}})},
      {"machete", kMacheteShapes},
      {"cutlass_residues", ForRows({1, 128}, {{0, 128, 320}, {0, 128, 192}, {0, 5120, 8192}})},
      {"tensorrt_llm", ForRows({2, 4, 6, 8, 10, 12, 14}, {{0, 4096, 2048}})},
      {"exllama", ForRows({1, 5, 17}, {{0, 4096, 128}, {0, 128, 4096}, {0, 128256, 4096}})},
      {"exllama_rows", ForRows({1, 2, 8, 16, 17, 31, 32, 33, 256, 2048}, {{0, 4096, 128}})},
      {"humming", {{234, 1024, 1024}}},
      {"pytorch", ForRows({32, 64, 128}, {{0, 48, 32}, {0, 64, 64}, {0, 512, 1024}, {0, 1024, 512}})},
      {"ggml", ForRows({1, 8, 16}, {{0, 16, 256}, {0, 16, 1024}})},
      {"bitblas", ForRows({1}, {{0, 16384, 16384},
                                {0, 43008, 14336},
                                {0, 14336, 57344},
                                {0, 9216, 9216},
                                {0, 9216, 36864},
                                {0, 8192, 22016},
                                {0, 8192, 28672}})},
  };
  return lists;
}

Shape Cut(Shape shape) {
  if (shape.m > kMostRows) shape.m = kMostRows + shape.m % 8;
  const int64_t fit = std::min(kMostProducts / shape.m, kMostWeights) / shape.k;
  const int64_t most = std::max(kFewestOutputs, fit / 64 * 64);
  if (shape.n > most) shape.n = most + shape.n % 64;
  return shape;
}

// The first rows, the last, and some between: tiles of any height are entered in several places.
std::vector<int64_t> SampleRows(int64_t m) {
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < m; ++row)
    if (row < 5 || row >= m - 5 || row % 61 == 0) rows.push_back(row);
  return rows;
}

std::vector<float> Pick(const std::vector<float>& matrix, int64_t width, const std::vector<int64_t>& rows) {
  std::vector<float> picked;
  for (int64_t row : rows)
    picked.insert(picked.end(), matrix.begin() + row * width, matrix.begin() + (row + 1) * width);
  return picked;
}

std::vector<float> Product(const GemmImplementation& implementation, GemmArgs args, const std::vector<float>& x,
                           ThreadPool& pool) {
  args.m = std::ssize(x) / args.weight.in_features;
  args.x = x.data();
  std::vector<float> y(static_cast<size_t>(args.m * args.weight.out_features) + 1, NAN);
  args.y = y.data();
  GemmScratch scratch;
  implementation.run(std::span(&args, 1), pool, scratch);
  EXPECT_TRUE(std::isnan(y.back())) << implementation.name << " wrote past the end";
  y.pop_back();
  EXPECT_TRUE(std::ranges::none_of(y, [](float value) { return std::isnan(value); })) << implementation.name;
  return y;
}

const GemmImplementation& ByName(std::string_view name) {
  return *std::ranges::find_if(GemmImplementations(), [&](const auto& one) { return name == one.name; });
}

// Every implementation that takes args, all rows, against what is expected of the sample.
void Compare(const GemmArgs& args, const std::vector<float>& x, const std::vector<float>& expected, double bound,
             ThreadPool& pool) {
  const int64_t k = args.weight.in_features, n = args.weight.out_features, m = std::ssize(x) / k;
  for (const GemmImplementation& implementation : GemmImplementations()) {
    GemmArgs with_rows = args;
    with_rows.m = m;
    if (!implementation.supports(with_rows) || std::string_view(implementation.name) == "reference") continue;
    SCOPED_TRACE(implementation.name);
    const std::vector<float> y = Product(implementation, args, x, pool);
    ASSERT_TRUE(Near(Pick(y, n, SampleRows(m)), expected, {.max_abs = bound}));
  }
}

std::vector<float> RoundedToBf16(std::vector<float> x) {
  for (float& value : x) value = Bf16ToFloat(FloatToBf16(value));
  return x;
}

void CompareDense(const Shape& shape, Random& random, ThreadPool& pool) {
  const auto weight = OwnedWeight::Dense(shape.n, shape.k, DType::kBF16, random);
  // Numbers that bfloat16 holds: what is rounded and what is exact is the same product.
  const std::vector<float> x = RoundedToBf16(RandomRows(shape.m, shape.k, random));
  const std::vector<float> sample = Pick(x, shape.k, SampleRows(shape.m));
  const std::vector<float> expected = Product(ByName("reference"), {.weight = weight.view()}, sample, pool);
  const double bound = 4e-7 * LargestAbsoluteSum(weight.view(), sample) + 1e-30;
  for (bool exact : {true, false}) Compare({.weight = weight.view(), .exact = exact}, x, expected, bound, pool);
}

void ComparePacked(const Shape& shape, const PackedFormat& format, Random& random, ThreadPool& pool) {
  const auto rows = OwnedWeight::Packed(shape.n, shape.k, format, DType::kF16, random);
  const auto weight = rows.Interleaved(pool);
  const std::vector<float> x = RandomRows(shape.m, shape.k, random);
  const std::vector<float> sample = Pick(x, shape.k, SampleRows(shape.m));
  const std::vector<float> exact = Product(ByName("reference"), {.weight = rows.view()}, sample, pool);
  const double bound = 4e-7 * LargestAbsoluteSum(rows.view(), sample) + 1e-30;
  Compare({.weight = rows.view()}, x, exact, bound, pool);
  const GemmArgs rounded{.weight = weight.view(), .exact = false};
  const std::vector<float> expected = Product(ByName("int8_portable"), rounded, sample, pool);
  ASSERT_TRUE(Near(expected, exact, {.max_abs = 1.001 * RoundingBudget(rows.view(), sample) + bound}));
  Compare(rounded, x, expected, bound, pool);
}

// bits 16: dense.
class GemmShapes : public testing::TestWithParam<std::tuple<size_t, int>> {};

TEST_P(GemmShapes, EveryImplementationAgreesWithReference) {
  const auto& [list, bits] = GetParam();
  Random random(1);
  ThreadPool pool(2);
  int turn = bits;
  for (const Shape& whole : Lists()[list].shapes) {
    const Shape shape = Cut(whole);
    const int64_t group = std::array{32, 64, 128, 0}[static_cast<size_t>(turn++ % 4)];
    const PackedFormat format{.bits = bits, .group_size = group, .symmetric = turn % 3 != 0};
    SCOPED_TRACE(fmt::format("m {} n {} k {} {}", shape.m, shape.n, shape.k, bits == 16 ? "dense" : format.Name()));
    bits == 16 ? CompareDense(shape, random, pool) : ComparePacked(shape, format, random, pool);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Lists, GemmShapes,
                         testing::Combine(testing::Range(size_t{0}, Lists().size()), testing::Values(2, 3, 4, 8, 16)),
                         [](const auto& param) {
                           return fmt::format("{}_{}", Lists()[std::get<0>(param.param)].name,
                                              std::get<1>(param.param));
                         });

}  // namespace
}  // namespace ecld
