#pragma once
// A checkpoint made ready to run: every matrix as it lies in the mapped file (dense or packed, nothing is copied; when
// fast, packed ones as tile_cache.h lays them out), norms and biases as floats. Immutable; any number of Sessions run
// over one model. How it runs is said once, here.
//
//   RuntimeModel model(Checkpoint::Open(directory), {.precision = Precision::kFast});
//   ThreadPool pool;
//   Session session(model, pool);

#include <array>
#include <optional>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "kernels/elementwise/elementwise.h"
#include "runtime/options.h"
#include "runtime/tile_cache.h"

namespace ecld {

// y = x * weight^T + bias.
struct Linear {
  WeightView weight;
  std::vector<float> bias;  // [out_features]; empty = none
};

// By role. Norms that the architecture does not have are empty.
struct RuntimeBlock {
  std::array<std::vector<float>, kRoles> norms;  // [hidden_size] or [head_dim]
  std::array<Linear, kRoles> linears;

  const std::vector<float>& Norm(Role role) const { return norms[static_cast<size_t>(role)]; }
  const Linear& operator[](Role role) const { return linears[static_cast<size_t>(role)]; }
  Linear& operator[](Role role) { return linears[static_cast<size_t>(role)]; }
};

// Which of the processor's kernels a model's gate is.
using GateFunction = void (*ElementwiseKernels::*)(const float*, const float*, int64_t, float*);
inline GateFunction GateKernel(Activation activation) {
  return activation == Activation::kGelu ? &ElementwiseKernels::geglu : &ElementwiseKernels::swiglu;
}

class RuntimeModel {
 public:
  // THROWS Error when a norm or bias holds NaN or infinity, and for a model that has what a Session does not compute.
  // Matrices are read only to lay them out, once.
  explicit RuntimeModel(Checkpoint checkpoint, const RuntimeOptions& options = {});

  const RuntimeOptions& options() const { return options_; }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  const ModelConfig& config() const { return checkpoint_.config(); }
  uint64_t TileBytes() const { return tiles_ ? tiles_->Bytes() : 0; }  // of the copy laid out for the processor

  const WeightView& embedding() const { return embedding_; }           // [vocab_size, hidden_size]
  const std::vector<RuntimeBlock>& blocks() const { return blocks_; }  // [num_layers]
  const std::vector<float>& final_norm() const { return final_norm_; }
  const WeightView& head() const { return head_; }  // [vocab_size, hidden_size]

 private:
  void LayOut();

  Checkpoint checkpoint_;
  RuntimeOptions options_;
  std::optional<TileCache> tiles_;
  WeightView embedding_, head_;
  std::vector<RuntimeBlock> blocks_;
  std::vector<float> final_norm_;
};

}  // namespace ecld
