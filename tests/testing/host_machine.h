#pragma once
// The machine of a GPU decoder made of the host: its lists run through the executor, kernel by kernel.

#include <cstring>

#include "runtime/step_machine.h"
#include "tests/testing/host_gpu.h"

namespace ecld {

class HostMachine final : public StepMachine {
 public:
  std::string Name() const override { return "host"; }
  std::byte* Allocate(uint64_t bytes) override { return gpu_.New<std::byte>(static_cast<int64_t>(bytes)); }
  void Write(std::byte* to, const void* from, uint64_t bytes) override {
    gpu_.memory.Check(to, bytes, 1, true, true);
    std::memcpy(to, from, bytes);
  }
  void Read(void* to, const std::byte* from, uint64_t bytes) override {
    gpu_.memory.Check(from, bytes, 1, false, true);
    std::memcpy(to, from, bytes);
  }
  int Prepare(std::span<const StepLaunch> launches) override {
    lists_.emplace_back(launches.begin(), launches.end());
    return static_cast<int>(lists_.size()) - 1;
  }
  void Run(int list) override {
    for (const StepLaunch& launch : lists_[static_cast<size_t>(list)])
      std::visit([&](const auto& step) { Start(step); }, launch);
  }

  const std::vector<StepLaunch>& List(int list) const { return lists_[static_cast<size_t>(list)]; }

 private:
  void Start(const CudaGemmArgs& args) {
    gpu_.Run(args, args.m <= 2 ? HostGpu::Product::kGemv : HostGpu::Product::kMma);
  }
  template <class Step>
  void Start(const Step& step) {
    gpu_.Run(step);
  }

  HostGpu gpu_;
  std::vector<std::vector<StepLaunch>> lists_;
};

}  // namespace ecld
