#include "measure/device.h"

#include <gtest/gtest.h>

namespace ecld {
namespace {

TEST(DeviceFacts, AreThoseOfThisMachine) {
  DeviceFacts facts = ReadDeviceFacts();
  EXPECT_GE(facts.cores, 1);
  EXPECT_GT(facts.memory_B, 0u);
  EXPECT_FALSE(facts.cpu.empty());
  EXPECT_FALSE(facts.isa.empty());
  ThreadPool pool(1);
  EXPECT_GT(MeasureReadBandwidth(pool), 0);
}

}  // namespace
}  // namespace ecld
