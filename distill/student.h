#pragma once
// A whole model in training: every parameter in float32 with its gradient and the moments of AdamW (Loshchilov and
// Hutter 2019, arXiv 1711.05101, algorithm 2), matrices that the checkpoint packs inside their grids. What it is run
// with are the parameters as they stand; what it is judged by and written as, those that the file can hold.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "distill/grid_matrix.h"
#include "model/block.h"

namespace ecld {

// Windows of one length as [windows, tokens], int64.
at::Tensor IdTensor(const std::vector<std::vector<int32_t>>& windows);

// Highest rates of AdamW: steps are about as long.
struct LearningRates {
  double weights = 0;  // of what is stored dense
  double codes = 0;    // of latent codes, in steps of the grid
  double scales = 0;   // of scales, relative
  double weight_decay = 0;
};

class Student {
 public:
  // begun_as: a dense model of the same shapes, where latent codes begin (GridMatrix); null: at the codes.
  // THROWS Error when a weight is NaN or infinite.
  Student(const Checkpoint& in, const Checkpoint* begun_as, ThreadPool& pool);

  struct Parameter {
    TensorSpec spec;
    at::Tensor value;     // a leaf of autograd; in place, since blocks share it
    at::Tensor gradient;  // value's
    std::optional<GridMatrix> grid;
  };

  const ModelConfig& config() const { return config_; }
  const Block& block(int64_t layer) const { return blocks_[static_cast<size_t>(layer)]; }
  const std::vector<Parameter>& parameters() const { return parameters_; }  // in the order of the table
  const Parameter& embedding() const { return End(Role::kEmbedding); }
  const Parameter& final_norm() const { return End(Role::kFinalNorm); }
  const Parameter& head() const { return End(config_.tie_embeddings ? Role::kEmbedding : Role::kHead); }

  // Ids [windows, tokens] -> [windows, tokens, hidden_size], without gradients; and the gradient at that into its own.
  at::Tensor Embed(const at::Tensor& ids, const at::Tensor& embedding) const;
  void AddEmbeddingGradient(const at::Tensor& ids, const at::Tensor& gradient);

  // As they would be read back.
  Block StoredBlock(int64_t layer) const;
  at::Tensor Stored(const Parameter& parameter) const;

  // Steps down the gradients, which are zero afterwards. rate: the share of the rates. Rates of zero train nothing.
  void Step(const LearningRates& rates, double rate);

  // All that training changes: parameters alone, or with moments and count of steps. The tensors share storage with
  // the student; after they were written to, Refresh.
  std::vector<at::Tensor> State(bool with_moments) const;
  void Refresh();

  // Writes what out does not hold yet.
  void Write(CheckpointWriter& out) const;

  // For plans: of parameters, gradients and moments.
  static uint64_t Bytes(const ModelConfig& config);

 private:
  // What AdamW changes: a parameter, or the two of a grid.
  struct Trained {
    double LearningRates::*rate;
    bool decays;
    at::Tensor value, first_moment, second_moment;
  };

  const Parameter& End(Role role) const;
  void Train(const at::Tensor& value, double LearningRates::*rate, bool decays);

  ModelConfig config_;
  ThreadPool& pool_;
  std::vector<Block> blocks_;
  std::vector<Parameter> parameters_;
  std::vector<Trained> trained_;  // of the parameters, in their order
  at::Tensor steps_;              // taken; [] float
};

}  // namespace ecld
