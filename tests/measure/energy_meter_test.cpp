#include "measure/energy_meter.h"

#include <gtest/gtest.h>

#include "tests/testing/expect_error.h"
#include "tests/testing/powercap.h"

namespace ecld {
namespace {

TEST_F(Powercap, PackagesAndMemoryAreSummedNothingTwice) {
  Zone("intel-rapl:0", "package-0", 5'000'000);
  Zone("intel-rapl:0:0", "core", 1'000'000);
  Zone("intel-rapl:0:1", "uncore", 1'000'000);
  Zone("intel-rapl:0:2", "dram", 2'000'000);
  Zone("intel-rapl:1", "package-1", 7'000'000);
  Zone("intel-rapl:2", "psys", 9'000'000);
  Zone("intel-rapl-mmio:0", "package-0", 5'000'000);
  const auto meter = OpenRapl(Tree());
  ASSERT_TRUE(meter);
  EXPECT_EQ(meter->source(), "rapl");
  EXPECT_EQ(meter->scope(), "cpu-package+dram");
  EXPECT_EQ(meter->Joules(), 0);
  for (const char* zone : {"intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:2", "intel-rapl-mmio:0"})
    Count(zone, 100'000'000);
  EXPECT_EQ(meter->Joules(), 0);
  Count("intel-rapl:0", 6'500'000);
  Count("intel-rapl:0:2", 2'250'000);
  Count("intel-rapl:1", 7'125'000);
  EXPECT_DOUBLE_EQ(meter->Joules(), 1.5 + 0.25 + 0.125);
}

TEST_F(Powercap, ACounterThatTurnsOverGoesOn) {
  Zone("intel-rapl:0", "package-0", 900'000, 1'000'000);
  const auto meter = OpenRapl(Tree());
  EXPECT_EQ(meter->scope(), "cpu-package");
  Count("intel-rapl:0", 100'000);
  EXPECT_DOUBLE_EQ(meter->Joules(), 0.2);
  Count("intel-rapl:0", 950'000);
  Count("intel-rapl:0", 50'000);  // asked too late: one turn is lost, and none invented
  EXPECT_DOUBLE_EQ(meter->Joules(), 0.2 + 0.95);
}

TEST_F(Powercap, WithoutAPackageThereIsNoMeter) {
  EXPECT_FALSE(OpenRapl(temp_ / "nowhere"));
  Zone("intel-rapl:0:2", "dram", 0);
  EXPECT_FALSE(OpenRapl(Tree()));
}

TEST_F(Powercap, ACounterThatCannotBeReadIsAnError) {
  Zone("intel-rapl:0", "package-0", 0);
  WriteFileAtomically(Tree() / "intel-rapl:0/energy_uj", "");
  EXPECT_ERROR(OpenRapl(Tree()), "energy_uj: the energy counter cannot be read; it takes root");
}

}  // namespace
}  // namespace ecld
