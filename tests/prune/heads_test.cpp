#include "prune/heads.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "prune/ffn.h"
#include "tests/prune/silenced.h"
#include "tests/quantize/compressed_logits.h"
#include "tests/runtime/tiny_model.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/run_pass.h"

namespace ecld {
namespace {

std::vector<float> RuntimeLogits(const std::filesystem::path& directory) {
  const RuntimeModel model(Checkpoint::Open(directory));
  ThreadPool pool(1);
  Session session(model, pool);
  KvCache cache(model);
  return RunTokens(session, cache, SomeTokens(24));
}

class PruneHeads : public CompressedLogits {
 protected:
  PruneHeads() : CompressedLogits(24) {}
  // Three groups of two heads.
  void WriteHeads(Family family) {
    Write({.family = family,
           .bias = family == Family::kLlama || family == Family::kQwen3,
           .sliding_window = 5,
           .head_dim = 16,
           .num_heads = 6,
           .num_kv_heads = 3});
  }
};

TEST_F(PruneHeads, TakesSilentOnesFirstAndNoLogitMoves) {
  // The second head of the first group, and the first of the others; and the whole second group.
  const std::vector<int64_t> heads = {1, 2, 4}, group = {2, 3};
  for (Family family : kEveryFamily) {
    WriteHeads(family);
    for (const auto& silent : {heads, group}) {
      const std::string name = fmt::format("silent{}", silent.size());
      WriteSilenced(case_ / "in", case_ / name, [&](const TensorSpec& spec, int64_t, int64_t column) {
        return spec.role == Role::kOutput && !spec.bias && std::ranges::find(silent, column / 16) != silent.end();
      });
      const bool whole = silent.size() == 2;
      for (Score score : {Score::kMagnitude, Score::kFluctuation, Score::kTaylor, Score::kObs}) {
        const PruneHeadsPass pass({.heads = whole ? 0 : 3, .kv_heads = whole ? 2 : 0, .removal = {.score = score}});
        const auto out = case_ / fmt::format("{}-{}", name, static_cast<int>(score));
        const Json report = RunPass(pass, case_ / name, out, windows_);
        for (const Json& row : report["blocks"])
          EXPECT_EQ(row["kept_heads"], whole ? Json({0, 1, 4, 5}) : Json({0, 3, 5}));
        const ModelConfig config = Checkpoint::Open(out).config();
        EXPECT_EQ(config.num_heads, whole ? 4 : 3);
        EXPECT_EQ(config.num_kv_heads, whole ? 2 : 3);
        EXPECT_EQ(ToJson(config)["head_dim"], 16);
        EXPECT_TRUE(Near(RuntimeLogits(out), RuntimeLogits(case_ / name), {.max_abs = 1e-4})) << Name(family);
      }
    }
  }
}

TEST_F(PruneHeads, RepairBringsTheOutputNearer) {
  WriteHeads(Family::kLlama);
  windows_ = RandomWindows(64, 24, config_.vocab_size);
  for (bool groups : {false, true}) {
    PruneHeadsOptions options{.heads = groups ? 0 : 3, .kv_heads = groups ? 2 : 0};
    const std::string cut = fmt::format("cut{}", groups), repaired = fmt::format("repaired{}", groups);
    options.removal = {.score = Score::kActivation, .repair = false};
    RunPass(PruneHeadsPass(options), case_ / "in", case_ / cut, windows_);
    options.removal.repair = true;
    RunPass(PruneHeadsPass(options), case_ / "in", case_ / repaired, windows_);
    const TokenWindows others = RandomWindows(8, 24, config_.vocab_size, 9);
    EXPECT_LT(Divergence(repaired.c_str(), others), Divergence(cut.c_str(), others)) << groups;
  }
}

TEST_F(PruneHeads, TakesGroupsAndHeadsOfThoseLeftInOneStage) {
  WriteHeads(Family::kQwen3);
  const Json report = RunPass(PruneHeadsPass({.heads = 2, .kv_heads = 2}), case_ / "in", case_ / "out", windows_);
  for (const Json& row : report["blocks"]) {
    const auto heads = row["kept_heads"].get<std::vector<int64_t>>();
    ASSERT_EQ(heads.size(), 2u);
    EXPECT_NE(heads[0] / 2, heads[1] / 2) << "one of each group";
  }
}

// After channels were shared out too; each keeps what the other left.
TEST_F(PruneHeads, ChosenRatiosAreWrittenForEachBlock) {
  Write({.bias = true, .head_dim = 16, .num_heads = 9, .num_kv_heads = 3});
  RunPass(PruneFfnPass({.ratio = 1.0 / 3, .multiple_of = 16, .ratios = {.chosen = true, .rounds = 0}}), case_ / "in",
          case_ / "ffn", windows_);
  const std::vector<LayerSizes> before = SizesOfLayers(Checkpoint::Open(case_ / "ffn").config());
  for (bool groups : {false, true}) {
    const std::string out = fmt::format("chosen{}", groups);
    const Json report = RunPass(
        PruneHeadsPass({.heads = groups ? 0 : 6, .kv_heads = groups ? 2 : 0, .ratios = {.chosen = true, .rounds = 2}}),
        case_ / "ffn", case_ / out, windows_);
    const std::vector<LayerSizes> sizes = SizesOfLayers(Checkpoint::Open(case_ / out).config());
    int64_t left = 0;
    for (size_t layer = 0; layer < sizes.size(); ++layer) {
      EXPECT_EQ(sizes[layer].intermediate_size, before[layer].intermediate_size);
      EXPECT_EQ(std::ssize(report["blocks"][layer]["kept_heads"]), sizes[layer].num_heads);
      EXPECT_EQ(report["blocks"][layer]["of"], 9);
      left += groups ? sizes[layer].num_kv_heads : sizes[layer].num_heads / 3;
    }
    EXPECT_EQ(left, std::ssize(sizes) * 2);
    double least = report["ratios"][0]["kl_nats"];
    for (const Json& round : report["ratios"]) least = std::min(least, round["kl_nats"].get<double>());
    EXPECT_LE(least, report["ratios"][0]["kl_nats"]);
  }
}

TEST_F(PruneHeads, InterruptedRunEndsInTheSameBytes) {
  WriteHeads(Family::kQwen2);
  const PruneHeadsPass pass({.heads = 3});
  RunPass(pass, case_ / "in", case_ / "whole", windows_);
  const Checkpoint whole = Checkpoint::Open(case_ / "whole");
  {
    CheckpointWriter writer(case_ / "resumed", whole.config());
    for (const auto& spec : writer.table())
      if (spec.layer < 1) writer.CopyFrom(whole, spec);
    writer.Commit(true);
  }
  RunPass(pass, case_ / "in", case_ / "resumed", windows_);
  EXPECT_EQ(CheckpointBytes(case_ / "resumed"), CheckpointBytes(case_ / "whole"));
}

TEST_F(PruneHeads, PlansWhatWillBeAndRefusesWhatCannot) {
  WriteHeads(Family::kLlama);
  const PlanInput input = PlanInputOf(Checkpoint::Open(case_ / "in"), windows_);
  const Planned planned = PruneHeadsPass({.heads = 3}).Plan(input);
  EXPECT_EQ(planned.output_B, WeightFileBytes(planned.config));
  EXPECT_EQ(planned.notes.back(), "query heads 6 -> 3, key and value heads 3 -> 3 in every block");
  EXPECT_ERROR(PruneHeadsPass({}).Plan(input), "stages[0]: neither heads nor kv_heads says what to keep of 6 query");
  EXPECT_ERROR(PruneHeadsPass({.kv_heads = 4}).Plan(input), "stages[0].kv_heads: 4 is more than the 3 there are");
  EXPECT_ERROR(
      PruneHeadsPass({.heads = 5}).Plan(input),
      "stages[0].heads: 5 of 6 query heads cannot be kept: each of the 3 key and value heads kept is read by as "
      "many, 1 to 2; the nearest that can be is 6");
  EXPECT_ERROR(PruneHeadsPass({.heads = 6, .kv_heads = 2}).Plan(input), "the nearest that can be is 4");
  EXPECT_ERROR(PruneHeadsPass({.heads = 1}).Plan(input), "the nearest that can be is 3");
}

}  // namespace
}  // namespace ecld
