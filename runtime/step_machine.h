#pragma once
// What a decoder on a GPU computes with: memory, and lists of launches that are made once and run for every token. The
// one machine of the programs is CUDA's, where a list becomes a graph; the tests have another, which runs the same
// lists on the host.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "kernels/cuda/steps.h"
#include "kernels/gemm/cuda/gemm.h"

namespace ecld {

using StepLaunch = std::variant<cuda::GatherStep, cuda::NormStep, cuda::RotateStep, cuda::AttendStep, cuda::GateStep,
                                cuda::ArgmaxStep, cuda::DenseStep, CudaGemmArgs>;

class StepMachine {
 public:
  virtual ~StepMachine() = default;

  virtual std::string Name() const = 0;
  // Zeros on 256 bytes, for as long as the machine lives. THROWS Error where there is too little memory.
  virtual std::byte* Allocate(uint64_t bytes) = 0;
  // To and from memory of the machine; done when they return.
  virtual void Write(std::byte* to, const void* from, uint64_t bytes) = 0;
  virtual void Read(void* to, const std::byte* from, uint64_t bytes) = 0;
  // Keeps a list of launches and returns its number. THROWS Error where the machine cannot run one of them.
  virtual int Prepare(std::span<const StepLaunch> launches) = 0;
  // Runs a list and waits for it.
  virtual void Run(int list) = 0;
};

// THROWS Error where there is no GPU, or this program was built without CUDA.
std::unique_ptr<StepMachine> OpenCudaMachine();

}  // namespace ecld
