#include "prune/layers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/prune/silenced.h"
#include "tests/quantize/compressed_logits.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"

namespace ecld {
namespace {

class PruneLayers : public CompressedLogits {
 protected:
  PruneLayers() : CompressedLogits(24) {}
  void WriteLayers(Family family) {
    Write({.family = family, .sliding_window = family == Family::kLlama ? 0 : 5, .num_layers = 6});
    windows_ = RandomWindows(4, 24, config_.vocab_size);
  }
  // The blocks that add nothing to the states.
  void Silence(const std::vector<int64_t>& layers) {
    WriteSilenced(case_ / "in", case_ / "silent", [&](const TensorSpec& spec, int64_t, int64_t) {
      return (spec.role == Role::kOutput || spec.role == Role::kDown) &&
             std::ranges::find(layers, spec.layer) != layers.end();
    });
  }
};

// Windows of what is left too: each layer keeps its own.
TEST_F(PruneLayers, SilentBlocksGoFirstAndNoLogitMoves) {
  for (Family family : kEveryFamily) {
    WriteLayers(family);
    Silence({0, 3});
    const Json report = RunPass(PruneLayersPass({.remove = 2}), case_ / "silent", case_ / "out", windows_);
    EXPECT_EQ(report["layers"], Json({1, 2, 4, 5})) << Name(family);
    const Checkpoint out = Checkpoint::Open(case_ / "out"), silent = Checkpoint::Open(case_ / "silent");
    EXPECT_EQ(out.config().num_layers, 4);
    EXPECT_TRUE(Near(out.ReadFloats(Find(out.table(), Role::kUp, 2)),
                     silent.ReadFloats(Find(silent.table(), Role::kUp, 4)), Exact()));
    EXPECT_EQ((ModelLogits(out, windows_) - ModelLogits(silent, windows_)).abs().max().item<double>(), 0);
  }
}

TEST_F(PruneLayers, MeasuresEveryBlockAndSaysWhatEachIsWorth) {
  WriteLayers(Family::kLlama);
  const Json report = RunPass(PruneLayersPass({.remove = 2}), case_ / "in", case_ / "out", windows_);
  const Json& removed = report["removed"];
  ASSERT_EQ(removed.size(), 2u);
  EXPECT_EQ(removed[0]["candidates"].size(), 6u);
  EXPECT_EQ(removed[1]["candidates"].size(), 5u);
  for (const Json& row : removed)
    for (const Json& candidate : row["candidates"]) EXPECT_GE(candidate["kl_nats"], row["kl_nats"]);
  EXPECT_NEAR(removed[1]["kl_nats"].get<double>(), Divergence("out", windows_), 1e-4);
  EXPECT_LT(report["sizes"]["after"]["params"], report["sizes"]["before"]["params"]);
}

TEST_F(PruneLayers, GoesOnWithWhatAKilledRunHasMeasured) {
  WriteLayers(Family::kMistral);
  const auto rows = [&](const char* name) { return ReportRows(case_ / name); };
  RunPass(PruneLayersPass({.remove = 2}), case_ / "in", case_ / "whole", windows_, nullptr, rows("whole.rows"));
  // Killed between the first and the second block.
  const std::string text = ReadFile(case_ / "whole.rows");
  WriteFileAtomically(case_ / "rows", text.substr(0, text.find('\n') + 1) + "{\"half");
  RunPass(PruneLayersPass({.remove = 2}), case_ / "in", case_ / "resumed", windows_, nullptr, rows("rows"));
  EXPECT_EQ(CheckpointBytes(case_ / "resumed"), CheckpointBytes(case_ / "whole"));
  EXPECT_EQ(ReportRows(case_ / "rows").All().size(), 2u);
}

TEST(WithLayers, CutsEveryListOfLayersAndKeepsEachWindow) {
  for (Family family : {Family::kQwen2, Family::kQwen3, Family::kGemma3}) {
    Json json = TinyConfigJson({.family = family, .sliding_window = 5, .num_layers = 6});
    json["some_layer_list"] = {0, 1, 2, 3, 4, 5};
    json["eos_token_id"] = {1, 2, 3, 4, 5, 6};
    const ModelConfig config = ParseConfig(json, "config.json");
    const ModelConfig cut = WithLayers(config, {0, 2, 3, 5});
    const ModelConfig read = ParseConfig(ToJson(cut), "config.json");
    EXPECT_EQ(read.num_layers, 4);
    EXPECT_EQ(read.sliding_window, cut.sliding_window) << Name(family);
    EXPECT_EQ(read.sliding_window[1], config.sliding_window[2]);
    EXPECT_EQ(read.source["some_layer_list"], Json({0, 2, 3, 5}));
    EXPECT_EQ(read.eos_ids.size(), 6u);
  }
}

TEST_F(PruneLayers, PlansWhatIsLeftAndRefusesToLeaveNothing) {
  WriteLayers(Family::kLlama);
  const PlanInput input = PlanInputOf(Checkpoint::Open(case_ / "in"), windows_);
  const Planned planned = PruneLayersPass({.remove = 2}).Plan(input);
  EXPECT_EQ(planned.output_B, WeightFileBytes(planned.config));
  EXPECT_EQ(planned.notes[0], "4 of 6 blocks are left; which, the measurement decides");
  EXPECT_ERROR(PruneLayersPass({.remove = 6}).Plan(input), "stages[0].remove: 6 of 6 blocks cannot go; 1 to 5 can");
  PlanInput uneven = input;
  uneven.config = ParseConfig(TinyConfigJson({.num_layers = 6, .uneven = true}), "config.json");
  EXPECT_ERROR(PruneLayersPass({}).Plan(uneven), "stages[0]: blocks differ in size");
}

}  // namespace
}  // namespace ecld
