#pragma once
// A checkpoint made ready to run: every matrix as it lies in the mapped file (dense or packed, nothing is copied),
// norms and biases as floats. Immutable; any number of Sessions run over one model. How it runs is said once, here.
//
//   RuntimeModel model(Checkpoint::Open(directory), {.precision = Precision::kFast});
//   ThreadPool pool;
//   Session session(model, pool);

#include <vector>

#include "checkpoint/checkpoint.h"
#include "runtime/options.h"

namespace ecld {

// y = x * weight^T + bias.
struct Linear {
  WeightView weight;
  std::vector<float> bias;  // [out_features]; empty = none
};

struct RuntimeBlock {
  std::vector<float> input_norm, post_norm;  // [hidden_size]
  Linear query, key, value, output;
  std::vector<float> query_norm, key_norm;  // [head_dim]; empty where the architecture has none
  Linear gate, up, down;
};

class RuntimeModel {
 public:
  // THROWS Error when a norm or bias holds NaN or infinity. Matrices are not read here.
  explicit RuntimeModel(Checkpoint checkpoint, const RuntimeOptions& options = {});

  const RuntimeOptions& options() const { return options_; }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  const ModelConfig& config() const { return checkpoint_.config(); }

  const WeightView& embedding() const { return embedding_; }           // [vocab_size, hidden_size]
  const std::vector<RuntimeBlock>& blocks() const { return blocks_; }  // [num_layers]
  const std::vector<float>& final_norm() const { return final_norm_; }
  const WeightView& head() const { return head_; }                                  // [vocab_size, hidden_size]
  const std::vector<float>& rope_frequencies() const { return rope_frequencies_; }  // [head_dim / 2], scaled

 private:
  Checkpoint checkpoint_;
  RuntimeOptions options_;
  WeightView embedding_, head_;
  std::vector<RuntimeBlock> blocks_;
  std::vector<float> final_norm_, rope_frequencies_;
};

}  // namespace ecld
