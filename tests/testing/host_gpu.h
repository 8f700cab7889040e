#pragma once
// A GPU made of the host: memory, and every kernel of the runtime run whole by the executor (gpu_executor.h).
//
//   HostGpu gpu;
//   float* hidden = gpu.New<float>(rows * width, NAN);
//   gpu.Run(cuda::NormStep{...});

#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "kernels/attention/cuda/attend.h"
#include "kernels/cuda/early.h"
#include "kernels/elementwise/cuda/rotate.h"
#include "kernels/elementwise/cuda/rows.h"
#include "kernels/gemm/cuda/dense_step.h"
#include "kernels/gemm/cuda/gemm.h"
#include "kernels/gemm/cuda/gemv.h"
#include "kernels/gemm/cuda/mma.h"
#include "tests/testing/gpu_executor.h"

namespace ecld {

class HostGpu {
 public:
  enum class Product { kGemv, kMma };

  // Memory on 256 bytes, as a device gives it, of exactly this size; freed with the GPU.
  template <class T>
  T* New(int64_t count, T value = T{}) {
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
    blocks_.emplace_back(static_cast<std::byte*>(std::aligned_alloc(256, (bytes + 255) / 256 * 256)));
    T* begin = reinterpret_cast<T*>(blocks_.back().get());
    std::fill_n(begin, count, value);
    memory.Writable(begin, bytes);
    return begin;
  }
  template <class T>
  T* New(const std::vector<T>& values) {
    T* begin = New<T>(static_cast<int64_t>(values.size()));
    std::copy(values.begin(), values.end(), begin);
    return begin;
  }

  template <class Step>
  void Run(const Step& step, bool backwards = false) {
    cuda::WithKernel(step, [&](const auto& kernel) {
      const cuda::LaunchShape shape = kernel.Shape();
      GpuExecutor& executor = Executor(std::decay_t<decltype(kernel)>::kThreads);
      executor.memory.AllAfterPrevious();
      const auto body = [&](GpuThread& thread) { cuda::RunAfterPrevious(thread, kernel); };
      executor.Launch({shape.x, shape.y, shape.z}, shape.shared_bytes, body, backwards);
    });
  }

  void Run(const CudaGemmArgs& args, Product kernel, bool backwards = false) {
    const cuda::Product product = cuda::MakeProduct(args, 0, args.m);
    cuda::WithFormat(args.weight.format.bits, args.type, [&](auto bits, auto type) {
      constexpr int kBits = decltype(bits)::value;
      constexpr DType kType = decltype(type)::value;
      kernel == Product::kGemv ? Gemv<kBits, kType>(product, backwards) : Mma<kBits, kType>(product, backwards);
    });
  }

  GpuGlobalMemory memory;

 private:
  // Each has its threads' stacks, so they are kept.
  GpuExecutor& Executor(int threads) {
    auto& executor = executors_[threads];
    if (!executor) executor = std::make_unique<GpuExecutor>(threads);
    executor->memory = memory;
    return *executor;
  }

  template <int kBits, DType kType>
  void Gemv(const cuda::Product& product, bool backwards) {
    const GpuGrid grid = {(product.out_features + 15) / 16, 1, 1};
    const auto body = [&](GpuThread& machine) {
      product.m == 1 ? cuda::GemvBody<kBits, kType, 1>(machine, product)
                     : cuda::GemvBody<kBits, kType, 2>(machine, product);
    };
    Executor(cuda::kGemvWarps * 32).Launch(grid, cuda::GemvSharedBytes(product.m), body, backwards);
  }

  template <int kBits, DType kType>
  void Mma(const cuda::Product& product, bool backwards) {
    switch (cuda::MmaColumns(product.m)) {
      case 1:
        return MmaOf<kBits, kType, 1>(product, backwards);
      case 2:
        return MmaOf<kBits, kType, 2>(product, backwards);
      case 4:
        return MmaOf<kBits, kType, 4>(product, backwards);
      default:
        return MmaOf<kBits, kType, 6>(product, backwards);
    }
  }

  template <int kBits, DType kType, int kColumns>
  void MmaOf(const cuda::Product& product, bool backwards) {
    const GpuGrid grid = {product.tiles_n, product.splits, (product.m + 8 * kColumns - 1) / (8 * kColumns)};
    const auto body = [&](GpuThread& machine) { cuda::MmaBody<kBits, kType, kColumns>(machine, product); };
    Executor(cuda::kMmaThreads).Launch(grid, cuda::MmaSharedBytes(kBits, kColumns), body, backwards);
  }

  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  std::vector<std::unique_ptr<std::byte, Free>> blocks_;
  std::map<int, std::unique_ptr<GpuExecutor>> executors_;
};

}  // namespace ecld
