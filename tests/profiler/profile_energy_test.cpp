// The energy of a profile, by meters that say what they are told.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "profiler/profile_device.h"
#include "profiler/profile_tables.h"
#include "tests/testing/near.h"
#include "tests/testing/powercap.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

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
  const DeviceProfile profile = MeasureProfile(options);
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
  const DeviceProfile none = MeasureProfile(options);
  EXPECT_EQ(none.provenance["power_source"], "none");
  EXPECT_FALSE(none.provenance.contains("power_problem"));
  EXPECT_TRUE(none.device["idle_W"].is_null());
  options.energy_window_s = 0.01;
  Zone("intel-rapl:0", "package-0", 500);
  const DeviceProfile frozen = MeasureProfile(options);
  EXPECT_EQ(frozen.provenance["power_source"], "none");
  EXPECT_NE(frozen.provenance["power_problem"].get<std::string>().find("do not move"), std::string::npos);
  EXPECT_FALSE(frozen.At("phase").Number(0, "prefill_J"));
  WriteFileAtomically(Tree() / "intel-rapl:0/energy_uj", "");
  const DeviceProfile unreadable = MeasureProfile(options);
  EXPECT_EQ(unreadable.provenance["power_source"], "none");
  EXPECT_NE(unreadable.provenance["power_problem"].get<std::string>().find("it takes root"), std::string::npos);
}

}  // namespace
}  // namespace ecld
