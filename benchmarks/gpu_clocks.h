#pragma once
// Clocks, power and temperature of a GPU as its management library (NVML) says; none of it is changed. The
// library is opened when it is asked for.

#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/json.h"
#include "core/shared_library.h"

namespace ecld {

class GpuClocks {
 public:
  // The GPU at this address ("0000:17:00.0"). THROWS Error where there is no NVML, or it knows none there.
  explicit GpuClocks(const std::string& pci_bus_id) : library_(SharedLibrary::Open("NVML", {"libnvidia-ml.so.1"})) {
    int status = library_.Function<int()>("nvmlInit_v2")();
    if (status == 0)
      status =
          library_.Function<int(const char*, void**)>("nvmlDeviceGetHandleByPciBusId_v2")(pci_bus_id.c_str(), &device_);
    if (status != 0) Fail(library_.name(), "status {}", status);
  }

  // What can be read now.
  Json Read() const {
    constexpr int kSm = 1, kMemory = 2, kGpuTemperature = 0;
    Json read = Json::object();
    unsigned value = 0;
    const auto clock = library_.Function<int(void*, int, unsigned*)>("nvmlDeviceGetClockInfo");
    if (clock(device_, kSm, &value) == 0) read["sm_MHz"] = value;
    if (clock(device_, kMemory, &value) == 0) read["memory_MHz"] = value;
    if (library_.Function<int(void*, unsigned*)>("nvmlDeviceGetPowerUsage")(device_, &value) == 0)
      read["power_W"] = value / 1000.0;
    if (library_.Function<int(void*, int, unsigned*)>("nvmlDeviceGetTemperature")(device_, kGpuTemperature, &value) ==
        0)
      read["temperature_C"] = value;
    return read;
  }

 private:
  SharedLibrary library_;
  void* device_ = nullptr;
};

// What GpuClocks reads, or why it cannot.
inline Json ReadClocks(const std::string& pci_bus_id) {
  try {
    return GpuClocks(pci_bus_id).Read();
  } catch (const Error& error) {
    return {{"unknown", error.what()}};
  }
}

}  // namespace ecld
