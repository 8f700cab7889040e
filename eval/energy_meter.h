#pragma once
// Energy counters of this machine. RAPL through the kernel's powercap files (/sys/class/powercap): what the processor
// packages used, and the memory beside them where it has a counter. Not in it: the rest of the machine, and whatever
// else ran meanwhile. Zones that count the same again (core, uncore, psys, the -mmio twins) are left out.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace ecld {

class EnergyMeter {
 public:
  virtual ~EnergyMeter() = default;
  virtual double Joules() = 0;             // used since an arbitrary moment. THROWS Error when it cannot be read
  virtual std::string source() const = 0;  // "rapl"
  virtual std::string scope() const = 0;   // "cpu-package+dram"
};

// nullptr where the tree has no package counter. The counters wrap around; Joules() must be asked once per turn at
// least, which takes minutes at the power of any processor.
// THROWS Error when there is a counter that may not be read.
std::unique_ptr<EnergyMeter> OpenRapl(const std::filesystem::path& powercap = "/sys/class/powercap");

// Mean power in watts over seconds without work.
double IdlePower(EnergyMeter& meter, double seconds);

}  // namespace ecld
