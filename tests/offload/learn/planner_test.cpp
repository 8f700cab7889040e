// What can be foretold before an answer is, and what cannot is not claimed.

#include "offload/learn/planner.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/offload/small_world.h"

namespace ecld::offload {
namespace {

// The device is right where it is sure, or where it is not, as the task goes; its answers are the longer the less sure
// it is. The server is right by chance.
SmallWorld PlannerWorld() {
  MadeModel phone = kPhoneModel, edge = kEdgeModel;
  for (size_t i = 0; i < 200; ++i) {
    const double uncertainty = static_cast<double>(i * 37 % 200) / 200;
    const bool noise = i * 7919 % 10 == 0;
    phone.items.push_back({.right = (std::abs(uncertainty - 0.5) < 0.25) != noise,
                           .tok = 5 + static_cast<int64_t>(100 * uncertainty),
                           .uncertainty = uncertainty});
    edge.items.push_back({.right = i * 7907 % 3 != 0, .tok = 8});
  }
  return SmallWorld(phone, edge);
}

TEST(Planner, ForetellsWhatTheUncertaintyAloneDoesNot) {
  const SmallWorld small = PlannerWorld();
  const World world = small.Load(kWithItems);
  const std::vector<NodeForetold> nodes = DistillPlanner(world, 1);
  ASSERT_EQ(nodes.size(), 2u);
  const NodeForetold& device = nodes[0];
  RecordProperty("auroc", std::to_string(*device.auroc));
  RecordProperty("auroc_uncertainty", std::to_string(*device.auroc_uncertainty));
  RecordProperty("calibration_error", std::to_string(device.calibration_error));
  RecordProperty("length_error", std::to_string(*device.length_error));
  EXPECT_EQ(device.node, "tiny-w4");
  EXPECT_EQ(device.items, 100);
  EXPECT_GT(*device.auroc, 0.8) << "right in the middle, and sure or not says nothing of that alone";
  EXPECT_NEAR(*device.auroc_uncertainty, 0.5, 0.12);
  EXPECT_EQ(*device.auroc_task, 0.5) << "one task: all the same";
  EXPECT_LT(device.calibration_error, 0.25) << "ten bins of ten items";
  EXPECT_LT(*device.length_error, 0.5 * *device.length_error_task);
  EXPECT_NEAR(*nodes[1].auroc, 0.5, 0.15) << "chance";
  EXPECT_LT(*nodes[1].length_error, 1);

  const Json lengths = PlannedLengths(world, device);
  EXPECT_EQ(lengths.size(), world.drawn.size()) << "none that was learned from";
  EXPECT_EQ(lengths.begin().key().substr(0, 5), "quiz/");
  EXPECT_EQ(ToJson(device)["auroc"].get<double>(), *device.auroc);
}

}  // namespace
}  // namespace ecld::offload
