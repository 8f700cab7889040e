#pragma once
// Energy counters of this machine.
//
// Processors: RAPL through the kernel's powercap files (/sys/class/powercap): what the processor
// packages used, and the memory beside them where it has a counter. Not in it: the rest of the machine, and whatever
// else ran meanwhile. Zones that count the same again (core, uncore, psys, the -mmio twins) are left out.
//
// GPUs: NVML of the driver. The whole board's use, by its counter (Volta and later), else its power summed over time.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace ecld {

class EnergyMeter {
 public:
  virtual ~EnergyMeter() = default;
  virtual double Joules() = 0;             // used since an arbitrary moment. THROWS Error when it cannot be read
  virtual std::string source() const = 0;  // "rapl", "nvml", "nvml-power"
  virtual std::string scope() const = 0;   // "cpu-package+dram", "gpu"
};

// nullptr where the tree has no package counter. The counters wrap around; Joules() must be asked once per turn at
// least, which takes minutes at the power of any processor.
// THROWS Error when there is a counter that may not be read.
std::unique_ptr<EnergyMeter> OpenRapl(const std::filesystem::path& powercap = "/sys/class/powercap");

// The GPU at a PCI address ("0000:17:00.0", CudaDevice::pci_bus_id).
// THROWS Error saying why there is no meter: no such library, no such GPU, or one that tells neither energy nor power.
std::unique_ptr<EnergyMeter> OpenNvml(const std::string& pci_bus_id, const std::string& library = "libnvidia-ml.so.1");

// That of the GPU which programs run on (FindCudaDevice), or nullptr, with a warning of `who` that says why energy is
// not measured.
std::unique_ptr<EnergyMeter> OpenGpuMeter(const std::string& who);

// Mean power in watts over seconds without work.
double IdlePower(EnergyMeter& meter, double seconds);

}  // namespace ecld
