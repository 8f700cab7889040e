#include "quantize/allocate.h"

#include <gtest/gtest.h>

#include "quantize/gptq.h"
#include "quantize/rotate.h"
#include "quantize/round.h"
#include "tests/quantize/compressed_logits.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

using Formats = std::vector<std::optional<PackedFormat>>;
const Formats kFormats = {PackedFormat{2, 32, false}, PackedFormat{3, 32, false}, PackedFormat{4, 32, false},
                          PackedFormat{8, 32, false}};

class Allocate : public CompressedLogits {
 protected:
  Allocate() : CompressedLogits(16) {}

  AllocateOptions Bits(double bits_per_weight) {
    AllocateOptions options;
    options.bits_per_weight = bits_per_weight;
    options.formats = kFormats;
    options.measured = true;
    options.sensitivity.sample_tok = 64;
    return options;
  }
  Json Run(const AllocateOptions& options) {
    std::filesystem::remove_all(case_ / "allocated");
    return RunPass(AllocatePass(options), case_ / "in", case_ / "allocated", windows_);
  }
  void Round(const char* out) {
    RunPass(RoundPass({.scheme = {}, .clip = Clip::kMse}), case_ / "allocated", case_ / out, windows_);
  }
  std::vector<double> Costs(const Json& report, const std::string& unit) {
    for (const Json& row : report["units"])
      if (row["name"] == unit) return row["kl_nats"].get<std::vector<double>>();
    return {};
  }
};

TEST_F(Allocate, TheWrittenBytesAreThoseAllocatedAndKeepTheBudget) {
  for (const auto& [options, bits] : {std::pair{TinyOptions{.dtype = DType::kBF16, .tied = true}, 4.1},
                                      {TinyOptions{.family = Family::kQwen2, .dtype = DType::kBF16}, 20.0},
                                      {TinyOptions{.family = Family::kQwen3, .tied = true, .head_dim = 32}, 5.0}}) {
    Write(options);
    const Json report = Run(Bits(bits));
    Round("out");
    const uint64_t written = Checkpoint::Open(case_ / "out").WeightBytes();
    EXPECT_EQ(report["allocated_B"], written);
    EXPECT_LE(static_cast<double>(written), bits * static_cast<double>(ParameterCount(config_)) / 8);
    EXPECT_EQ(Checkpoint::Open(case_ / "allocated").config().allocation->weights_B, written);
    EXPECT_FALSE(Checkpoint::Open(case_ / "out").config().source.contains(kAllocationKey));
  }
}

TEST_F(Allocate, ABudgetMayBeUsedToTheLastByte) {
  Write({.dtype = DType::kBF16, .tied = true});
  const uint64_t bytes = Run(Bits(5.0))["allocated_B"];
  AllocateOptions in_MB = Bits(0);
  in_MB.budget_MB = static_cast<double>(bytes) / 1e6;
  EXPECT_EQ(Run(in_MB)["allocated_B"], bytes);
}

TEST_F(Allocate, MoreBitsCostLess) {
  Write({.dtype = DType::kBF16, .tied = true});
  for (bool exact : {false, true}) {
    AllocateOptions options = Bits(5);
    options.sensitivity.exact = exact;
    const Json report = Run(options);
    EXPECT_EQ(report["units"].size(), 9u);  // four of each block, and the embedding
    for (const Json& row : report["units"]) {
      const auto kl = row["kl_nats"].get<std::vector<double>>();
      ASSERT_EQ(kl.size(), kFormats.size());
      for (size_t i = 1; i < kl.size(); ++i) EXPECT_LT(kl[i], kl[i - 1]) << row["name"] << (exact ? " exact" : "");
      EXPECT_GT(kl.back(), 0);
    }
  }
}

TEST_F(Allocate, ACostIsTheDivergenceOfTheModelWithThatMatrixRounded) {
  Write({.dtype = DType::kBF16, .tied = true});
  AllocateOptions options = Bits(5);
  options.sensitivity.exact = true;
  options.fuse = false;
  const Json exact = Run(options);
  options.sensitivity.exact = false;
  const Json quick = Run(options);
  const size_t anchor = 2;
  EXPECT_EQ(quick["anchor"], "W4 g32 asym");
  TokenWindows first{16, {windows_.windows.begin(), windows_.windows.begin() + 4}};
  for (const char* unit : {"model.layers.0.self_attn.k_proj", "model.layers.1.mlp.down_proj", "model.embed_tokens"}) {
    RoundOptions round{.scheme = {.format = *kFormats[anchor], .overrides = {{unit, kFormats[anchor]}, {"*", {}}}},
                       .clip = Clip::kMse};
    std::filesystem::remove_all(case_ / "one");
    RunPass(RoundPass(round), case_ / "in", case_ / "one");
    const double kl = Divergence("one", first);
    EXPECT_TRUE(
        Near(std::vector{Costs(exact, unit)[anchor], Costs(quick, unit)[anchor]}, std::vector{kl, kl}, Relative(1e-3)))
        << unit;
  }
}

TEST_F(Allocate, CostsOfCurvatureFallWithBitsAndAddUpToWhatRoundingByItCosts) {
  for (bool tied : {true, false}) {
    Write({.dtype = DType::kBF16, .tied = tied});
    AllocateOptions options = Bits(8);
    options.measured = false;
    const Json report = Run(options);
    EXPECT_EQ(report["units"].size(), tied ? 9u : 10u);
    double sum = 0;
    for (const Json& row : report["units"]) {
      const auto kl = row["kl_nats"].get<std::vector<double>>();
      for (size_t i = 1; i < kl.size(); ++i) EXPECT_LT(kl[i], kl[i - 1]) << row["name"];
      EXPECT_GT(kl.back(), 0);
      sum += kl[2];
    }
    Scheme scheme{.format = *kFormats[2], .embeddings = kFormats[2]};
    if (!tied) scheme.lm_head = kFormats[2];
    RunPass(GptqPass({.scheme = scheme, .output_kl = true}), case_ / "in", case_ / "w4", windows_);
    const double measured = Divergence("w4", windows_);
    EXPECT_NEAR(std::log(sum / measured), 0, 0.5) << sum << " " << measured;
  }
}

TEST_F(Allocate, TheStageAfterItTakesItsStatistics) {
  for (Family family : kEveryFamily) {
    Write({.family = family, .dtype = DType::kBF16});
    AllocateOptions options = Bits(8);
    options.measured = false;
    Run(options);
    const std::filesystem::path made = case_ / "allocated.statistics", used = case_ / "out.statistics";
    std::filesystem::rename(made, used);
    RunPass(GptqPass({.output_kl = true}), case_ / "allocated", case_ / "out", windows_);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(used), {}), 1) << static_cast<int>(family);
  }
}

TEST_F(Allocate, CostsOfCurvatureAreKeptForOtherBudgetsAndNoOtherQuestion) {
  Write({.dtype = DType::kBF16});
  AllocateOptions options = Bits(8);
  options.measured = false;
  const Json first = Run(options);
  std::filesystem::path kept;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(case_ / "allocated.statistics"))
    if (entry.path().filename().string().starts_with("costs-")) kept = entry.path();
  ASSERT_FALSE(kept.empty());
  Json costs = ReadJsonFile(kept);
  const std::string unit = first["units"][0]["name"];
  costs["kl_nats"][unit][0] = 1234.5;
  WriteJsonFile(kept, costs);
  options.bits_per_weight = 6;
  EXPECT_EQ(Costs(Run(options), unit)[0], 1234.5);
  options.curvature.output_damping = 2;
  EXPECT_NE(Costs(Run(options), unit)[0], 1234.5);
}

TEST_F(Allocate, FusedNeighboursShareAFormat) {
  Write({.dtype = DType::kBF16});
  Run(Bits(4.6));
  const Checkpoint allocated = Checkpoint::Open(case_ / "allocated");
  const QuantizationConfig& formats = allocated.config().allocation->formats;
  auto format = [&](int layer, const char* name) {
    return formats.FormatOf(fmt::format("model.layers.{}.{}", layer, name), "Linear");
  };
  for (int layer : {0, 1}) {
    EXPECT_EQ(format(layer, "self_attn.q_proj"), format(layer, "self_attn.v_proj"));
    EXPECT_EQ(format(layer, "self_attn.q_proj"), format(layer, "self_attn.k_proj"));
    EXPECT_EQ(format(layer, "mlp.gate_proj"), format(layer, "mlp.up_proj"));
  }
}

TEST_F(Allocate, EndsAndDenseMatricesAreChoices) {
  Write({.dtype = DType::kBF16});
  AllocateOptions ends = Bits(12);
  ends.embeddings = ends.lm_head = false;
  EXPECT_EQ(Run(ends)["units"].size(), 8u);
  Round("ends");
  const Checkpoint rounded = Checkpoint::Open(case_ / "ends");
  EXPECT_FALSE(Find(rounded.table(), Role::kEmbedding).format);
  EXPECT_FALSE(Find(rounded.table(), Role::kHead).format);

  AllocateOptions dense = Bits(13);
  dense.formats.emplace_back(std::nullopt);
  Run(dense);
  Round("dense");
  int64_t stayed = 0;
  const Checkpoint some = Checkpoint::Open(case_ / "dense");
  for (const TensorSpec& spec : some.table()) stayed += spec.matrix() && !spec.format ? 1 : 0;
  EXPECT_GT(stayed, 0);
  dense.bits_per_weight = 17;
  EXPECT_ERROR(Run(dense), "the budget holds all matrices as they are; there is nothing to allocate");
}

TEST_F(Allocate, IsResumedFromItsRows) {
  Write({.dtype = DType::kBF16, .tied = true});
  const AllocatePass pass(Bits(5));
  const Checkpoint in = Checkpoint::Open(case_ / "in");
  const ModelConfig planned = pass.Plan(PlanInputOf(in, windows_)).config;
  auto run = [&](const char* out) {
    CheckpointWriter writer(case_ / out, planned);
    Json report = Json::object(), decided = Json::object();
    ThreadPool pool(1);
    PassContext context;
    context.pool = &pool;
    context.calibration = &windows_;
    context.report = &report;
    context.decided = &decided;
    context.rows = ReportRows(case_ / "rows.jsonl");
    pass.Run(in, writer, context);
    return std::pair(decided, report["units"]);
  };
  const auto whole = run("a");
  const std::string rows = ReadTextFile(case_ / "rows.jsonl");
  size_t cut = 0;
  for (int line = 0; line < 4; ++line) cut = rows.find('\n', cut) + 1;
  WriteFileAtomically(case_ / "rows.jsonl", rows.substr(0, cut + 10));  // four units, and a line that a kill cut off
  EXPECT_EQ(run("b"), whole);
  EXPECT_EQ(run("c"), whole) << "all measured";
}

TEST_F(Allocate, SaysWhatIsWrong) {
  Write({.dtype = DType::kBF16, .tied = true});
  EXPECT_ERROR(Run(Bits(0)), "stages[0]: give budget_MB or bits_per_weight, one of them; found 0 and 0");
  AllocateOptions both = Bits(4);
  both.budget_MB = 1;
  EXPECT_ERROR(Run(both), "one of them; found 1 and 4");
  EXPECT_ERROR(Run(Bits(2)), "bytes is below the");
  EXPECT_ERROR(RunPass(AllocatePass(Bits(4)), case_ / "in", case_ / "x"), "needs calibration text");
}

TEST_F(Allocate, TheStageAfterItTakesTheChoiceOrRefuses) {
  Write({.dtype = DType::kBF16, .tied = true});
  Run(Bits(5));
  RoundOptions named{.scheme = {.format = {4, 32, true}, .embeddings = PackedFormat{8, 32, true}}};
  EXPECT_ERROR(
      RunPass(RoundPass(named), case_ / "allocated", case_ / "x"),
      "stages[0]: quantize.allocate chose the format of every matrix; leave out embeddings, lm_head and overrides");
  RunPass(RotatePass(RotateOptions{}), case_ / "allocated", case_ / "rotated");  // unties the head
  EXPECT_ERROR(RunPass(RoundPass(RoundOptions{}), case_ / "rotated", case_ / "y"),
               "the model was changed after quantize.allocate chose its formats: they would take");
  const Planned planned = RoundPass(RoundOptions{}).Plan(PlanInputOf(Checkpoint::Open(case_ / "allocated"), windows_));
  EXPECT_EQ(planned.notes[0],
            "formats are those that quantize.allocate chose; this stage's bits, group_size, symmetric do not count");
  EXPECT_EQ(planned.output_B, Checkpoint::Open(case_ / "allocated").config().allocation->weights_B);
}

TEST_F(Allocate, ThePlanKeepsTheBudgetAndCountsItsWork) {
  Write({.dtype = DType::kBF16});
  const Checkpoint in = Checkpoint::Open(case_ / "in");
  PlanInput input = PlanInputOf(in, windows_);
  MachineRates rates(1e9, 1e9);
  input.rates = &rates;
  AllocateOptions options = Bits(5);
  const Planned quick = AllocatePass(options).Plan(input);
  options.sensitivity.exact = true;
  const Planned exact = AllocatePass(options).Plan(input);
  EXPECT_GT(exact.seconds, 1.5 * quick.seconds);
  EXPECT_GT(exact.peak_memory_B, quick.peak_memory_B);
  EXPECT_LE(static_cast<double>(quick.config.allocation->weights_B),
            5.0 * static_cast<double>(ParameterCount(config_)) / 8);
  EXPECT_EQ(quick.output_B, WeightFileBytes(config_));
}

}  // namespace
}  // namespace ecld
