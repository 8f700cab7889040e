#include "prune/moments.h"

#include <ATen/ATen.h>

#include <cmath>

#include "core/error.h"
#include "model/block_training.h"

namespace ecld {
namespace {

struct InputAndStates {
  at::Tensor input, states;
};

// What enters the linear, and the states behind it.
InputAndStates RunTo(Role linear, const Block& block, const at::Tensor& states) {
  const TorchOps ops;
  const at::Tensor heads = block.OutputInput(ops, block.AttentionInput(ops, states));
  const at::Tensor middle = block.AfterAttention(ops, states, heads);
  if (linear == Role::kOutput) return {heads, middle};
  const at::Tensor channels = block.DownInput(ops, block.MlpInput(ops, middle));
  return {channels, block.AfterMlp(ops, middle, channels)};
}

at::Tensor MakersOf(Role linear, const Block& block) {
  const auto rows = [&](Role role) { return block.Parameter(role).square().sum(1); };
  if (linear == Role::kDown) return rows(Role::kGate) * rows(Role::kUp);
  // A head of v is read by several query heads.
  const int64_t head_dim = block.config().head_dim, heads = block.Parameter(Role::kOutput).size(1) / head_dim;
  const at::Tensor values = rows(Role::kValue).view({-1, 1, head_dim});
  return values.expand({-1, heads / values.size(0), head_dim}).flatten();
}

std::vector<at::Tensor> OutputMoments(const OutputStatistics& statistics, const TensorSpec& linear) {
  std::vector<at::Tensor> blocks;
  for (int64_t first = 0; first < linear.shape[0]; first += MomentRows(linear.shape[0]))
    blocks.push_back(statistics.Moments(linear, first));
  return blocks;
}

}  // namespace

PruneMoments MomentsOf(const WalkedBlock& walked, const TensorSpec& linear, const OutputStatistics* statistics,
                       bool products) {
  const Block& block = walked.block;
  const int64_t out = linear.shape[0], in = linear.shape[1];
  const bool told = !block.Has(*GroupOf(linear.role).out_norm);
  PruneMoments moments{.energy = at::zeros({in}, at::kFloat), .mean = at::zeros({in}, at::kFloat)};
  const at::Tensor weights = statistics ? statistics->TokenWeights(linear.role, linear.layer) : at::Tensor();
  const int64_t windows = walked.states.size(0), window_tok = walked.states.size(1);
  const auto add = [&](int64_t begin, int64_t end, InputProducts& part) {
    if (products) part = {at::zeros({in, in}, at::kFloat), at::zeros({out, in}, at::kFloat)};
    ForWindowBatches(end - begin, window_tok, [&](int64_t first, int64_t count) {
      first += begin;
      const InputAndStates run = RunTo(linear.role, block, walked.states.narrow(0, first, count));
      const at::Tensor x = run.input.reshape({-1, in});
      const at::Tensor weight =
          weights.defined() ? weights.narrow(0, first, count).reshape({-1, 1}) : at::ones({x.size(0), 1});
      const at::Tensor weighted = x * weight;
      moments.energy += (x * weighted).sum(0);
      moments.mean += weighted.sum(0);
      if (!products) return;
      part.inputs.addmm_(weighted.t(), x);
      if (!told) return;
      const at::Tensor lacks = (walked.targets.narrow(0, first, count) - run.states).reshape({-1, out});
      part.missing.addmm_(lacks.t(), weighted);
      part.lacking += (lacks.square() * weight).sum(at::kDouble).item<double>();
    });
    const auto tokens = static_cast<double>((end - begin) * window_tok);
    if (products) part = {part.inputs.div_(tokens), part.missing.div_(tokens), part.lacking / tokens};
  };
  const int64_t held_out = HeldOutWindows(windows, kHeldOut);
  add(0, windows - held_out, moments.fit);
  add(windows - held_out, windows, moments.held_out);
  if (!std::isfinite(moments.energy.sum().item<float>()))
    Fail(linear.name, "its inputs on the calibration text are too large for a float32");
  moments.energy.div_(static_cast<double>(windows * window_tok));
  moments.mean.div_(static_cast<double>(windows * window_tok));
  if (statistics) moments.outputs = OutputMoments(*statistics, linear);
  moments.makers = MakersOf(linear.role, block);
  return moments;
}

}  // namespace ecld
