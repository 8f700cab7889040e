#pragma once
// What a block is computed by: the caller of Block::Forward chooses. TorchOps are Torch's operations, in float32 and
// differentiable; block_kernels.h has those of the kernels that ship. Sizes are those of the tensors.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "checkpoint/config.h"

namespace ecld {

// All tensors are float32; results are new.
class BlockOps {
 public:
  struct Weight {
    at::Tensor matrix;  // [out_features, in_features]
    std::optional<at::Tensor> bias;
  };

  virtual ~BlockOps() = default;

  // What each of the linears makes of inputs [..., in_features].
  virtual std::vector<at::Tensor> Linears(const at::Tensor& inputs, const std::vector<Weight>& weights) const = 0;
  // Over the last axis.
  virtual at::Tensor Norm(const at::Tensor& inputs, const at::Tensor& weight, double epsilon) const = 0;
  // Turns query and key, which may be overwritten, and attends as this layer of a model does. query [windows, tokens,
  // heads, head_dim], key and value [.., kv_heads, head_dim], positions from 0. -> [windows, tokens, heads * head_dim]
  virtual at::Tensor Attend(const ModelConfig& config, int64_t layer, const at::Tensor& query, const at::Tensor& key,
                            const at::Tensor& value) const = 0;
  virtual at::Tensor Gate(Activation activation, const at::Tensor& gate, const at::Tensor& up) const = 0;
  virtual at::Tensor Sum(const at::Tensor& states, const at::Tensor& more) const = 0;

  // What was kept as products take it (BlockKernels::Keep), as float32.
  virtual at::Tensor Floats(const at::Tensor& kept) const { return kept; }
  // Whether Torch's own threads would only be in the way of these operations'.
  virtual bool HasThreads() const { return false; }
};

class TorchOps : public BlockOps {
 public:
  TorchOps() = default;  // all in float32
  // For training: products take their factors in bfloat16 where the checkpoint does; their results, sums, norms and
  // parameters stay float32 (mixed precision: Micikevicius et al. 2018, arXiv 1710.03740, section 3).
  explicit TorchOps(DType checkpoint) : products_(checkpoint == DType::kBF16 ? at::kBFloat16 : at::kFloat) {}

  std::vector<at::Tensor> Linears(const at::Tensor& inputs, const std::vector<Weight>& weights) const override;
  at::Tensor Norm(const at::Tensor& inputs, const at::Tensor& weight, double epsilon) const override;
  at::Tensor Attend(const ModelConfig& config, int64_t layer, const at::Tensor& query, const at::Tensor& key,
                    const at::Tensor& value) const override;
  at::Tensor Gate(Activation activation, const at::Tensor& gate, const at::Tensor& up) const override;
  at::Tensor Sum(const at::Tensor& states, const at::Tensor& more) const override;

 private:
  at::ScalarType products_ = at::kFloat;
};

}  // namespace ecld
