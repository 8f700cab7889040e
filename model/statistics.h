#pragma once
// The output side of every linear: which directions of its outputs the model's own output depends on. With g the
// gradient of -log p(y | context) at the outputs, y drawn from the model (gradient_walk.h), and E an error of the
// weights whose inputs are x, KL grows by (sum_t g_t E x_t)^2 / 2 per window. Here that is tr(G E H E^T) / 2 per token:
// G = mean g g^T, and H = mean w x x^T with w = |g|^2 / mean |g|^2, so that a token counts by how much depends on it
// (a Kronecker factor for each side: Martens and Grosse 2015, arXiv 1503.05671, section 3; weighted by the other
// side's energy as in Tseng et al. 2025, arXiv 2505.22988, section 4.1). Linears that read the same input share w.
//
// Kept in a directory, a file for each block, bound to weights, config, text and seed: what was made of others is never
// read. A killed run goes on at the block where it stopped.

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "core/mapped_file.h"
#include "model/gradient_walk.h"
#include "model/pass.h"

namespace ecld {

// G is kept whole up to this many outputs, and above as blocks of kMomentRows on its diagonal.
constexpr int64_t kWholeMoments = 4096;
constexpr int64_t kMomentRows = 512;

// Rows whose moments are kept together.
constexpr int64_t MomentRows(int64_t out_features) { return out_features > kWholeMoments ? kMomentRows : out_features; }

class OutputStatistics {
 public:
  static constexpr uint64_t kSeed = 0x6b6c;  // of the draws, beside the run's

  // Those of `in` on the context's calibration text; makes what is not in context.statistics yet. THROWS Error when
  // files cannot be written.
  OutputStatistics(const Checkpoint& in, const PassContext& context);

  // Where the files of this model, text and seed lie: what follows from them alone may be kept beside them.
  const std::filesystem::path& directory() const { return directory_; }

  // G of outputs [first, first + n) of a linear of a block, n = min(MomentRows, what is left): symmetric [n, n].
  // REQUIRES: first is a multiple of MomentRows.
  at::Tensor Moments(const TensorSpec& linear, int64_t first) const;
  // w of the calibration text for the linears of this group: [windows, tokens].
  at::Tensor TokenWeights(Role linear, int64_t layer) const;
  // Of the embedding: mean g g^T at the states that enter the first block, [hidden_size, hidden_size]; and the mean
  // probability of every token, [vocab_size], which stands for how often it is read and put out.
  at::Tensor EmbeddingMoments() const;
  at::Tensor TokenProbabilities() const;

 private:
  void Make(const Checkpoint& in, const PassContext& context);
  const float* Values(int64_t layer) const;

  ModelConfig config_;
  std::vector<TensorSpec> table_;
  int64_t windows_, window_tok_;
  std::filesystem::path directory_;
  std::vector<MappedFile> files_;  // by layer; the last one is the embedding's
};

// For plans. scratch_B: the files, and what lies on disk while they are made.
GradientWalkCost CostOfStatistics(const ModelConfig& config, const PlanInput& input);

}  // namespace ecld
