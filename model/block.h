#pragma once
// One decoder block as float32 Torch tensors: what calibration and training run. Loaded from a checkpoint layer by
// layer (dequantized where it is packed), so that a model of any size is walked with one block in memory. Equations
// are those of transformers' Llama, Qwen2, Qwen3 and Mistral models; there is no cache: a window is run whole, its
// positions counting from 0.

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/linear_groups.h"

namespace ecld {

class BlockKernels;

// The inputs of a block's linears, kept by Forward for a pass that calibrates on them. [windows, tokens, features]
struct BlockInputs {
  std::array<at::Tensor, kLinearGroups.size()> groups;

  const at::Tensor& operator[](Role linear) const { return groups[GroupIndex(linear)]; }
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
  // Rounds every parameter that stored keeps dense to the values that its dtype can hold: what writing it and reading
  // it back would give. Packed ones are left alone; whoever packs them puts the values of their grid here.
  void RoundTo(const ModelConfig& stored);

  // From now on what is run without gradients is run by these, which must outlive the block: see block_kernels.h.
  void Use(BlockKernels* kernels) { kernels_ = kernels; }
  BlockKernels* Kernels() const;  // null where Torch's operations run

  // hidden [windows, tokens, hidden_size] -> the same shape. Differentiable in the parameters. inputs: optional.
  at::Tensor Forward(const at::Tensor& hidden, BlockInputs* inputs = nullptr) const;

  // Forward in its parts, for a pass that changes a block linear by linear: what q, k and v get, what o gets from that,
  // the states after attention, what gate and up get from those, what down gets from that, and the block's output.
  at::Tensor AttentionInput(const at::Tensor& hidden) const;
  at::Tensor OutputInput(const at::Tensor& attention_input) const;
  at::Tensor AfterAttention(const at::Tensor& hidden, const at::Tensor& output_input) const;
  at::Tensor MlpInput(const at::Tensor& after_attention) const;
  at::Tensor DownInput(const at::Tensor& mlp_input) const;
  at::Tensor AfterMlp(const at::Tensor& after_attention, const at::Tensor& down_input) const;

  // Writes every parameter that out does not hold yet, rounded to out's dtype. REQUIRES: out's shapes are the block's.
  void Write(CheckpointWriter& out) const;

 private:
  std::vector<at::Tensor> Linears(const LinearGroup& group, const at::Tensor& input) const;
  at::Tensor Norm(Role role, const at::Tensor& input) const;
  at::Tensor Sum(const at::Tensor& states, const at::Tensor& more) const;

  BlockKernels* kernels_ = nullptr;
  int64_t layer_ = 0;
  ModelConfig config_;
  std::map<std::pair<Role, bool>, at::Tensor> parameters_;
};

}  // namespace ecld
