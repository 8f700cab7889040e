#pragma once
// Pass quantize.scale: makes the channels that calibration text excites easier to round (AWQ, Lin et al. 2023, arXiv
// 2306.00978, eq. 4 and 5). Input channel j of a linear is multiplied by s_j and whatever produces it is divided by
// s_j: the norm before q, k, v and before gate, up; v before o; up before down. The function stays the same, and the
// result is a dense checkpoint for a rounding pass to take on. s_j = (mean |x_j|)^a; the exponent a is searched for
// each of the four places, by what rounding to the given format does to the outputs.
//
// Clipping is searched with it, by the same grid search that rounds: the rounding pass repeats that search on the
// scaled weights, so no range has to be handed on, and the checkpoint stays an ordinary one. Give both stages the
// same format and clip.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/threads.h"
#include "model/pass.h"
#include "quantize/grid.h"

namespace ecld {

struct ScaleOptions {
  PackedFormat format;  // that the weights will be rounded to
  Clip clip = Clip::kMinMax;
  int64_t steps = 20;         // exponents tried: 0, 1 / steps, ... below 1
  int64_t sample_tok = 2048;  // tokens, spread over the calibration text, on which an exponent is judged
};

// magnitude: mean |x_j| of each input channel, [channels], not negative. Normalized so that the largest and the
// smallest scale are each other's inverse; channels that are silent count as the faintest of the others.
at::Tensor ChannelScales(const at::Tensor& magnitude, double exponent);

// Squared error of the outputs on inputs [tokens, in] when weights [out, in], multiplied by scales [in], are rounded
// and divided by them again.
double ScaledLoss(const at::Tensor& weights, const at::Tensor& inputs, const at::Tensor& scales,
                  const PackedFormat& format, Clip clip, DType scale_dtype, ThreadPool& pool);

struct ScaleChoice {
  at::Tensor scales;  // [channels]
  double exponent = 0;
  double loss = 0, loss_unscaled = 0;
};

// Tries the exponents for matrices that share their inputs; the first of equals wins, so 0 where nothing helps.
ScaleChoice SearchScales(const std::vector<at::Tensor>& matrices, const at::Tensor& inputs, const at::Tensor& magnitude,
                         const ScaleOptions& options, DType scale_dtype, ThreadPool& pool);

class ScalePass : public Pass {
 public:
  explicit ScalePass(ScaleOptions options) : options_(options) {}

  PassNeeds Needs() const override { return {.calibration = true}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  ScaleOptions options_;
};

std::unique_ptr<Pass> MakeScale(Options& options);

}  // namespace ecld
