#include "quantize/gptq.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "quantize/round.h"
#include "tests/quantize/compressed_logits.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"

namespace ecld {
namespace {

class Gptq : public CompressedLogits {
 protected:
  Gptq() : CompressedLogits(32) {}

  void InterruptedRunEndsInTheSameBytes(const GptqPass& pass) {
    const std::filesystem::path rows = case_ / "rows.jsonl";
    const Json whole_report = RunPass(pass, case_ / "in", case_ / "whole", windows_, nullptr, ReportRows(rows));
    RunPass(pass, case_ / "in", case_ / "again", windows_);
    EXPECT_EQ(CheckpointBytes(case_ / "again"), CheckpointBytes(case_ / "whole"));
    const Checkpoint whole = Checkpoint::Open(case_ / "whole");
    {
      // Killed in the second block, after its first matrix.
      CheckpointWriter writer(case_ / "resumed", whole.config());
      for (const auto& spec : writer.table())
        if (spec.layer == 0 || (spec.layer == 1 && spec.role == Role::kQuery)) writer.CopyFrom(whole, spec);
      writer.Commit(true);
    }
    const Json report = RunPass(pass, case_ / "in", case_ / "resumed", windows_, nullptr, ReportRows(rows));
    EXPECT_EQ(CheckpointBytes(case_ / "resumed"), CheckpointBytes(case_ / "whole"));
    EXPECT_EQ(report, whole_report) << "what was found out before the kill is in it";
  }
};

TEST_F(Gptq, ChangesLogitsLessThanRoundingInEveryFamily) {
  for (Family family : kEveryFamily) {
    const bool tied = family == Family::kLlama || family == Family::kQwen2;
    Write({.family = family, .dtype = DType::kBF16, .tied = tied, .bias = family == Family::kLlama});
    Scheme scheme{{3, 32, false}, PackedFormat{8, 32, true}};
    if (!tied) scheme.lm_head = PackedFormat{4, 0, false};
    RunPass(RoundPass({scheme, Clip::kMse}), case_ / "in", case_ / "rounded");
    const Json report = RunPass(GptqPass({scheme}), case_ / "in", case_ / "gptq", windows_);
    EXPECT_LT(LogitError("gptq"), 0.9 * LogitError("rounded")) << static_cast<int>(family) << tied;
    for (const auto& row : report["tensors"]) {
      if (!row.contains("bits")) continue;
      EXPECT_FALSE(row.contains("degraded"));
      EXPECT_GT(row["relative_error"].get<double>(), 0) << row.dump();
      if (row["name"] != "model.embed_tokens.weight") {
        EXPECT_LT(row["output_error"].get<double>(), row["relative_error"].get<double>()) << row.dump();
      }
    }
  }
}

TEST_F(Gptq, ByTheCurvatureOfKlKeepsTheModelsOutputNearerInEveryFamily) {
  for (Family family : kEveryFamily) {
    const bool tied = family == Family::kLlama || family == Family::kQwen2;
    Write({.family = family, .dtype = DType::kBF16, .tied = tied});
    const Scheme scheme{{2, 32, false}};
    RunPass(GptqPass({.scheme = scheme}), case_ / "in", case_ / "layer", windows_);
    const Json report = RunPass(GptqPass({.scheme = scheme, .output_kl = true}), case_ / "in", case_ / "kl", windows_);
    EXPECT_LT(Divergence("kl", windows_), Divergence("layer", windows_)) << static_cast<int>(family);
    for (const auto& row : report["tensors"]) EXPECT_EQ(row.contains("bits"), row.contains("output_error"));
  }
}

TEST_F(Gptq, RunsOnRaggedGroupsAndLeavesDenseWhatTheSchemeLeavesDense) {
  Write({.dtype = DType::kBF16});
  Scheme scheme{{4, 40, true}};
  scheme.overrides = {{"*.1.self_attn.*", std::nullopt}, {"*.down_proj", PackedFormat{8, 64, false}}};
  RunPass(GptqPass({scheme}), case_ / "in", case_ / "out", windows_);
  const Checkpoint in = Checkpoint::Open(case_ / "in"), out = Checkpoint::Open(case_ / "out");
  EXPECT_TRUE(Find(out.table(), Role::kGate, 1).format->Ragged(64));
  const TensorSpec& dense = Find(out.table(), Role::kOutput, 1);
  EXPECT_FALSE(dense.format);
  EXPECT_TRUE(Near(out.ReadFloats(dense), in.ReadFloats(dense), Exact()));
}

TEST_F(Gptq, InterruptedRunEndsInTheSameBytes) {
  for (bool output_kl : {false, true}) {
    Write({.dtype = DType::kBF16, .tied = true});
    InterruptedRunEndsInTheSameBytes(
        GptqPass({.scheme = {{4, 32, false}, PackedFormat{4, 32, true}}, .output_kl = output_kl}));
  }
}

TEST_F(Gptq, ADeadBlockIsRoundedAndReportedAsDegraded) {
  Write({});
  const Checkpoint in = Checkpoint::Open(case_ / "in");
  CheckpointWriter writer(case_ / "dead", config_);
  for (const auto& spec : in.table()) {
    std::vector<float> values = in.ReadFloats(spec);
    if (spec.role == Role::kGate && spec.layer == 1) std::fill(values.begin(), values.end(), 0.0f);
    writer.WriteFloats(spec, values);
  }
  writer.Finish(case_ / "in");
  const Json report = RunPass(GptqPass({}), case_ / "dead", case_ / "out", windows_);
  for (const auto& row : report["tensors"]) {
    if (!row.contains("bits")) continue;
    const bool dead = row["name"] == "model.layers.1.mlp.down_proj.weight";
    EXPECT_EQ(row.contains("degraded"), dead);
    EXPECT_EQ(row["silent_inputs"].get<int64_t>(), dead ? 96 : 0) << row.dump();
    EXPECT_EQ(row["output_error"].is_null(), dead);
  }
  // The gate shuts out what the up projection puts out.
  const Json by_kl = RunPass(GptqPass({.output_kl = true}), case_ / "dead", case_ / "by_kl", windows_);
  for (const auto& row : by_kl["tensors"]) {
    const bool lost =
        row["name"] == "model.layers.1.mlp.down_proj.weight" || row["name"] == "model.layers.1.mlp.up_proj.weight";
    EXPECT_EQ(row.contains("degraded"), lost) << row.dump();
  }
}

TEST_F(Gptq, PlansBytesMemoryAndRefusesWhatCannotWork) {
  Write({.tied = true});
  PlanInput input = PlanInputOf(Checkpoint::Open(case_ / "in"), windows_);
  MachineRates rates(1e9, 1e9);
  input.rates = &rates;
  const Planned planned = GptqPass({}).Plan(input);
  EXPECT_EQ(planned.output_B, WeightFileBytes(planned.config));
  EXPECT_GT(planned.peak_memory_B, 0u);
  EXPECT_GT(planned.seconds, 0);
  EXPECT_ERROR(GptqPass({.hessian = {.damping = 0}}).Plan(input), "stages[0].damping: 0 is not above 0");
  EXPECT_ERROR(GptqPass({.scheme = {.lm_head = PackedFormat{}}}).Plan(input), "stages[0].lm_head: the head of this");
  EXPECT_ERROR(GptqPass({}).Plan(PlanInputOf(Checkpoint::Open(case_ / "in"), {})), "needs calibration text");
  input.config = planned.config;
  EXPECT_ERROR(GptqPass({}).Plan(input), "the model is quantized already");
}

}  // namespace
}  // namespace ecld
