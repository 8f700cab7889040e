#pragma once
// LibTorch's int4 product (aten::_weight_int4pack_mm, bfloat16) on the GPU, where this LibTorch has CUDA: the peer that
// everybody with LibTorch has. Weights are random codes and scales; the product is timed, not checked.

#include <ATen/Context.h>
#include <ATen/ops/_convert_weight_to_int4pack.h>
#include <ATen/ops/_weight_int4pack_mm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <memory>
#include <vector>

#include "core/error.h"
#include "core/shared_library.h"
#include "kernels/cuda/device.h"

namespace ecld {

class TorchInt4 {
 public:
  // `copies` of the weights. THROWS Error where there is no LibTorch with CUDA, or it refuses the shape.
  TorchInt4(int64_t m, int64_t n, int64_t k, int64_t group, int64_t copies) : group_(group) {
    static const SharedLibrary library = SharedLibrary::Open("LibTorch's CUDA half", {"libtorch_cuda.so"});
    try {
      if (!at::hasCUDA()) Fail(library.name(), "finds no CUDA device");
      const auto bf16 = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
      x_ = at::randn({m, k}, bf16);
      scales_ = at::rand({k / group, n, 2}, bf16);
      const at::Tensor codes = at::randint(256, {n, k / 2}, at::TensorOptions(at::kCUDA).dtype(at::kByte));
      for (int64_t i = 0; i < copies; ++i) weights_.push_back(at::_convert_weight_to_int4pack(codes, 8));
    } catch (const c10::Error& error) {
      Fail("LibTorch", "{}", error.what_without_backtrace());
    }
  }

  // Queues the product with copy i of the weights.
  void Multiply(int64_t i, CudaStream stream) const {
    const c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
    // The id of a stream that LibTorch did not make is its address (c10/cuda/CUDAStream.cpp).
    const c10::Stream before = guard.exchangeStream(
        c10::Stream(c10::Stream::UNSAFE, c10::Device(c10::DeviceType::CUDA, 0), reinterpret_cast<int64_t>(stream)));
    at::_weight_int4pack_mm(x_, weights_[static_cast<size_t>(i) % weights_.size()], group_, scales_);
    guard.exchangeStream(before);
  }

 private:
  int64_t group_;
  at::Tensor x_, scales_;
  std::vector<at::Tensor> weights_;
};

}  // namespace ecld
