#pragma once
// Pass prune.ffn: removes the same number of feed-forward channels from every block, so that config.json stays
// standard (one smaller intermediate_size). Channels are scored on calibration text, the survivors keep their order,
// and down_proj is repaired by least squares so that the block's output stays as near as it can.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/pass.h"

namespace ecld {

struct PruneFfnOptions {
  double ratio = 0.25;        // share of the channels to remove, in [0, 1)
  int64_t multiple_of = 128;  // the new intermediate_size is rounded to a multiple of this (the later group size)
  bool repair = true;         // refit down_proj to the calibration outputs
  double ridge = 0.01;        // of the refit, relative to the mean activation energy of a channel
};

// Channels left of intermediate_size after removing ratio of them: the nearest multiple, at least one multiple, never
// more than there are. ratio 0 keeps all.
int64_t KeptChannels(int64_t intermediate_size, double ratio, int64_t multiple_of);

// Score of each channel j, [channels]: ||W_down[:, j]||_2 * ||x_j||_2, the energy it adds to the output. It is Wanda's
// |W_ij| * ||x_j||_2 (Sun et al. 2023, arXiv 2306.11695, eq. 1) with the outputs i of a whole channel taken together.
// down: [hidden, channels]; energy: sum over tokens of x_j^2, [channels].
at::Tensor ScoreChannels(const at::Tensor& down, const at::Tensor& energy);

// Indices of the keep highest scores, ascending, int64 [keep]. Equal scores: the lower index stays.
at::Tensor ChooseChannels(const at::Tensor& scores, int64_t keep);

// down_proj on the kept channels [hidden, keep] which best gives the outputs of the whole one:
// argmin_B sum_t ||W x_t - B x_t[kept]||^2 + lambda ||B - W[:, kept]||^2 = W_K + W_P C_PK (C_KK + lambda I)^-1,
// with P the pruned channels and lambda = ridge * mean(diag C). gram: C = sum_t x_t x_t^T, [channels, channels].
at::Tensor RepairDown(const at::Tensor& down, const at::Tensor& gram, const at::Tensor& kept, double ridge);

class PruneFfnPass : public Pass {
 public:
  explicit PruneFfnPass(PruneFfnOptions options) : options_(options) {}

  PassNeeds Needs() const override { return {.calibration = true}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  PruneFfnOptions options_;
};

std::unique_ptr<Pass> MakePruneFfn(Options& options);

}  // namespace ecld
