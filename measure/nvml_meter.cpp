// The energy of a GPU through NVML, NVIDIA's management library, which comes with the driver: opened when asked for.

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/log.h"
#include "core/shared_library.h"
#include "kernels/cuda/device.h"
#include "measure/energy_meter.h"

namespace ecld {
namespace {

constexpr int kNotSupported = 3;  // NVML_ERROR_NOT_SUPPORTED
constexpr double kJoulesPerMilli = 1e-3;

// What is used of NVML, as its reference declares it.
class Nvml {
 public:
  Nvml(const std::string& library, const std::string& pci_bus_id)
      : library_(SharedLibrary::Open("NVML", {library})),
        total_energy_(library_.Function<int(void*, unsigned long long*)>("nvmlDeviceGetTotalEnergyConsumption")),
        power_usage_(library_.Function<int(void*, unsigned*)>("nvmlDeviceGetPowerUsage")) {
    Check(library_.Function<int()>("nvmlInit_v2")(), "cannot be started");
    const int status =
        library_.Function<int(const char*, void**)>("nvmlDeviceGetHandleByPciBusId_v2")(pci_bus_id.c_str(), &device_);
    if (status == 0) return;
    Shutdown();
    Check(status, "knows no GPU at " + pci_bus_id);
  }
  ~Nvml() { Shutdown(); }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  bool HasCounter() const {
    unsigned long long energy_mJ = 0;
    const int status = total_energy_(device_, &energy_mJ);
    if (status != kNotSupported) Check(status, "cannot read the energy counter");
    return status == 0;
  }
  double CounterJoules() const {
    unsigned long long energy_mJ = 0;
    Check(total_energy_(device_, &energy_mJ), "cannot read the energy counter");
    return static_cast<double>(energy_mJ) * kJoulesPerMilli;
  }
  double Watts() const {
    unsigned power_mW = 0;
    Check(power_usage_(device_, &power_mW), "cannot read the power");
    return power_mW * kJoulesPerMilli;
  }

 private:
  void Shutdown() const { library_.Function<int()>("nvmlShutdown")(); }
  void Check(int status, const std::string& what) const {
    if (status == 0) return;
    Fail("NVML", "{}: {}", what, library_.Function<const char*(int)>("nvmlErrorString")(status));
  }

  SharedLibrary library_;
  int (*total_energy_)(void*, unsigned long long*);
  int (*power_usage_)(void*, unsigned*);
  void* device_ = nullptr;
};

class CounterMeter : public EnergyMeter {
 public:
  explicit CounterMeter(std::unique_ptr<Nvml> nvml) : nvml_(std::move(nvml)) {}
  double Joules() override { return nvml_->CounterJoules(); }
  std::string source() const override { return "nvml"; }
  std::string scope() const override { return "gpu"; }

 private:
  std::unique_ptr<Nvml> nvml_;
};

// Power times time, read every few milliseconds on a thread of its own: for GPUs without a counter.
class PowerMeter : public EnergyMeter {
 public:
  explicit PowerMeter(std::unique_ptr<Nvml> nvml)
      : nvml_(std::move(nvml)), last_W_(nvml_->Watts()), last_(Clock::now()), thread_([this] {
          while (!done_) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            Add();
          }
        }) {}
  ~PowerMeter() override {
    done_ = true;
    thread_.join();
  }
  double Joules() override {
    Add();
    const std::lock_guard lock(mutex_);
    if (!problem_.empty()) throw Error("", problem_);
    return joules_;
  }
  std::string source() const override { return "nvml-power"; }
  std::string scope() const override { return "gpu"; }

 private:
  using Clock = std::chrono::steady_clock;

  void Add() {
    const std::lock_guard lock(mutex_);
    try {
      const double now_W = nvml_->Watts();
      const Clock::time_point now = Clock::now();
      joules_ += (last_W_ + now_W) / 2 * std::chrono::duration<double>(now - last_).count();
      last_W_ = now_W;
      last_ = now;
    } catch (const Error& error) {
      problem_ = error.what();
    }
  }

  std::unique_ptr<Nvml> nvml_;
  std::mutex mutex_;
  double joules_ = 0, last_W_;
  Clock::time_point last_;
  std::string problem_;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<EnergyMeter> OpenNvml(const std::string& pci_bus_id, const std::string& library) {
  auto nvml = std::make_unique<Nvml>(library, pci_bus_id);
  if (nvml->HasCounter()) return std::make_unique<CounterMeter>(std::move(nvml));
  return std::make_unique<PowerMeter>(std::move(nvml));
}

std::unique_ptr<EnergyMeter> OpenGpuMeter(const std::string& who) {
  try {
    std::string why;
    const std::optional<CudaDevice> device = FindCudaDevice(&why);
    if (!device) Fail("cuda", "there is no GPU to measure: {}", why);
    return OpenNvml(device->pci_bus_id);
  } catch (const Error& error) {
    LogWarning("{}: energy is not measured: {}", who, error.what());
    return nullptr;
  }
}

}  // namespace ecld
