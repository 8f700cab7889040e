// What of gpu_gemm_bench needs no GPU.

#include <gtest/gtest.h>

#include "benchmarks/gpu_options.h"
#include "benchmarks/gpu_report.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

TEST(GpuBenchOptions, AreRead) {
  const GpuBenchOptions options = ParseGpuBenchOptions(
      {"--out", "results", "a.txt", "--bits", "4,8", "--rows", "1,64", "--group", "0", "--trust-wgmma", "b.txt"});
  EXPECT_EQ(options.shapes, (std::vector<std::string>{"a.txt", "b.txt"}));
  EXPECT_EQ(options.out, "results");
  EXPECT_EQ(options.bits, (std::vector<int64_t>{4, 8}));
  EXPECT_EQ(options.rows, (std::vector<int64_t>{1, 64}));
  EXPECT_EQ(options.group, 0);
  EXPECT_TRUE(options.trust_wgmma);
  EXPECT_FALSE(options.shapes_only);
  EXPECT_EQ(ParseGpuBenchOptions({"a.txt", "--shapes-only"}).rows.size(), 15u);
}

TEST(GpuBenchOptions, MistakesAreSaid) {
  EXPECT_ERROR(ParseGpuBenchOptions({}), "no file of shapes is given");
  EXPECT_ERROR(ParseGpuBenchOptions({"a.txt"}), "--out: is missing");
  EXPECT_ERROR(ParseGpuBenchOptions({"--row", "1"}), "no flag is named --row (did you mean --rows");
  EXPECT_ERROR(ParseGpuBenchOptions({"a.txt", "--out"}), "--out: a value is missing");
  EXPECT_ERROR(ParseGpuBenchOptions({"--rows", "1,,2"}), "--rows: \"\" is not a whole number from 1");
  EXPECT_ERROR(ParseGpuBenchOptions({"--rows", "0"}), "--rows: \"0\" is not a whole number from 1 to 65536");
  EXPECT_ERROR(ParseGpuBenchOptions({"--turns", "3,4"}), "--turns: takes one number, found \"3,4\"");
  EXPECT_ERROR(ParseGpuBenchOptions({"--bits", "6"}), "--bits: 6 bits; the CUDA products take 2, 3, 4 and 8");
  EXPECT_ERROR(ParseGpuBenchOptions({"--group", "96"}), "--group: 96 is none of 32, 64, 128");
}

GpuResult Result(std::string layer, int64_t m, std::string way, double us) {
  return {.model = "a",
          .layer = std::move(layer),
          .m = m,
          .n = 64,
          .k = 64,
          .way = std::move(way),
          .us = us,
          .low_us = us,
          .high_us = us,
          .cost = CostOf(m, 64, 64, nullptr)};
}

TEST(GpuReport, BlocksAreSumsOfTheFastest) {
  const std::vector<GpuResult> results = {Result("o", 1, "mma", 3),       Result("o", 1, "gemv", 2),
                                          Result("o", 1, "cublas", 9),    Result("o", 1, "cublaslt", 8),
                                          Result("o", 1, "wgmma", 1),     Result("down", 1, "gemv", 5),
                                          Result("down", 1, "cublas", 6), Result("lm_head", 1, "mma", 100),
                                          Result("o", 16, "mma", 4),      Result("o", 1, "torch_int4", 7)};
  const std::vector<GpuBlock> blocks = Blocks(results, false);
  ASSERT_EQ(blocks.size(), 2u);
  EXPECT_EQ(blocks[0].m, 1);
  EXPECT_EQ(blocks[0].ours_us, 7);
  EXPECT_EQ(blocks[0].cublas_us, 14);
  EXPECT_EQ(blocks[0].torch_us, 0);  // not timed for every layer
  EXPECT_EQ(blocks[1].cublas_us, 0);
  EXPECT_EQ(Blocks(results, true)[0].ours_us, 6);
  EXPECT_EQ(ToJson(blocks[0])["ratio_to_cublas"], 2.0);
  EXPECT_FALSE(ToJson(blocks[1]).contains("ratio_to_cublas"));
  EXPECT_FALSE(ToJson(blocks[0]).contains("torch_int4_us"));
}

TEST(GpuReport, RatesAndTheRoof) {
  const GpuResult result = Result("o", 32, "mma", 2);
  EXPECT_DOUBLE_EQ(result.BytesPerS(), result.cost.bytes / 2e-6);
  EXPECT_DOUBLE_EQ(result.FlopsPerS(), 2.0 * 32 * 64 * 64 / 2e-6);
  const GpuRoof roof = {.copy_Bps = 1e12, .bf16_flops = 1e13};
  const Chart chart = RooflineOf({Result("o", 1, "mma", 2), Result("o", 4096, "cublas", 9)}, roof, "a GPU");
  ASSERT_EQ(chart.series.size(), 3u);
  const std::vector<ChartPoint>& line = chart.series[0].points;
  ASSERT_EQ(line.size(), 3u);
  EXPECT_DOUBLE_EQ(line[0].y, line[0].x);  // memory: 1 operation per byte is 10^12 per second
  EXPECT_DOUBLE_EQ(line[1].x, 10);
  EXPECT_DOUBLE_EQ(line[2].y, 10);
  const std::string svg = SvgFile(chart);
  for (const char* part : {"roof", "mma", "cublas", "a GPU"}) EXPECT_NE(svg.find(part), std::string::npos) << part;
}

}  // namespace
}  // namespace ecld
