#include "measure/kernel_bench.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include "kernels/packing/interleaved.h"
#include "measure/kernel_weights.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

class KernelShapes : public testing::Test {
 protected:
  std::vector<KernelShape> Read(const std::string& text) {
    std::ofstream(dir_ / "shapes.txt") << text;
    return ReadKernelShapes(dir_ / "shapes.txt");
  }
  std::string Message(const std::string& rest) const { return (dir_ / "shapes.txt").string() + rest; }

  TempDir dir_;
};

TEST_F(KernelShapes, AreReadPastCommentsAndEmptyLines) {
  const auto shapes = Read("# a comment\n\ngemm down 576 1536  # another\nattention a 9 3 64\n");
  ASSERT_EQ(shapes.size(), 2u);
  EXPECT_EQ(shapes[0].op, "gemm");
  EXPECT_EQ(shapes[0].name, "down");
  EXPECT_EQ(shapes[0].sizes, (std::vector<int64_t>{576, 1536}));
  EXPECT_EQ(shapes[1].sizes, (std::vector<int64_t>{9, 3, 64}));
}

TEST_F(KernelShapes, ShippedOnesAreWellFormed) {
  const std::filesystem::path folder = "benchmarks/shapes";
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".txt") continue;
    std::set<std::string> ops;
    for (const KernelShape& shape : ReadKernelShapes(entry.path())) ops.insert(shape.op);
    if (entry.path().parent_path() == folder) {
      EXPECT_EQ(ops.size(), kKernelOps.size()) << entry.path();
    }
    ++files;
  }
  EXPECT_GE(files, 6);
}

TEST_F(KernelShapes, MistakesNameTheLine) {
  EXPECT_ERROR(Read("\ngem a 1 2\n"), Message(":2: \"gem\" is no op (did you mean gemm?)"));
  EXPECT_ERROR(Read("gemm a 1\n"), Message(":1: gemm takes name out_features in_features, found 2 words after it"));
  EXPECT_ERROR(Read("gemm a 1 2 3\n"), Message(":1: gemm takes name out_features in_features, found 4 words"));
  EXPECT_ERROR(Read("norm a 0\n"), Message(":1: width is \"0\", not a number from 1 to 16777216"));
  EXPECT_ERROR(Read("norm a 1e3\n"), Message(":1: width is \"1e3\", not a number from 1 to"));
  EXPECT_ERROR(Read("norm a 99999999999999999999\n"), Message(":1: width is \"99999999999999999999\", not"));
  EXPECT_ERROR(Read("attention a 9 2 64\n"), Message(":1: 9 heads do not share 2 kv_heads evenly"));
  EXPECT_ERROR(Read("rope a 9 63\n"), Message(":1: head_dim 63 is odd, not pairs"));
  EXPECT_ERROR(Read("# nothing\n"), Message(": holds no shapes"));
}

// All copies hold the same values, and there are enough of them that none is still in a cache when its turn comes.
TEST(ColdWeights, AreCopiesOfOneMatrix) {
  ThreadPool pool(2);
  const PackedFormat format{.bits = 4, .group_size = 32, .symmetric = false};
  std::vector<float> first(96), last(96), rows(96);
  for (bool interleaved : {false, true}) {
    const ColdWeights weights(40, 96, format, interleaved, pool);
    ASSERT_GT(weights.views().size(), 1000u);
    EXPECT_GE(weights.bytes(), weights.views().size() * StoredBytes(weights.views()[0]));
    ReadRow(weights.views().front(), 39, first.data());
    ReadRow(weights.views().back(), 39, last.data());
    EXPECT_TRUE(Near(last, first, Exact()));
    if (interleaved) {
      EXPECT_TRUE(Near(first, rows, Exact()));
    }
    rows = first;
  }
}

TEST(KernelBench, TimesEveryOpWithEveryImplementation) {
  const std::vector<KernelShape> shapes = {{"gemm", "product", {48, 64}},
                                           {"attention", "attention", {4, 2, 16}},
                                           {"norm", "norm", {64}},
                                           {"rope", "rope", {4, 16}},
                                           {"swiglu", "swiglu", {96}}};
  ThreadPool pool(2);
  const KernelBenchResult result = BenchKernels(
      shapes, {.bits = {4, 16}, .group_size = 32, .rows = {1, 9}, .context_tok = 20, .budget_ms = 1}, pool);
  EXPECT_EQ(result.left_out, 0);
  EXPECT_GT(result.roof.read_Bps, 0);
  EXPECT_GE(result.roof.int8_ops, result.roof.float32_flops);
  std::map<std::string, std::set<std::string>> kernels;  // by op and weights
  std::set<std::string> dense;                           // kernels that are as fast as the fastest dense one
  for (const KernelRow& row : result.rows) {
    kernels[row.shape.op + " " + row.weights].insert(row.kernel);
    EXPECT_GE(row.timing.n, 3);
    EXPECT_TRUE(std::isfinite(row.roof_share) && row.roof_share > 0);
    EXPECT_EQ(row.to_dense.has_value(), row.shape.op == "gemm");
    if (row.weights == "BF16" && *row.to_dense >= 1) dense.insert(std::to_string(row.rows));
  }
  for (const char* what : {"gemm BF16", "gemm W4 g32 sym", "gemm W4 g32 sym interleaved", "attention f32",
                           "attention f16", "attention q8", "attention q4"})
    EXPECT_TRUE(kernels[what].contains("reference")) << what;
  for (const char* what : {"norm ", "rope ", "swiglu "}) EXPECT_TRUE(kernels[what].contains("portable")) << what;
  EXPECT_EQ(kernels.size(), 10u);
  EXPECT_EQ(dense, (std::set<std::string>{"1", "9"}));

  const Json json = ToJson(result, 2);
  EXPECT_EQ(json["schema"], "ecld.bench_kernels");
  EXPECT_EQ(json["schema_version"], "1.0.0");
  EXPECT_EQ(json["rows"].size(), result.rows.size());
  EXPECT_EQ(json["rows"][0]["sizes"], (Json{{"out_features", 48}, {"in_features", 64}}));
}

TEST(KernelBench, OnlyWhatWasAskedFor) {
  ThreadPool pool(1);
  const std::vector<KernelShape> shapes = {{"gemm", "product", {48, 64}}, {"norm", "norm", {64}}};
  const KernelBenchResult result =
      BenchKernels(shapes, {.bits = {16}, .rows = {2}, .kernel = "portable", .budget_ms = 1}, pool);
  ASSERT_EQ(result.rows.size(), 2u);
  EXPECT_EQ(result.rows[0].kernel, "portable");
  EXPECT_EQ(result.rows[1].kernel, "portable");
  EXPECT_ERROR(BenchKernels(shapes, {.kernel = "portabel"}, pool),
               "--kernel: no implementation is named \"portabel\" (did you mean portable?)");
  EXPECT_ERROR(BenchKernels(shapes, {.bits = {7}}, pool), "--bits, --group-size: ");
}

}  // namespace
}  // namespace ecld
