// A library with the functions of NVML that ECLD calls, and one by which a test says what they answer.

#include <cstring>

namespace {

bool open_ = false;
bool has_counter_ = true, fails_ = false;
unsigned long long energy_mJ_ = 0;
unsigned power_mW_ = 0;
int opened_ = 0;

}  // namespace

extern "C" {

void FakeNvmlAnswer(bool has_counter, unsigned long long energy_mJ, unsigned power_mW, bool fails) {
  has_counter_ = has_counter;
  energy_mJ_ = energy_mJ;
  power_mW_ = power_mW;
  fails_ = fails;
}
int FakeNvmlOpened() { return opened_; }  // how often it was started and not shut down

int nvmlInit_v2() {
  open_ = true;
  ++opened_;
  return 0;
}
int nvmlShutdown() {
  open_ = --opened_ > 0;
  return 0;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  if (!open_) return 1;
  if (std::strcmp(bus_id, "0000:17:00.0") != 0) return 6;
  *device = &energy_mJ_;
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* energy_mJ) {
  if (!open_ || device != &energy_mJ_) return 1;
  if (!has_counter_) return 3;
  if (fails_) return 15;
  *energy_mJ = energy_mJ_;
  return 0;
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* power_mW) {
  if (!open_ || device != &energy_mJ_) return 1;
  if (fails_) return 3;
  *power_mW = power_mW_;
  return 0;
}
const char* nvmlErrorString(int status) {
  switch (status) {
    case 3:
      return "Not Supported";
    case 6:
      return "Not Found";
    case 15:
      return "GPU is lost";
    default:
      return "Uninitialized";
  }
}
}
