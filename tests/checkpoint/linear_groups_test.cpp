#include "checkpoint/linear_groups.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "checkpoint/features.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

// What the table says of the linears is what their shapes allow, in every family.
TEST(LinearGroups, FitTheTensorsOfEveryFamily) {
  for (Family family : kEveryFamily) {
    const ModelConfig config = ParseConfig(TinyConfigJson({.family = family, .head_dim = 24}), "config.json");
    const std::vector<TensorSpec> table = TensorTable(config);
    const auto in = [&](Role role) { return Find(table, role, 1).shape.at(1); };
    const auto out = [&](Role role) { return Find(table, role, 1).shape.at(0); };
    int64_t linears = 0;
    for (const TensorSpec& spec : table) {
      if (spec.layer != 1 || !spec.matrix()) continue;
      ASSERT_TRUE(IsBlockLinear(spec.role)) << spec.name;
      EXPECT_EQ(kBlockLinears.at(static_cast<size_t>(linears++)), spec.role) << spec.name;
    }
    EXPECT_EQ(linears, std::ssize(kBlockLinears));
    for (const LinearGroup& group : kLinearGroups) {
      const int64_t width = in(group.linears.front());
      for (Role linear : group.linears) {
        EXPECT_EQ(in(linear), width);
        EXPECT_EQ(SharesInput(linear), linear != group.linears.front());
        EXPECT_TRUE(!group.AddsToHidden() || out(linear) == config.hidden_size);
      }
      EXPECT_EQ(group.ReadsHidden(), FeedsGroup(group.feeder));
      EXPECT_EQ(width % out(group.feeder), 0) << "heads of v are shared";
      EXPECT_TRUE(!group.ReadsHidden() || width == config.hidden_size);
      EXPECT_EQ(group.ReadsHidden(), std::ranges::find(group.makers, group.feeder) == group.makers.end());
      EXPECT_TRUE(!group.out_norm || config.output_norms == (FindIn(table, *group.out_norm, 1) != nullptr));
    }
  }
}

TEST(Features, WhatWasNotTaughtIsNamed) {
  const auto refusal = [](const TinyOptions& options) {
    constexpr Feature kTaught[] = {Feature::kWindows, Feature::kRopeLinear};
    RequireTaught(ParseConfig(TinyConfigJson(options), "config.json"), kTaught, "m", "a machine");
  };
  refusal({});
  refusal({.family = Family::kMistral, .rope_scaling = RopeScaling::Kind::kLinear, .sliding_window = 5});
  EXPECT_ERROR(refusal({.bias = true}),
               "m: this llama model has biases of q, k and v, a bias of o, biases in the feed-forward layer; a machine "
               "cannot compute that");
  EXPECT_ERROR(refusal({.family = Family::kQwen3}), "this qwen3 model has norms of queries and keys; a machine");
  EXPECT_ERROR(refusal({.rope_scaling = RopeScaling::Kind::kYarn}), "this llama model has rope type \"yarn\";");
}

}  // namespace
}  // namespace ecld
