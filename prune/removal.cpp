#include "prune/removal.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "core/error.h"
#include "core/memory.h"
#include "core/options.h"
#include "model/block_training.h"
#include "model/embedding.h"
#include "model/streamed_kl.h"
#include "prune/cut.h"
#include "prune/ratio_search.h"

namespace ecld {
namespace {

constexpr int64_t kGoodTokens = 10;  // for each input that is refitted
constexpr int64_t kKlTok = 2048;     // that the divergence of the result is told of

// Sizes with those of a level that this linear's inputs have.
LayerSizes With(const LayerSizes& sizes, const LayerSizes& level, Role linear) {
  if (linear == Role::kDown) return {level.intermediate_size, sizes.num_heads, sizes.num_kv_heads};
  return {sizes.intermediate_size, level.num_heads, level.num_kv_heads};
}

// Of each block, the index into removal.levels. REQUIRES: each is of one.
std::vector<size_t> LevelsOf(const ModelConfig& config, const Removal& removal) {
  std::vector<size_t> levels;
  for (const LayerSizes& sizes : SizesOfLayers(config)) {
    const auto same = [&](const LayerSizes& level) { return With(sizes, level, removal.linear) == sizes; };
    levels.push_back(static_cast<size_t>(std::ranges::find_if(removal.levels, same) - removal.levels.begin()));
  }
  return levels;
}

ModelConfig WithLevels(const ModelConfig& config, const Removal& removal, const std::vector<size_t>& levels) {
  std::vector<LayerSizes> sizes = SizesOfLayers(config);
  for (size_t layer = 0; layer < sizes.size(); ++layer)
    sizes[layer] = With(sizes[layer], removal.levels[levels[layer]], removal.linear);
  return WithLayerSizes(config, sizes);
}

TensorSpec SpecOf(const ModelConfig& config, Role linear) { return Find(TensorTable(config), linear, 0); }

class RemovalWalk {
 public:
  RemovalWalk(const Checkpoint& in, const CheckpointWriter& out, const PassContext& context,
              const RemovalOptions& options, const Removal& removal)
      : in_(in),
        out_(out),
        context_(context),
        options_(options),
        removal_(removal),
        sizes_(SizesOfLayers(out.config())),
        cuts_(SizesOfLayers(in.config()) != sizes_) {
    if (cuts_ && options.output_kl) statistics_.emplace(in, context);
    const auto& windows = context.calibration->windows;
    kl_windows_ = SampleWindows(kKlTok, context.calibration->window_tok, std::ssize(windows));
    if (cuts_ && options.repair) unrepaired_ = Embed(in, {windows.begin(), windows.begin() + kl_windows_});
  }

  // A row of the report.
  Json Cut(const WalkedBlock& walked) {
    if (!cuts_) return Json::object();
    Block& block = walked.block;
    const TensorSpec& linear = Find(in_.table(), removal_.linear, block.layer());
    const at::Tensor weight = block.Parameter(linear.role);
    Survivors survivors(
        weight, MomentsOf(walked, linear, statistics_ ? &*statistics_ : nullptr, options_.NeedsProducts()), options_);
    removal_.keep(survivors, sizes_[static_cast<size_t>(block.layer())]);
    CutInputs(block, linear.role, survivors.inputs());
    if (unrepaired_.defined() && passed_ == block.layer()) {
      AdvanceStates(TorchOps(), block, unrepaired_);
      ++passed_;
    }
    block.Parameter(linear.role) = survivors.weight();

    Json row = removal_.row(survivors);
    row["kept_energy"] = survivors.KeptEnergy();
    if (options_.NeedsProducts()) {
      row["output_error_unrepaired"] = survivors.ErrorUnrepaired();
      row["output_error"] = survivors.Error();
    }
    if (survivors.ridge() > 0) {
      row["refit_taken"] = survivors.taken();
      row["refit_of_lacking_taken"] = survivors.taken_lacking();
    }
    if (survivors.ridge() > options_.ridge)
      row["degraded"] = fmt::format("the refit has no one answer at a ridge of {}; it was raised to {}", options_.ridge,
                                    survivors.ridge());
    return row;
  }

  void Tell(const WalkedStates& ended) const {
    std::vector<at::Tensor> models = {ended.states.narrow(0, 0, kl_windows_)};
    const bool whole = unrepaired_.defined() && passed_ == in_.config().num_layers;
    if (whole) models.push_back(unrepaired_);
    const std::vector<double> kl = Divergences(in_, ended.teacher.narrow(0, 0, kl_windows_), models);
    Json& report = *context_.report;
    report["score"] = std::string(kScoreNames[static_cast<size_t>(options_.score)]);
    report["repair"] = options_.repair;
    if (const Json ratios = context_.rows.All("ratios "); !ratios.empty()) report["ratios"] = ratios;
    report["sizes"] = SizesJson(in_.config(), out_.config());
    report["kl_tok"] = kl_windows_ * ended.states.size(1);  // of the calibration text
    report["kl_nats_unrepaired"] = whole ? Json(kl[1]) : Json(nullptr);
    report["kl_nats"] = kl[0];
  }

 private:
  const Checkpoint& in_;
  const CheckpointWriter& out_;
  const PassContext& context_;
  const RemovalOptions& options_;
  const Removal& removal_;
  std::vector<LayerSizes> sizes_;  // of each block that is left
  bool cuts_;
  std::optional<OutputStatistics> statistics_;
  int64_t kl_windows_ = 0;
  // States of the model that is cut alike and not refitted, and how many blocks they have passed: where a killed run
  // has left some blocks refitted, not all.
  at::Tensor unrepaired_;
  int64_t passed_ = 0;
};

// Of a result that is uniform: another that blocks may come to, where there is a choice, and what that costs.
SearchCost PlanChoice(const PlanInput& input, const RatioOptions& ratios, const Removal& removal, double walk_flops,
                      Planned* planned) {
  std::vector<size_t> levels = LevelsOf(planned->config, removal);
  if (levels.size() == 1 || levels.front() == 0 || levels.front() + 1 == removal.levels.size()) {
    planned->notes.push_back("blocks have nothing to give each other; as much goes from every one");
    return {};
  }
  --levels.front();
  ++levels.back();
  planned->config = WithLevels(planned->config, removal, levels);
  planned->notes.push_back("how much of each block is left, the measurement decides");
  return CostOfSearch(input, ratios, walk_flops);
}

}  // namespace

void RequirePrunable(const PlanInput& input) {
  RequireDenseAndCalibrated(input);
  if (input.config.allocation)
    Fail(input.where, "formats were chosen for the matrices as they are; put this stage before quantize.allocate");
}

Planned PlanRemoval(const PlanInput& input, const RemovalOptions& options, const RatioOptions& ratios,
                    const Removal& removal, const ModelConfig& result) {
  const TensorSpec before = SpecOf(input.config, removal.linear), after = SpecOf(result, removal.linear);
  const int64_t held_out = options.repair ? HeldOutWindows(input.calibration_windows, kHeldOut) : 0;
  const int64_t tokens = (input.calibration_windows - held_out) * input.window_tok, kept = after.shape[1];
  if (options.repair && !(options.ridge > 0)) Fail(input.where + ".ridge", "{} is not above 0", options.ridge);
  if (options.score == Score::kTaylor && !options.output_kl)
    Fail(input.where + ".score", "taylor looks at gradients of the model's output; it needs output: kl");
  if (ratios.chosen && !(options.output_kl && options.NeedsProducts()))
    Fail(input.where + ".ratios",
         "chosen goes by what the model is expected to lose; it needs output: kl, and a repair or score obs or taylor");
  Planned planned;
  planned.config = result;
  planned.output_B = WeightFileBytes(result);
  const auto windows_of = [&](int64_t wanted) {
    return static_cast<int64_t>(
        std::ceil(static_cast<double>(wanted) / static_cast<double>(input.window_tok) / (1 - kHeldOut)));
  };
  if (options.repair && tokens < kept)
    Fail(input.where,
         "{} calibration tokens beside those held out are less than the {} inputs whose weights are refitted to them; "
         "at "
         "least {} windows of {} tokens, better {}, or repair: false",
         tokens, kept, windows_of(kept), input.window_tok, windows_of(kGoodTokens * kept));
  if (options.repair && tokens < kGoodTokens * kept)
    planned.notes.push_back(fmt::format("weights of {} inputs are refitted to {} tokens; better {} windows of {}", kept,
                                        tokens, windows_of(kGoodTokens * kept), input.window_tok));

  const WalkMemory memory = MemoryOfWalk(input.config, input);
  const auto in = static_cast<uint64_t>(before.shape[1]), out = static_cast<uint64_t>(before.shape[0]);
  // Products of windows to fit and to judge in float; of a repair in double the system's factor and inverse, and some
  // sets of weights.
  const uint64_t products_B = options.NeedsProducts() ? 2 * 4 * in * (in + out) : 0;
  const uint64_t solve_B = (options.repair ? 16 * in * in : 0) + 8 * 8 * in * out;
  const uint64_t states =
      removal.linear == Role::kOutput ? 3 : 2;  // of the pruned and of the dense model; after attention
  const auto kl_tok = SampleWindows(kKlTok, input.window_tok, input.calibration_windows) * input.window_tok;
  planned.peak_memory_B = states * memory.states_B + kKeptFreeBytes +
                          std::max(2 * memory.block_B + products_B + std::max(memory.batch_B, solve_B),
                                   DivergenceBytes(input.config, kl_tok));
  double flops = 3 * WalkFlops(input.config, input) + 3 * AttentionFlops(input.config, input);
  const double size = static_cast<double>(in), layers = static_cast<double>(input.config.num_layers);
  // Their inverse in double: half the rate of float.
  if (options.NeedsProducts()) flops += layers * 2 * static_cast<double>(tokens) * size * static_cast<double>(in + out);
  if (options.repair) flops += layers * 2 * size * size * (size + 2 * static_cast<double>(before.shape[1] - kept));
  if (ratios.chosen) {
    const SearchCost search = PlanChoice(input, ratios, removal, flops, &planned);
    flops += search.flops;
    planned.peak_memory_B += search.memory_B;
  }
  if (options.output_kl) {
    const GradientWalkCost cost = CostOfStatistics(input.config, input);
    planned.peak_memory_B = std::max(planned.peak_memory_B, cost.memory_B + kKeptFreeBytes);
    planned.scratch_disk_B = cost.scratch_B;
    flops += cost.flops;
  }
  if (input.rates) planned.seconds = flops / input.rates->GemmFlops();
  return planned;
}

ModelConfig SettleRemoval(const Checkpoint& in, const ModelConfig& planned, PassContext& context,
                          const RemovalOptions& options, const RatioOptions& ratios, const Removal& removal) {
  if (!ratios.chosen) return planned;
  const std::vector<size_t> levels = LevelsOf(planned, removal);
  if (std::ranges::count(levels, levels.front()) == std::ssize(levels)) return planned;
  const size_t total = std::accumulate(levels.begin(), levels.end(), size_t{0});
  return WithLevels(planned, removal, ChooseLevels(in, context, options, ratios, removal, total / levels.size()));
}

void WalkRemoval(const Checkpoint& in, CheckpointWriter& out, PassContext& context, const RemovalOptions& options,
                 const Removal& removal) {
  RemovalWalk walk(in, out, context, options, removal);
  const WalkedStates ended = WalkBlocks(in, out, context,
                                        {.label = removal.label,
                                         .change = [&](const WalkedBlock& walked) -> BlockResult {
                                           return {walk.Cut(walked), {}};
                                         },
                                         .lost_row = Json::object(),
                                         .teacher = &in,
                                         .after_attention = removal.linear == Role::kOutput});
  walk.Tell(ended);
}

Json SizesJson(const ModelConfig& before, const ModelConfig& after) {
  const auto sizes = [](const ModelConfig& config) -> Json {
    double weights = static_cast<double>(config.vocab_size * config.hidden_size);  // of the head
    for (const TensorSpec& spec : TensorTable(config))
      if (spec.layer >= 0 && spec.matrix()) weights += static_cast<double>(spec.Elements());
    return {{"params", ParameterCount(config)}, {"weights_B", WeightFileBytes(config)}, {"flop_per_tok", 2 * weights}};
  };
  return {{"before", sizes(before)}, {"after", sizes(after)}};
}

RatioOptions ReadRatioOptions(Options& options) {
  RatioOptions ratios;
  ratios.chosen = options.Choice("ratios", "uniform", {"uniform", "chosen"},
                                 "as much from every block; or from each what the model's output loses least by, which "
                                 "config.json says as per_layer_config") == "chosen";
  ratios.rounds = options.Int("rounds", ratios.rounds, 0, 100,
                              "with ratios: chosen, in which blocks are measured and give to each other");
  ratios.sample_tok = options.Int("sample_tok", ratios.sample_tok, 1, 1 << 24,
                                  "with ratios: chosen, tokens held out that the model's output is measured on");
  return ratios;
}

RemovalOptions ReadRemovalOptions(Options& options) {
  RemovalOptions removal;
  const std::vector<std::string> names(std::begin(kScoreNames), std::end(kScoreNames));
  const std::string score = options.Choice(
      "score", names[static_cast<size_t>(removal.score)], names,
      "what goes: of the smallest weights, of the least energy put out, of the least that varies, of the least "
      "expected change of the model's output, or of the least after the others have made it good (second order)");
  removal.score = static_cast<Score>(std::ranges::find(names, score) - names.begin());
  removal.repair = options.Bool("repair", removal.repair, "refit what is left to what the dense model puts out there");
  removal.ridge = options.Number("ridge", removal.ridge, 0, 0.01,
                                 "of the refit: how much a change of a weight costs, relative to its input's energy");
  removal.output_kl = options.Choice("output", removal.output_kl ? "kl" : "layer", {"layer", "kl"},
                                     "layer: the linear's own outputs are to be kept; kl: the model's, by gradients on "
                                     "calibration text") == "kl";
  return removal;
}

}  // namespace ecld
