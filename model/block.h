#pragma once
// One decoder block as float32 Torch tensors: what calibration and training run. Loaded from a checkpoint layer by
// layer (dequantized where it is packed), so that a model of any size is walked with one block in memory. Equations
// are those of transformers' Llama, Qwen2, Qwen3 and Mistral models; there is no cache: a window is run whole, its
// positions counting from 0.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "checkpoint/checkpoint_writer.h"

namespace ecld {

// The inputs of a block's linears, kept by Forward for a pass that calibrates on them. [windows, tokens, features]
struct BlockInputs {
  at::Tensor attention;  // of q, k and v
  at::Tensor output;     // of o
  at::Tensor mlp;        // of gate and up
  at::Tensor down;       // of down
};

class Block {
 public:
  // THROWS Error when a weight is NaN or infinite.
  static Block Load(const Checkpoint& checkpoint, int64_t layer);

  int64_t layer() const { return layer_; }
  const ModelConfig& config() const { return config_; }

  // Matrices [out_features, in_features], norms and biases [size]. REQUIRES: the architecture has it.
  at::Tensor& Parameter(Role role, bool bias = false) { return parameters_.at({role, bias}); }
  const at::Tensor& Parameter(Role role, bool bias = false) const { return parameters_.at({role, bias}); }
  bool Has(Role role, bool bias = false) const { return parameters_.contains({role, bias}); }
  // In a fixed order. The tensors share storage with the block.
  std::vector<at::Tensor> Parameters() const;

  // A block with its own copy of every parameter.
  Block Clone() const;
  // Rounds every parameter to the values that dtype can hold: what writing it and reading it back would give.
  void RoundTo(DType dtype);

  // hidden [windows, tokens, hidden_size] -> the same shape. Differentiable in the parameters. inputs: optional.
  at::Tensor Forward(const at::Tensor& hidden, BlockInputs* inputs = nullptr) const;

  // Writes every parameter that out does not hold yet, rounded to out's dtype. REQUIRES: out's shapes are the block's.
  void Write(CheckpointWriter& out) const;

 private:
  at::Tensor Linear(Role role, const at::Tensor& input) const;
  at::Tensor Attention(const at::Tensor& normed, BlockInputs* inputs) const;
  at::Tensor FeedForward(const at::Tensor& normed, BlockInputs* inputs) const;

  int64_t layer_ = 0;
  ModelConfig config_;
  std::map<std::pair<Role, bool>, at::Tensor> parameters_;
};

}  // namespace ecld
