#pragma once
// One decoder block as float32 Torch tensors: what calibration and training run. Loaded from a checkpoint layer by
// layer (dequantized where it is packed), so that a model of any size is walked with one block in memory. Equations
// are those of transformers' models of the supported families; there is no cache: a window is run whole, its positions
// counting from 0. What it is computed by is the caller's choice (block_ops.h); widths and numbers of heads are those
// of its matrices, which a pass may change.

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/linear_groups.h"
#include "model/block_ops.h"

namespace ecld {

// The inputs of a block's linears, kept by Forward for a pass that calibrates on them. [windows, tokens, features]
struct BlockInputs {
  std::array<at::Tensor, kLinearGroups.size()> groups;

  const at::Tensor& operator[](Role linear) const { return groups[GroupIndex(linear)]; }
};

// A dense parameter rounded to the values that this type can hold: what writing it and reading it back would give.
at::Tensor AsStored(const at::Tensor& values, const TensorSpec& spec, DType dtype);

class Block {
 public:
  // THROWS Error when a weight is NaN or infinite, and for a model that has what these equations do not.
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
  // Every parameter that stored keeps dense as it will be stored. Packed ones are left alone; whoever packs them puts
  // the values of their grid here.
  void RoundTo(const ModelConfig& stored);

  // hidden [windows, tokens, hidden_size] -> the same shape. inputs: optional.
  at::Tensor Forward(const BlockOps& ops, const at::Tensor& hidden, BlockInputs* inputs = nullptr) const;

  // Forward in its parts, for a pass that changes a block linear by linear: what q, k and v get, what o gets from that,
  // the states after attention, what gate and up get from those, what down gets from that, and the block's output.
  at::Tensor AttentionInput(const BlockOps& ops, const at::Tensor& hidden) const;
  at::Tensor OutputInput(const BlockOps& ops, const at::Tensor& attention_input) const;
  at::Tensor AfterAttention(const BlockOps& ops, const at::Tensor& hidden, const at::Tensor& output_input) const;
  at::Tensor MlpInput(const BlockOps& ops, const at::Tensor& after_attention) const;
  at::Tensor DownInput(const BlockOps& ops, const at::Tensor& mlp_input) const;
  at::Tensor AfterMlp(const BlockOps& ops, const at::Tensor& after_attention, const at::Tensor& down_input) const;

  // Writes every parameter that out does not hold yet, rounded to out's dtype. REQUIRES: out's shapes are the block's.
  void Write(CheckpointWriter& out) const;

 private:
  std::vector<at::Tensor> Linears(const BlockOps& ops, const LinearGroup& group, const at::Tensor& input) const;
  at::Tensor Norm(const BlockOps& ops, Role role, const at::Tensor& input) const;
  // states and what the group makes of input, through the norm behind it where there is one.
  at::Tensor Sum(const BlockOps& ops, const at::Tensor& states, const LinearGroup& group,
                 const at::Tensor& input) const;

  int64_t layer_ = 0;
  ModelConfig config_;
  std::map<std::pair<Role, bool>, at::Tensor> parameters_;
};

}  // namespace ecld
