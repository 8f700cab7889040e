#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <thread>

#include "core/shared_library.h"
#include "kernels/cuda/device.h"
#include "measure/energy_meter.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

constexpr const char* kBusId = "0000:17:00.0";

class NvmlMeter : public testing::Test {
 protected:
  void Answer(bool has_counter, unsigned long long energy_mJ, unsigned power_mW, bool fails = false) {
    library_.Function<void(bool, unsigned long long, unsigned, bool)>("FakeNvmlAnswer")(has_counter, energy_mJ,
                                                                                        power_mW, fails);
  }
  int Opened() { return library_.Function<int()>("FakeNvmlOpened")(); }

  SharedLibrary library_ = SharedLibrary::Open("the fake of NVML", {ECLD_FAKE_NVML});
};

TEST_F(NvmlMeter, TheCounterIsReadWhereThereIsOne) {
  Answer(true, 5'000, 0);
  {
    const auto meter = OpenNvml(kBusId, ECLD_FAKE_NVML);
    EXPECT_EQ(meter->source(), "nvml");
    EXPECT_EQ(meter->scope(), "gpu");
    const double before = meter->Joules();
    Answer(true, 7'250, 0);
    EXPECT_DOUBLE_EQ(meter->Joules() - before, 2.25);
    Answer(true, 7'250, 0, true);
    EXPECT_ERROR(meter->Joules(), "NVML: cannot read the energy counter: GPU is lost");
    EXPECT_EQ(Opened(), 1);
  }
  EXPECT_EQ(Opened(), 0);
}

TEST_F(NvmlMeter, PowerIsSummedWhereThereIsNoCounter) {
  Answer(false, 0, 40'000);
  const auto meter = OpenNvml(kBusId, ECLD_FAKE_NVML);
  EXPECT_EQ(meter->source(), "nvml-power");
  const auto start = std::chrono::steady_clock::now();
  const double before = meter->Joules();
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  const double joules = meter->Joules() - before;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GE(joules, 40 * 0.06 * 0.99);
  EXPECT_LE(joules, 40 * seconds);
  Answer(false, 0, 40'000, true);
  EXPECT_ERROR(meter->Joules(), "NVML: cannot read the power: Not Supported");
}

TEST_F(NvmlMeter, WhyThereIsNoneIsSaid) {
  Answer(true, 0, 0);
  EXPECT_ERROR(OpenNvml("0000:99:00.0", ECLD_FAKE_NVML), "NVML: knows no GPU at 0000:99:00.0: Not Found");
  EXPECT_EQ(Opened(), 0);
  Answer(false, 0, 0, true);
  EXPECT_ERROR(OpenNvml(kBusId, ECLD_FAKE_NVML), "NVML: cannot read the power: Not Supported");
  EXPECT_EQ(Opened(), 0);
  EXPECT_ERROR(OpenNvml(kBusId, "libnvidia-ml-of-nowhere.so.1"),
               "NVML: no library of it could be opened; looked for libnvidia-ml-of-nowhere.so.1");
  EXPECT_ERROR(OpenNvml(kBusId, "libc.so.6"), "libc.so.6: has no function nvml");
}

TEST(GpuMeter, WithoutAGpuThereIsNone) {
  if (FindCudaDevice()) GTEST_SKIP() << "there is a GPU";
  EXPECT_FALSE(OpenGpuMeter("test"));
}

}  // namespace
}  // namespace ecld
