#include "prune/ratio_search.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "core/log.h"
#include "core/memory.h"
#include "core/progress.h"
#include "model/block_training.h"
#include "model/embedding.h"
#include "model/streamed_kl.h"
#include "prune/cut.h"
#include "prune/ratios.h"

namespace ecld {
namespace {

// By how many levels a block is made smaller to see what that costs: one twelfth of all.
size_t Stride(size_t levels) { return std::max<size_t>(1, levels / 12); }
// How far a block may move in one round.
size_t FirstRadius(size_t levels) { return std::max<size_t>(1, levels / 4); }

int64_t SampleOf(const RatioOptions& ratios, int64_t windows, int64_t window_tok) {
  return std::min(HeldOutWindows(windows, kHeldOut), SampleWindows(ratios.sample_tok, window_tok, windows));
}

class Search {
 public:
  Search(const Checkpoint& in, const PassContext& context, const RemovalOptions& options, const RatioOptions& ratios,
         const Removal& removal)
      : in_(in),
        context_(context),
        options_(options),
        removal_(removal),
        stride_(Stride(removal.levels.size())),
        sample_(SampleOf(ratios, std::ssize(context.calibration->windows), context.calibration->window_tok)),
        statistics_(in, context),
        kernels_(in.config(), *context.pool) {}

  // A row of the report. all: with the predicted costs of every level; rises: with those of KL.
  Json Measure(const std::vector<size_t>& levels, bool all, bool rises, Progress& progress) {
    at::NoGradGuard no_grad;
    at::Tensor states = Embed(in_, context_.calibration->windows), teacher = states.clone(), middle;
    if (removal_.linear == Role::kOutput) middle = at::empty_like(teacher);
    std::vector<at::Tensor> models;  // each with one block smaller, those of `smaller`
    std::vector<size_t> smaller;
    Json predicted = Json::array(), kl_rises = Json::array();
    for (size_t layer = 0; layer < levels.size(); ++layer) {
      Block block = Block::Load(in_, static_cast<int64_t>(layer));
      in_.DropPages(block.layer());
      AdvanceStates(kernels_, block, teacher, {}, middle);
      const TensorSpec& linear = Find(in_.table(), removal_.linear, block.layer());
      Survivors survivors(block.Parameter(linear.role),
                          MomentsOf({block, states, middle.defined() ? middle : teacher}, linear, &statistics_, true),
                          options_);
      std::vector<double> costs(removal_.levels.size());
      std::optional<Block> here, less;
      for (size_t level = costs.size(); level-- > 0;) {
        const bool is_less = rises && level + stride_ == levels[layer];
        if (!all && !is_less && level != levels[layer]) continue;
        removal_.keep(survivors, removal_.levels[level]);
        costs[level] = survivors.Cost();
        if (level == levels[layer]) here = Cut(block, linear.role, survivors);
        if (is_less) less = Cut(block, linear.role, survivors);
      }
      if (all) predicted.push_back(costs);
      for (at::Tensor& model : models) AdvanceStates(kernels_, *here, model);
      if (less) {
        models.push_back(Sample(states).clone());
        smaller.push_back(layer);
        AdvanceStates(kernels_, *less, models.back());
      }
      AdvanceStates(kernels_, *here, states);
      ReturnFreeMemory();
      progress.Advance();
    }
    models.push_back(Sample(states));
    const std::vector<double> kl = Divergences(in_, Sample(teacher), models);
    Json row = {{"levels", levels}, {"kl_nats", kl.back()}};
    if (all) row["predicted"] = std::move(predicted);
    if (!rises) return row;
    row["rises"] = std::vector<Json>(levels.size());
    for (size_t i = 0; i < smaller.size(); ++i) row["rises"][smaller[i]] = kl[i] - kl.back();
    return row;
  }

 private:
  // The last windows, by which no weight was fitted.
  at::Tensor Sample(const at::Tensor& states) const { return states.narrow(0, states.size(0) - sample_, sample_); }

  Block Cut(const Block& block, Role linear, const Survivors& survivors) const {
    Block cut = block;
    CutInputs(cut, linear, survivors.inputs());
    cut.Parameter(linear) = survivors.weight();
    cut.RoundTo(in_.config());
    return cut;
  }

  const Checkpoint& in_;
  const PassContext& context_;
  const RemovalOptions& options_;
  const Removal& removal_;
  size_t stride_;
  int64_t sample_;
  OutputStatistics statistics_;
  BlockKernels kernels_;
};

std::vector<std::optional<double>> RisesOf(const Json& row) {
  std::vector<std::optional<double>> rises;
  for (const Json& rise : row.at("rises"))
    rises.push_back(rise.is_null() ? std::nullopt : std::optional(rise.get<double>()));
  return rises;
}

}  // namespace

std::vector<size_t> ChooseLevels(const Checkpoint& in, PassContext& context, const RemovalOptions& options,
                                 const RatioOptions& ratios, const Removal& removal, size_t uniform) {
  KeepFreeMemory();
  const auto layers = static_cast<size_t>(in.config().num_layers);
  const size_t count = removal.levels.size(), total = layers * uniform;
  std::optional<Search> search;
  Progress progress(removal.label + " ratios", (ratios.rounds + 1) * in.config().num_layers, "blocks");
  const auto measured = [&](int64_t round, const std::vector<size_t>& levels) -> Json {
    const std::string name = fmt::format("ratios {}", round);
    if (!context.rows.Find(name)) {
      if (!search) search.emplace(in, context, options, ratios, removal);
      context.rows.Add(name, search->Measure(levels, round == 0, round < ratios.rounds, progress));
    }
    const Json& row = *context.rows.Find(name);
    LogInfo("{}: ratios of round {}: KL {:.4f}", removal.label, round, row.at("kl_nats").get<double>());
    return row;
  };
  Json best = measured(0, std::vector<size_t>(layers, uniform));
  const auto predicted = best.at("predicted").get<LevelCosts>();
  size_t radius = FirstRadius(count);
  for (int64_t round = 1; round <= ratios.rounds && radius > 0; ++round) {
    const auto levels = best.at("levels").get<std::vector<size_t>>();
    const auto next = LeastCosts(Corrected(predicted, levels, RisesOf(best), Stride(count), radius), total);
    if (next == levels) break;
    Json found = measured(round, next);
    if (found.at("kl_nats") < best.at("kl_nats"))
      best = std::move(found);
    else
      radius /= 2;
  }
  return best.at("levels").get<std::vector<size_t>>();
}

SearchCost CostOfSearch(const PlanInput& input, const RatioOptions& ratios, double walk_flops) {
  const ModelConfig& config = input.config;
  PlanInput sample = input;
  sample.calibration_windows = SampleOf(ratios, input.calibration_windows, input.window_tok);
  const auto layers = static_cast<double>(config.num_layers);
  const double tokens = static_cast<double>(sample.calibration_windows * sample.window_tok);
  const double head = 2 * tokens * static_cast<double>(config.vocab_size * config.hidden_size);
  const double one = WalkFlops(config, sample) + AttentionFlops(config, sample);
  const auto rounds = static_cast<double>(ratios.rounds);
  return {(rounds + 1) * walk_flops + rounds * (layers * one / 2 + layers * head),
          static_cast<uint64_t>(2 * config.num_layers + 4) * MemoryOfWalk(config, sample).states_B};
}

}  // namespace ecld
