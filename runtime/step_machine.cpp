#include "runtime/step_machine.h"

#include <deque>

#include "core/error.h"
#include "kernels/cuda/graph.h"

namespace ecld {
namespace {

class CudaMachine final : public StepMachine {
 public:
  explicit CudaMachine(CudaDevice device) : device_(std::move(device)) {}

  std::string Name() const override { return device_.name; }
  std::byte* Allocate(uint64_t bytes) override {
    CudaBuffer& buffer = buffers_.emplace_back(std::max<uint64_t>(bytes, 1));
    buffer.Clear();
    return buffer.data();
  }
  void Write(std::byte* to, const void* from, uint64_t bytes) override { cuda::CopyToDevice(to, from, bytes); }
  void Read(void* to, const std::byte* from, uint64_t bytes) override { cuda::CopyFromDevice(to, from, bytes); }

  int Prepare(std::span<const StepLaunch> launches) override {
    graphs_.emplace_back().Record([&](CudaStream stream) {
      for (const StepLaunch& launch : launches) std::visit([&](const auto& step) { Start(step, stream); }, launch);
    });
    return static_cast<int>(graphs_.size()) - 1;
  }
  void Run(int list) override {
    CudaGraph& graph = graphs_[static_cast<size_t>(list)];
    graph.Run();
    graph.Wait();
  }

 private:
  void Start(const CudaGemmArgs& args, CudaStream stream) const { CudaGemm(args, device_, stream); }
  template <class Step>
  void Start(const Step& step, CudaStream stream) const {
    cuda::Queue(step, stream);
  }

  CudaDevice device_;
  std::deque<CudaBuffer> buffers_;
  std::deque<CudaGraph> graphs_;
};

}  // namespace

std::unique_ptr<StepMachine> OpenCudaMachine() {
  std::string why;
  std::optional<CudaDevice> device = FindCudaDevice(&why);
  if (!device) Fail("cuda", "there is no GPU to run on: {}", why);
  if (device->compute_capability < 80)
    Fail("cuda", "{} has compute capability {}.{}; the kernels need 8.0 or later", device->name,
         device->compute_capability / 10, device->compute_capability % 10);
  return std::make_unique<CudaMachine>(*device);
}

}  // namespace ecld
