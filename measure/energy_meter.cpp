#include "measure/energy_meter.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

#include "core/error.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;
constexpr double kJoulesPerCount = 1e-6;

std::string FirstLine(const fs::path& path) {
  std::ifstream stream(path);
  std::string line;
  std::getline(stream, line);
  return line;
}

uint64_t ReadCount(const fs::path& path) {
  std::ifstream stream(path);
  uint64_t count = 0;
  if (!(stream >> count))
    Fail(path.string(), "the energy counter cannot be read; it takes root, or the file made readable (chmod a+r)");
  return count;
}

// One counter, added up over its turns.
class Zone {
 public:
  explicit Zone(const fs::path& directory)
      : counter_(directory / "energy_uj"),
        last_(ReadCount(counter_)),
        range_(ReadCount(directory / "max_energy_range_uj")) {}

  uint64_t Used() {
    const uint64_t now = ReadCount(counter_);
    used_ += now >= last_ ? now - last_ : range_ - last_ + now;
    last_ = now;
    return used_;
  }

 private:
  fs::path counter_;
  uint64_t last_, range_, used_ = 0;
};

class Rapl : public EnergyMeter {
 public:
  Rapl(std::vector<Zone> zones, bool memory) : zones_(std::move(zones)), memory_(memory) {}
  double Joules() override {
    uint64_t used = 0;
    for (Zone& zone : zones_) used += zone.Used();
    return static_cast<double>(used) * kJoulesPerCount;
  }
  std::string source() const override { return "rapl"; }
  std::string scope() const override { return memory_ ? "cpu-package+dram" : "cpu-package"; }

 private:
  std::vector<Zone> zones_;
  bool memory_;
};

}  // namespace

std::unique_ptr<EnergyMeter> OpenRapl(const fs::path& powercap) {
  std::vector<Zone> zones;
  bool package = false, memory = false;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(powercap, error)) {
    if (!entry.path().filename().string().starts_with("intel-rapl:")) continue;
    const std::string name = FirstLine(entry.path() / "name");
    if (!name.starts_with("package") && name != "dram") continue;
    package |= name != "dram";
    memory |= name == "dram";
    zones.emplace_back(entry.path());
  }
  if (!package) return nullptr;
  return std::make_unique<Rapl>(std::move(zones), memory);
}

double IdlePower(EnergyMeter& meter, double seconds) {
  const auto start = std::chrono::steady_clock::now();
  const double before = meter.Joules();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const double joules = meter.Joules() - before;
  return joules / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace ecld
