#include "eval/energy_meter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "core/files.h"
#include "eval/profile_device.h"
#include "eval/profile_tables.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// A tree as the kernel lays it out.
class Powercap : public testing::Test {
 protected:
  void Zone(const std::string& directory, const std::string& name, uint64_t count, uint64_t range = 1'000'000'000) {
    fs::create_directories(Tree() / directory);
    WriteFileAtomically(Tree() / directory / "name", name + "\n");
    WriteFileAtomically(Tree() / directory / "max_energy_range_uj", std::to_string(range) + "\n");
    Count(directory, count);
  }
  void Count(const std::string& directory, uint64_t count) {
    WriteFileAtomically(Tree() / directory / "energy_uj", std::to_string(count) + "\n");
  }
  fs::path Tree() const { return temp_ / "powercap"; }

  TempDir temp_;
};

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

// Watts times time, whatever is done meanwhile.
class SteadyMeter : public EnergyMeter {
 public:
  explicit SteadyMeter(double watts) : watts_(watts) {}
  double Joules() override {
    return watts_ * std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  std::string source() const override { return "rapl"; }
  std::string scope() const override { return "cpu-package"; }

 private:
  double watts_;
};

TEST(Energy, IsPowerTimesTheTimesOfTheRow) {
  TempDir temp;
  WriteTinyCheckpoint(temp / "model", {.tied = true});
  const RuntimeModel model(Checkpoint::Open(temp / "model"));
  ThreadPool pool(1);
  SteadyMeter meter(8);
  EXPECT_TRUE(Near(std::array{IdlePower(meter, 0.02)}, std::array{8.0}, Relative(0.02)));
  const ProfileGrid grid{.prompts_tok = {16}, .batches = {1, 2}, .gen_tok = 4, .op_rows = {}};
  const Table phase = MeasurePhases(model, pool, grid, TimeBudget(0), {.meter = &meter, .seconds = 0.05}).phase.table;
  ASSERT_EQ(phase.rows().size(), 2u);
  for (size_t row = 0; row < 2; ++row) {
    const double batch = *phase.Number(row, "batch");
    EXPECT_TRUE(Near(std::array{*phase.Number(row, "prefill_J"), *phase.Number(row, "decode_J_per_tok") * batch},
                     std::array{8 * *phase.Number(row, "prefill_ms") / 1000, 8 * *phase.Number(row, "tpot_ms") / 1000},
                     Relative(0.02)));
    EXPECT_EQ(*phase.Count(row, "idle_sub_J"), 0);
  }
}

// A counter that goes on with time, at ten watts.
TEST_F(Powercap, AProfileHasTheEnergyOfItsCounter) {
  WriteTinyCheckpoint(temp_ / "model", {.tied = true});
  Zone("intel-rapl:0", "package-0", 0, uint64_t{1} << 60);
  std::atomic<bool> done = false;
  std::thread counter([&] {
    const auto start = std::chrono::steady_clock::now();
    while (!done) {
      const std::chrono::duration<double, std::micro> passed = std::chrono::steady_clock::now() - start;
      Count("intel-rapl:0", static_cast<uint64_t>(10 * passed.count()));
    }
  });
  ProfileOptions options{.model = temp_ / "model", .out = temp_ / "profile"};
  options.budget_s = 0.01;
  options.energy_window_s = 0.15;
  options.powercap = Tree();
  const DeviceProfile profile = ProfileDevice(options);
  done = true;
  counter.join();
  EXPECT_EQ(profile.provenance["power_source"], "rapl");
  EXPECT_EQ(profile.provenance["power_scope"], "cpu-package");
  EXPECT_EQ(profile.provenance["energy_window_s"], 0.15);
  EXPECT_GE(profile.device["idle_W"].get<double>(), 0);
  ASSERT_FALSE(profile.At("phase").rows().empty());
  EXPECT_TRUE(profile.At("phase").Number(0, "prefill_J"));
  EXPECT_TRUE(profile.At("phase").Number(0, "decode_J_per_tok"));
}

TEST_F(Powercap, TheProfileSaysWhichMeterItWasOrWhyThereWasNone) {
  WriteTinyCheckpoint(temp_ / "model", {.tied = true});
  ProfileOptions options{.model = temp_ / "model", .out = temp_ / "profile"};
  options.budget_s = 0.01;
  options.powercap = Tree();
  const DeviceProfile none = ProfileDevice(options);
  EXPECT_EQ(none.provenance["power_source"], "none");
  EXPECT_FALSE(none.provenance.contains("power_problem"));
  EXPECT_TRUE(none.device["idle_W"].is_null());
  options.energy_window_s = 0.01;
  Zone("intel-rapl:0", "package-0", 500);
  const DeviceProfile frozen = ProfileDevice(options);
  EXPECT_EQ(frozen.provenance["power_source"], "none");
  EXPECT_NE(frozen.provenance["power_problem"].get<std::string>().find("do not move"), std::string::npos);
  EXPECT_FALSE(frozen.At("phase").Number(0, "prefill_J"));
  WriteFileAtomically(Tree() / "intel-rapl:0/energy_uj", "");
  const DeviceProfile unreadable = ProfileDevice(options);
  EXPECT_EQ(unreadable.provenance["power_source"], "none");
  EXPECT_NE(unreadable.provenance["power_problem"].get<std::string>().find("it takes root"), std::string::npos);
}

}  // namespace
}  // namespace ecld
