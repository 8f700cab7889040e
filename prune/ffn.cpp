#include "prune/ffn.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/memory.h"
#include "core/options.h"
#include "model/block_walker.h"

namespace ecld {
namespace {

// Adds sum_t x_t x_t^T of the inputs of down_proj over all windows: [channels, channels].
at::Tensor GramOfDown(const Block& block, const at::Tensor& hidden) {
  const int64_t channels = block.Parameter(Role::kDown).size(1);
  at::Tensor gram = at::zeros({channels, channels}, at::kFloat);
  ForWindowBatches(hidden.size(0), hidden.size(1), [&](int64_t first, int64_t count) {
    BlockInputs inputs;
    block.Forward(TorchOps(), hidden.narrow(0, first, count), &inputs);
    at::Tensor x = inputs[Role::kDown].reshape({-1, channels});
    gram.addmm_(x.t(), x);
  });
  return gram;
}

// The same without the products of different channels, which only the repair needs: [channels].
at::Tensor EnergyOfDown(const Block& block, const at::Tensor& hidden) {
  at::Tensor energy = at::zeros({block.Parameter(Role::kDown).size(1)}, at::kFloat);
  ForWindowBatches(hidden.size(0), hidden.size(1), [&](int64_t first, int64_t count) {
    BlockInputs inputs;
    block.Forward(TorchOps(), hidden.narrow(0, first, count), &inputs);
    energy += inputs[Role::kDown].square().sum(at::IntArrayRef{0, 1});
  });
  return energy;
}

void CutChannels(Block& block, const at::Tensor& kept, const at::Tensor& down) {
  for (Role role : GroupOf(Role::kDown).makers)
    for (bool bias : {false, true})
      if (block.Has(role, bias)) block.Parameter(role, bias) = block.Parameter(role, bias).index_select(0, kept);
  block.Parameter(Role::kDown) = down;
}

}  // namespace

int64_t KeptChannels(int64_t intermediate_size, double ratio, int64_t multiple_of) {
  if (ratio <= 0) return intermediate_size;
  const double wanted = static_cast<double>(intermediate_size) * (1 - ratio) / static_cast<double>(multiple_of);
  const int64_t multiples = std::max<int64_t>(1, std::llround(wanted));
  return std::min(intermediate_size, multiples * multiple_of);
}

at::Tensor ScoreChannels(const at::Tensor& down, const at::Tensor& energy) {
  return down.norm(2, at::IntArrayRef{0}) * energy.sqrt();
}

at::Tensor ChooseChannels(const at::Tensor& scores, int64_t keep) {
  at::Tensor order = std::get<1>(at::sort(scores, /*stable=*/true, /*dim=*/0, /*descending=*/true));
  return std::get<0>(at::sort(order.slice(0, 0, keep)));
}

at::Tensor RepairDown(const at::Tensor& down, const at::Tensor& gram, const at::Tensor& kept, double ridge) {
  const int64_t channels = down.size(1);
  at::Tensor is_pruned = at::ones({channels}, at::kBool).index_fill_(0, kept, false);
  at::Tensor pruned = at::nonzero(is_pruned).squeeze(1);
  at::Tensor survivors = down.index_select(1, kept);
  if (pruned.numel() == 0) return survivors;
  at::Tensor kept_gram = gram.index_select(0, kept);
  at::Tensor cross = kept_gram.index_select(1, pruned);  // [keep, pruned]
  at::Tensor system = kept_gram.index_select(1, kept).to(at::kDouble);
  const double mean_energy = gram.diagonal().mean().item<double>();
  // Without any energy there is nothing to fit, and the system would be singular.
  if (mean_energy == 0) return survivors;
  system.diagonal().add_(ridge * mean_energy);
  at::Tensor lost = cross.matmul(down.index_select(1, pruned).t()).to(at::kDouble);  // [keep, hidden]
  at::Tensor solved = at::cholesky_solve(lost, at::linalg_cholesky(system));
  return survivors + solved.t().to(at::kFloat);
}

Planned PruneFfnPass::Plan(const PlanInput& input) const {
  RequireDenseAndCalibrated(input);
  const int64_t channels = input.config.intermediate_size;
  if (!(options_.ratio >= 0 && options_.ratio < 1)) Fail(input.where + ".ratio", "{} is not in [0, 1)", options_.ratio);
  if (options_.multiple_of < 1 || options_.multiple_of > channels)
    Fail(input.where + ".multiple_of", "{} is not in 1 to the {} channels there are", options_.multiple_of, channels);
  if (options_.repair && !(options_.ridge > 0)) Fail(input.where + ".ridge", "{} is not above 0", options_.ridge);
  Planned planned;
  planned.config = input.config;
  planned.config.intermediate_size = KeptChannels(channels, options_.ratio, options_.multiple_of);
  planned.output_B = WeightFileBytes(planned.config);
  const WalkMemory memory = MemoryOfWalk(input.config, input);
  const auto kept = static_cast<uint64_t>(planned.config.intermediate_size), all = static_cast<uint64_t>(channels);
  // The Gram matrix in float, and of the kept channels one more float copy and two in double for the solution.
  const uint64_t repair_B = options_.repair ? 4 * all * all + 4 * kept * all + 16 * kept * kept : 0;
  planned.peak_memory_B = 2 * memory.block_B + memory.states_B + std::max(memory.batch_B, repair_B) +
                          (options_.repair ? 4 * all * all : 0) + kKeptFreeBytes;
  if (input.rates) {
    const double tokens = static_cast<double>(input.calibration_windows * input.window_tok);
    const double size = static_cast<double>(channels), layers = static_cast<double>(input.config.num_layers);
    const double gram_flops = options_.repair ? layers * (2 * tokens * size * size + size * size * size / 3) : 0;
    planned.seconds = (2 * WalkFlops(input.config, input) + gram_flops) / input.rates->GemmFlops();
  }
  planned.notes.push_back(
      fmt::format("intermediate_size {} -> {} in every block", channels, planned.config.intermediate_size));
  return planned;
}

void PruneFfnPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  const int64_t keep = out.config().intermediate_size;
  const Json nothing_cut = {{"kept_channels", keep}, {"kept_energy", nullptr}};
  (*context.report)["intermediate_size"] = keep;
  const auto cut = [&](const WalkedBlock& walked) -> BlockResult {
    if (keep == in.config().intermediate_size) return {nothing_cut, {}};
    Block& block = walked.block;
    at::Tensor gram = options_.repair ? GramOfDown(block, walked.states) : at::Tensor();
    at::Tensor energy = options_.repair ? gram.diagonal() : EnergyOfDown(block, walked.states);
    at::Tensor down = block.Parameter(Role::kDown), scores = ScoreChannels(down, energy).square();
    at::Tensor kept = ChooseChannels(scores, keep);
    const double total = scores.sum().item<double>();
    const double kept_energy = total > 0 ? scores.index_select(0, kept).sum().item<double>() / total : 1.0;
    CutChannels(block, kept,
                options_.repair ? RepairDown(down, gram, kept, options_.ridge) : down.index_select(1, kept));
    return {{{"kept_channels", keep}, {"kept_energy", kept_energy}}, {}};
  };
  WalkBlocks(in, out, context, {.label = "prune.ffn", .change = cut, .lost_row = nothing_cut});
}

std::unique_ptr<Pass> MakePruneFfn(Options& options) {
  PruneFfnOptions prune;
  prune.ratio = options.Number("ratio", prune.ratio, 0, 0.95, "share of the feed-forward channels to remove");
  prune.multiple_of = options.Int("multiple_of", prune.multiple_of, 1, 1 << 20,
                                  "what is left is a multiple of this, as a later group size wants it");
  prune.repair = options.Bool("repair", prune.repair, "refit the output matrix to what the whole block put out");
  prune.ridge = options.Number("ridge", prune.ridge, 0, 1e6,
                               "of the refit: how much a change costs, relative to the mean energy of a channel");
  return std::make_unique<PruneFfnPass>(prune);
}

}  // namespace ecld
