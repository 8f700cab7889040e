#pragma once
// A packed weight as tensors that the kernels of a GPU read (kernels/gemm/cuda/layout.h), and products with it. All but
// MultiplyTiled works without a GPU: the tests ask on the processor what a GPU would be asked, and run it there.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

#include "core/threads.h"
#include "kernels/cuda/device.h"
#include "kernels/gemm/cuda/gemm.h"

namespace ecld {

struct TiledWeight {
  int64_t out_features = 0, in_features = 0;
  PackedFormat format;
  at::Tensor codes;        // uint8 [tiles of outputs, tiles of inputs, 512 * bits]
  at::Tensor scales;       // float16 or bfloat16 [tiles of outputs, groups, 64]
  at::Tensor zero_points;  // uint8 [tiles of outputs, groups, 64]; undefined where symmetric

  TiledWeight To(at::Device device) const;
};

// The tiles of a weight in row order, on the processor. THROWS Error: a format that a GPU does not take.
TiledWeight Tile(const WeightView& rows, ThreadPool& pool);

// Its shape without its bytes. REQUIRES: as Tile.
TiledWeight TiledShape(const WeightView& rows);

// THROWS Error naming the tensor whose type, shape, strides, alignment or device is not what the struct says.
void CheckTiled(const TiledWeight& weight, at::Device device);

// THROWS Error unless x is [..., in_features] on the device, of a type that a product there takes (float16, bfloat16;
// on the processor float32 too), and wants no gradient.
void CheckActivations(const at::Tensor& x, int64_t in_features, at::Device device);

// A product as the kernels are asked for it; the tensors own what args points to, but for the weight and the workspace.
struct TiledProduct {
  at::Tensor x, y;  // x: the rows given, or a copy on 16 bytes; y: [m, out_features], not yet written
  CudaGemmArgs args;
};

// rows: [m, in_features], with any strides. workspace: at least TiledWorkspaceBytes.
TiledProduct AskProduct(const TiledWeight& weight, const at::Tensor& rows, const at::Tensor& workspace);
int64_t TiledWorkspaceBytes(const TiledWeight& weight, int64_t m);

// Workspaces that are kept from product to product, one for each stream, as products of different streams may run at
// the same time. What is taken down in a graph has one of its own, zeroed in the graph.
class StreamWorkspaces {
 public:
  // uint8 [bytes or more], zero where it is new; capture: cuda::CaptureOf(stream).
  at::Tensor For(CudaStream stream, uint64_t capture, int64_t bytes, at::Device device);

 private:
  struct Kept {
    uint64_t capture = 0;
    at::Tensor workspace;
  };
  std::mutex mutex_;
  std::map<std::pair<CudaStream, bool>, Kept> kept_;  // by stream, and whether it was being taken down
};

// The GPU that Torch calls by this name. THROWS Error: there is none, or the kernels use another one.
CudaDevice GpuNamed(at::Device device);

// x [..., in_features] on the device of the weight -> [..., out_features] of its type, queued on Torch's current
// stream. THROWS Error as the checks above, and what CudaGemm does.
at::Tensor MultiplyTiled(const TiledWeight& weight, const at::Tensor& x);

}  // namespace ecld
