#pragma once
// The operations of a block by the kernels that ship, for calibration, which needs no gradients: two to
// three times as fast as Torch's on a processor that multiplies pairs of bfloat16. Torch keeps to the calling thread
// while an operation runs; the cores are the pool's.
//
// A bfloat16 checkpoint is run as its clients run it: inputs and weights of a product are rounded to bfloat16, which
// puts each product off by at most 2^-7 of it, and summed in float32. Any other is run in float32.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/threads.h"
#include "kernels/attention/attention.h"
#include "kernels/gemm/gram.h"
#include "model/block_ops.h"
#include "model/operations.h"

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

// Not for several threads at once: the rooms for what lies between the operations are kept from call to call.
class BlockKernels final : public BlockOps {
 public:
  // config: of the checkpoint that the blocks are of. pool: must outlive this.
  BlockKernels(const ModelConfig& config, ThreadPool& pool) : exact_(config.dtype != DType::kBF16), pool_(pool) {}

  // Inputs of products lose nothing when they are kept as products round them. Room for them, [windows, tokens,
  // features], one, which asking again takes back; and inputs [count, tokens, features] into it, from window `first`
  // on.
  at::Tensor RoomFor(int64_t windows, int64_t tokens, int64_t features);
  void Keep(const at::Tensor& inputs, int64_t first, at::Tensor& room);
  at::Tensor Floats(const at::Tensor& kept) const override;

  // REQUIRES, of all: no gradient is asked of what they are given; they throw std::logic_error where one is.
  std::vector<at::Tensor> Linears(const at::Tensor& inputs, const std::vector<Weight>& weights) const override;
  at::Tensor Norm(const at::Tensor& inputs, const at::Tensor& weight, double epsilon) const override;
  at::Tensor Attend(const ModelConfig& config, int64_t layer, const at::Tensor& query, const at::Tensor& key,
                    const at::Tensor& value) const override;
  at::Tensor Gate(Activation activation, const at::Tensor& gate, const at::Tensor& up) const override;
  at::Tensor Sum(const at::Tensor& states, const at::Tensor& more) const override;
  bool HasThreads() const override { return true; }

  // What one matrix makes of inputs [..., in_features], into out [..., out_features], which is contiguous: for results
  // so large that room for them is taken once.
  void ProductInto(const at::Tensor& inputs, const at::Tensor& matrix, const at::Tensor& out);

  // Adds the Gram matrix of inputs [..., features] to gram [features, features], the lower triangle alone.
  void AddGram(const at::Tensor& inputs, at::Tensor& gram);

 private:
  // Contiguous floats as products round them.
  void Store(const at::Tensor& floats, void* to) const;
  // A matrix as a product takes it; what is rounded is kept in `room`.
  WeightView View(const at::Tensor& matrix, std::vector<uint16_t>& room) const;
  void Rotate(const RotaryTables& tables, const at::Tensor& states) const;
  const RotaryTables& TablesOf(const ModelConfig& config, int64_t layer, int64_t tokens) const;

  struct Turned {
    Rope rope;
    RotaryTables tables;
  };

  bool exact_;
  ThreadPool& pool_;
  at::Tensor room_;
  mutable GemmScratch gemm_scratch_;
  mutable AttentionScratch attention_scratch_;
  GramScratch gram_scratch_;
  mutable std::vector<std::vector<uint16_t>> rounded_;
  mutable std::vector<Turned> turned_;  // by RopeKind; made anew where texts of another length or rope come
  mutable at::Tensor keys_values_;      // of a batch of windows, as kv.h lays them out
};

}  // namespace ecld
