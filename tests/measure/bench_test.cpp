#include "measure/bench.h"

#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "measure/load.h"
#include "measure/requests.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/host_machine.h"
#include "tests/testing/near.h"
#include "tests/testing/packed_checkpoint.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

constexpr double kReadBps = 1e9;

class BenchTest : public testing::Test {
 protected:
  BenchTest() { WriteTinyCheckpoint(temp_ / "model", {.tied = true}); }

  BenchResult Run(const BenchOptions& options) { return Bench(temp_ / "model", options, kReadBps, pool_); }

  TempDir temp_;
  ThreadPool pool_{2};
};

TEST_F(BenchTest, EveryBatchAtEveryDepthHasItsLine) {
  const BenchResult result =
      Run({.prompt_tok = 8, .gen_tok = 4, .depths_tok = {0, 6}, .batches = {1, 3}, .repetitions = 2});
  std::vector<std::string> tests;
  for (const BenchRow& row : result.rows) {
    tests.push_back(row.test);
    EXPECT_EQ(row.timing.n, 2);
    const double tokens = static_cast<double>(row.batch * row.tok);
    EXPECT_TRUE(Near(std::array{row.tok_per_s}, std::array{tokens * 1000 / row.timing.median_ms}, {.max_abs = 1e-6}));
    EXPECT_GT(row.kv_B, 0);
    const bool roof = row.decode && row.batch == 1;
    const double share = static_cast<double>(result.weights_B_per_tok) * row.tok_per_s / kReadBps;
    EXPECT_EQ(row.roof_share, roof ? share : 0) << row.test;
  }
  EXPECT_EQ(tests, (std::vector<std::string>{"pp8", "tg4", "pp8 B3", "tg4 B3", "pp8 @ d6", "tg4 @ d6", "pp8 B3 @ d6",
                                             "tg4 B3 @ d6"}));
}

TEST_F(BenchTest, AnUntiedEmbeddingIsReadByTheRow) {
  BenchResult tied = Run({.prompt_tok = 0, .gen_tok = 1, .repetitions = 1});
  EXPECT_EQ(tied.rows.size(), 1u) << "no prompt, no prefill test";
  EXPECT_EQ(tied.weights_B_per_tok, tied.weights_B);
  WriteTinyCheckpoint(temp_ / "untied", {.tied = false});
  BenchResult untied = Bench(temp_ / "untied", {.prompt_tok = 0, .gen_tok = 1, .repetitions = 1}, kReadBps, pool_);
  const int64_t row_B = WeightBytesByLayer(Checkpoint::Open(temp_ / "untied")).front() / 300;
  EXPECT_EQ(untied.weights_B - untied.weights_B_per_tok, 299 * row_B);
}

TEST_F(BenchTest, TheJsonHasWhatTheTableHas) {
  const BenchResult result = Run({.prompt_tok = 4, .gen_tok = 2, .repetitions = 1});
  const Json json = ToJson(std::vector{result}, {}, kReadBps, pool_);
  EXPECT_EQ(json["schema"], kBenchDocument.schema);
  EXPECT_EQ(json["device"]["threads"], 2);
  const Json& model = json["models"][0];
  EXPECT_EQ(model["formats"], "F32");
  EXPECT_EQ(model["tests"].size(), 2u);
  EXPECT_EQ(model["tests"][0]["roof_share"], nullptr) << "a prompt is not bound by reading weights";
  EXPECT_EQ(model["tests"][1]["tok_per_s"], result.rows[1].tok_per_s);
}

TEST_F(BenchTest, WhatCannotRunIsRefusedBeforeAnythingIsTimed) {
  EXPECT_ERROR(Run({.batches = {1, 0}}), "batch: found 0, expected 1 to");
  EXPECT_ERROR(Run({.depths_tok = {-1}}), "depth: found -1, expected 0 to");
  EXPECT_ERROR(Run({.prompt_tok = -1}), "prompt: found -1");
  EXPECT_ERROR(Run({.gen_tok = -1}), "generate: found -1");
  EXPECT_ERROR(Run({.repetitions = 0}), "repetitions: found 0");
  EXPECT_ERROR(Run({.prompt_tok = 500, .gen_tok = 1, .depths_tok = {13}}),
               "test pp500 @ d13 needs 513 positions, the model has 512");
  EXPECT_ERROR(Run({.prompt_tok = 512, .gen_tok = 0, .batches = {1 << 24}}), "of memory, ");
  EXPECT_ERROR(Bench(temp_ / "nowhere", {}, kReadBps, pool_), "nowhere: is not a checkpoint directory");
}

TEST_F(BenchTest, RewoundRequestsGoOnWhereTheyWereCutBack) {
  const RuntimeModel model(Checkpoint::Open(temp_ / "model"));
  Session session(model, pool_);
  Requests requests(session, 2, 12, 1);
  requests.Prefill(10);
  requests.Rewind(3);
  EXPECT_EQ(requests.length(), 3);
  requests.Step();
  requests.Prefill(8);
  EXPECT_EQ(requests.length(), 12);
}

// Three joules more each time it is asked.
class CountingMeter : public EnergyMeter {
 public:
  double Joules() override { return 3.0 * ++asked_; }
  std::string source() const override { return "nvml"; }
  std::string scope() const override { return "gpu"; }

 private:
  int asked_ = 0;
};

TEST_F(BenchTest, AGpuHasTheSameTestsForOneSequence) {
  WritePackedCheckpoint(temp_ / "w4", PackedFormat{.bits = 4, .group_size = 32}, {.dtype = DType::kBF16});
  const auto bench = [&](const BenchOptions& options, EnergyMeter* meter) {
    return BenchGpu(temp_ / "w4", options, {.prompt_rows = 4}, std::make_unique<HostMachine>(), kReadBps, meter, pool_);
  };
  CountingMeter meter;
  const BenchResult result =
      bench({.prompt_tok = 6, .gen_tok = 2, .depths_tok = {0, 3}, .repetitions = 1, .energy_window_s = 0}, &meter);
  EXPECT_EQ(result.backend, "host");
  EXPECT_EQ(result.formats, "W4 g32 sym");
  EXPECT_GT(result.load_ms, 0);
  std::vector<std::string> tests;
  for (const BenchRow& row : result.rows) {
    tests.push_back(row.test);
    EXPECT_EQ(row.timing.n, 1);
    EXPECT_DOUBLE_EQ(row.J_per_tok, 3.0 / static_cast<double>(row.tok));
    EXPECT_EQ(row.roof_share > 0, row.decode);
    EXPECT_GT(row.kv_B, 0);
  }
  EXPECT_EQ(tests, (std::vector<std::string>{"pp6", "tg2", "pp6 @ d3", "tg2 @ d3"}));
  const Json json = ToJson(std::vector{result}, {}, kReadBps, pool_);
  EXPECT_EQ(json["models"][0]["backend"], "host");
  EXPECT_DOUBLE_EQ(json["models"][0]["tests"][0]["J_per_tok"].get<double>(), 0.5);

  const BenchResult unmetered = bench({.prompt_tok = 0, .gen_tok = 1, .repetitions = 1}, nullptr);
  EXPECT_TRUE(ToJson(std::vector{unmetered}, {}, kReadBps, pool_)["models"][0]["tests"][0]["J_per_tok"].is_null());
  EXPECT_ERROR(bench({.batches = {1, 2}}, nullptr), "batch: a GPU runs one sequence at a time");
  EXPECT_ERROR(bench({.prompt_tok = 513}, nullptr), "test pp513 needs 513 positions, the model has 512");
}

}  // namespace
}  // namespace ecld
