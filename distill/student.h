#pragma once
// A whole model in training (trained_tensors.h): its blocks, its ends, and how it would be read back.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "distill/trained_tensors.h"
#include "model/block.h"

namespace ecld {

// Windows of one length as [windows, tokens], int64.
at::Tensor IdTensor(const std::vector<std::vector<int32_t>>& windows);

class Student {
 public:
  using Parameter = TrainedTensors::Parameter;

  // begun_as: a dense model of the same shapes, where latent codes begin (GridMatrix); null: at the codes.
  // THROWS Error when a weight is NaN or infinite.
  Student(const Checkpoint& in, const Checkpoint* begun_as, ThreadPool& pool);

  const ModelConfig& config() const { return config_; }
  const Block& block(int64_t layer) const { return blocks_[static_cast<size_t>(layer)]; }
  TrainedTensors& parameters() { return parameters_; }  // in the order of the table
  const TrainedTensors& parameters() const { return parameters_; }
  const Parameter& embedding() const { return End(Role::kEmbedding); }
  const Parameter& final_norm() const { return End(Role::kFinalNorm); }
  const Parameter& head() const { return End(config_.tie_embeddings ? Role::kEmbedding : Role::kHead); }

  // Ids [windows, tokens] -> [windows, tokens, hidden_size], without gradients; and the gradient at that into its own.
  at::Tensor Embed(const at::Tensor& ids, const at::Tensor& embedding) const;
  void AddEmbeddingGradient(const at::Tensor& ids, const at::Tensor& gradient);

  // As they would be read back.
  Block StoredBlock(int64_t layer) const;
  at::Tensor Stored(const Parameter& parameter) const;

  // For plans: of parameters, gradients and moments.
  static uint64_t Bytes(const ModelConfig& config);

 private:
  const Parameter& End(Role role) const;

  ModelConfig config_;
  std::vector<Block> blocks_;
  TrainedTensors parameters_;
};

}  // namespace ecld
