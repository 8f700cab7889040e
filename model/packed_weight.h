#pragma once
// A packed weight that LibTorch code multiplies with, on the processor or on a GPU: the bridge from tensors to the
// products of kernels/gemm.
//
//   PackedWeight weight(codes, scales, zero_points, in_features, format, pool);
//   at::Tensor y = weight.Multiply(x);                        // on the processor
//   PackedWeight on_gpu = weight.To(at::Device(at::kCUDA, 0));  // laid out for its kernels, once
//   at::Tensor z = on_gpu.Multiply(x.to(on_gpu.device()));    // queued on Torch's current stream
//
// The same weights give the same result as matmul with the dequantized matrix, up to the order of float32 sums and the
// rounding to the type of x. No gradient goes through it. Python, and programs that do not link with this, use the
// operators of operators/torch_operators.cpp.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/threads.h"
#include "model/tiled_weight.h"

namespace ecld {

class PackedWeight {
 public:
  // The arrays of kernels/packing/packed_format.h, on the processor, contiguous; they are shared, not copied:
  //   codes        int32 [out_features, CodeWords(in_features)]
  //   scales       float16, bfloat16 or float32 [out_features, Groups(in_features)]
  //   zero_points  int32 [ZeroWords(out_features), Groups(in_features)]; undefined where symmetric
  // The pool must outlive this and what To makes of it. THROWS Error naming the tensor whose type, shape, strides or
  // device is not that.
  PackedWeight(at::Tensor codes, at::Tensor scales, at::Tensor zero_points, int64_t in_features,
               const PackedFormat& format, ThreadPool& pool);

  // The same weight for a device: itself on the processor. THROWS Error: a device of another kind, no GPU, a format
  // that its kernels do not take, too little memory.
  PackedWeight To(at::Device device) const;

  // As a GPU reads it, on the processor. THROWS Error: a format that a GPU does not take.
  TiledWeight Tiled() const { return Tile(view_, *pool_); }

  // x [..., in_features] -> [..., out_features] of its type: float32, float16 or bfloat16, on a GPU one of the last
  // two. THROWS Error: another type, width or device, or a tensor that wants a gradient.
  at::Tensor Multiply(const at::Tensor& x) const;

  int64_t out_features() const { return view_.out_features; }
  int64_t in_features() const { return view_.in_features; }
  at::Device device() const { return device_; }

 private:
  at::Tensor MultiplyOnProcessor(const at::Tensor& x) const;

  WeightView view_;  // of the tensors below
  at::Tensor codes_, scales_, zero_points_;
  ThreadPool* pool_;
  at::Device device_ = at::kCPU;
  TiledWeight tiled_;  // on a GPU
};

}  // namespace ecld
