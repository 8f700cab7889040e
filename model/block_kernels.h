#pragma once
// The operations of a block (operations.h) by the kernels that ship, for calibration, which needs no gradients: two to
// three times as fast as Torch's on a processor that multiplies pairs of bfloat16. Torch keeps to the calling thread
// while an operation runs; the cores are the pool's.
//
// A bfloat16 checkpoint is run as its clients run it: inputs and weights of a product are rounded to bfloat16, which
// puts each product off by at most 2^-7 of it, and summed in float32. Any other is run in float32.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "checkpoint/config.h"
#include "core/threads.h"
#include "kernels/attention/attention.h"
#include "kernels/gemm/gram.h"

namespace ecld {

// While one lives Torch's operations keep to the calling thread. Its other threads go on looking for work for some
// milliseconds after each operation, and would take the cores from the kernels' threads.
class TorchOnOneThread {
 public:
  TorchOnOneThread();
  ~TorchOnOneThread();
  TorchOnOneThread(const TorchOnOneThread&) = delete;
  TorchOnOneThread& operator=(const TorchOnOneThread&) = delete;

 private:
  int threads_;
};

// All tensors are float32, but for what is kept; results are new and contiguous.
class BlockKernels {
 public:
  // config: of the checkpoint that the blocks are of.
  explicit BlockKernels(ModelConfig config);

  // Inputs of products lose nothing when they are kept as products round them. Room for them, [windows, tokens,
  // features], one, which asking again takes back; inputs [count, tokens, features] into it, from window `first` on;
  // and what is kept, as float32.
  at::Tensor RoomFor(int64_t windows, int64_t tokens, int64_t features);
  void Keep(const at::Tensor& inputs, int64_t first, at::Tensor& room);
  at::Tensor Floats(const at::Tensor& kept);

  struct Weight {
    at::Tensor matrix;  // [out_features, in_features]
    std::optional<at::Tensor> bias;
  };
  // What each of the linears makes of inputs [..., in_features].
  std::vector<at::Tensor> Linears(const at::Tensor& inputs, const std::vector<Weight>& weights);
  at::Tensor Norm(const at::Tensor& inputs, const at::Tensor& weight);
  // query [windows, tokens, heads, head_dim], key and value [.., kv_heads, head_dim], positions from 0; query and key
  // are rotated in place. -> [windows, tokens, heads * head_dim]
  at::Tensor Attend(int64_t layer, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value);
  at::Tensor Gate(const at::Tensor& gate, const at::Tensor& up);
  at::Tensor Sum(const at::Tensor& states, const at::Tensor& more);

  // Adds the Gram matrix of inputs [..., features] to gram [features, features], the lower triangle alone.
  void AddGram(const at::Tensor& inputs, at::Tensor& gram);

 private:
  // Contiguous floats as products round them.
  void Store(const at::Tensor& floats, void* to);
  // A matrix as a product takes it; what is rounded is kept in `room`.
  WeightView View(const at::Tensor& matrix, std::vector<uint16_t>& room);
  void Rotate(const at::Tensor& query, const at::Tensor& key);

  ModelConfig config_;
  bool exact_;
  ThreadPool pool_;
  GemmScratch gemm_scratch_;
  AttentionScratch attention_scratch_;
  GramScratch gram_scratch_;
  std::vector<std::vector<uint16_t>> rounded_;
  at::Tensor cosine_, sine_;  // [tokens, head_dim]
  at::Tensor room_;
  at::Tensor keys_values_;  // of a batch of windows, as kv.h lays them out
};

}  // namespace ecld
