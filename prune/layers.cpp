#include "prune/layers.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "checkpoint/layer_sizes.h"
#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/progress.h"
#include "model/embedding.h"
#include "model/settling_pass.h"
#include "model/streamed_kl.h"
#include "model/tensor_walker.h"
#include "prune/removal.h"

namespace ecld {
namespace {

std::vector<int64_t> FirstLayers(int64_t count) {
  std::vector<int64_t> layers(static_cast<size_t>(count));
  std::iota(layers.begin(), layers.end(), 0);
  return layers;
}

// KL of the dense model to itself without some of its blocks.
class Measured {
 public:
  Measured(const Checkpoint& in, std::vector<std::vector<int32_t>> windows, ThreadPool& pool)
      : in_(in), windows_(std::move(windows)), ops_(in.config(), pool) {
    reference_ = Embed(in_, windows_);
    for (int64_t layer = 0; layer < in_.config().num_layers; ++layer) Advance(layer, {&reference_});
  }

  // Nats per token of the model of these layers without each of them, in their order.
  std::vector<double> WithoutEach(const std::vector<int64_t>& layers, Progress& progress) {
    at::Tensor states = Embed(in_, windows_);
    std::vector<at::Tensor> without;
    for (int64_t layer : layers) {
      std::vector<at::Tensor*> through;
      for (at::Tensor& some : without) through.push_back(&some);
      at::Tensor past = states.clone();
      through.push_back(&states);
      Advance(layer, through);
      without.push_back(std::move(past));
      progress.Advance();
    }
    return Divergences(in_, reference_, without);
  }

 private:
  void Advance(int64_t layer, const std::vector<at::Tensor*>& states) {
    const Block block = Block::Load(in_, layer);
    in_.DropPages(layer);
    for (at::Tensor* some : states) AdvanceStates(ops_, block, *some);
  }

  const Checkpoint& in_;
  std::vector<std::vector<int32_t>> windows_;
  BlockKernels ops_;
  at::Tensor reference_;
};

// Takes `remove` layers away one after the other. A row of the report for each; those of a killed run are taken.
std::vector<int64_t> ChooseLayers(const Checkpoint& in, const PruneLayersOptions& options, PassContext& context) {
  std::vector<int64_t> layers = FirstLayers(in.config().num_layers);
  const auto& windows = context.calibration->windows;
  const int64_t sample = SampleWindows(options.sample_tok, context.calibration->window_tok, std::ssize(windows));
  std::optional<Measured> measured;
  Progress progress("prune.layers", options.remove * in.config().num_layers, "blocks");
  for (int64_t i = 0; i < options.remove; ++i) {
    const std::string name = fmt::format("removed {}", i + 1);
    if (!context.rows.Find(name)) {
      if (!measured) measured.emplace(in, std::vector(windows.begin(), windows.begin() + sample), *context.pool);
      const std::vector<double> kl = measured->WithoutEach(layers, progress);
      const auto least = static_cast<size_t>(std::ranges::min_element(kl) - kl.begin());
      Json without = Json::array();
      for (size_t k = 0; k < kl.size(); ++k) without.push_back({{"layer", layers[k]}, {"kl_nats", kl[k]}});
      context.rows.Add(name, {{"layer", layers[least]}, {"kl_nats", kl[least]}, {"candidates", std::move(without)}});
      LogInfo("prune.layers: block {} goes, KL {:.4f}", layers[least], kl[least]);
    }
    std::erase(layers, context.rows.Find(name)->at("layer").get<int64_t>());
  }
  return layers;
}

}  // namespace

ModelConfig WithLayers(const ModelConfig& config, const std::vector<int64_t>& kept) {
  const auto all = static_cast<size_t>(config.num_layers);
  ModelConfig result = config;
  result.num_layers = std::ssize(kept);
  result.sliding_window.clear();
  for (int64_t layer : kept) result.sliding_window.push_back(config.sliding_window[static_cast<size_t>(layer)]);
  for (auto& [key, value] : result.source.items()) {
    if (key.find("layer") == std::string::npos || !value.is_array() || value.size() != all) continue;
    const Json entries = value;
    value = Json::array();
    for (int64_t layer : kept) value.push_back(entries[static_cast<size_t>(layer)]);
  }
  // Else a rule of the family says which layers have a window, by their numbers.
  const bool windows = std::ranges::any_of(config.sliding_window, [](int64_t window) { return window > 0; });
  if (windows && config.family != Family::kMistral) result.source["layer_types"] = Json::array();  // ToJson fills it
  return result;
}

Planned PruneLayersPass::Plan(const PlanInput& input) const {
  RequirePrunable(input);
  if (LayersDiffer(input.config))
    Fail(input.where,
         "blocks differ in size, so what is left depends on which go; put this stage before ratios: chosen");
  const int64_t layers = input.config.num_layers;
  if (options_.remove < 1 || options_.remove >= layers)
    Fail(input.where + ".remove", "{} of {} blocks cannot go; 1 to {} can", options_.remove, layers, layers - 1);
  if (options_.sample_tok < 1) Fail(input.where + ".sample_tok", "{} is below 1", options_.sample_tok);
  Planned planned;
  planned.config = WithLayers(input.config, FirstLayers(layers - options_.remove));
  planned.output_B = WeightFileBytes(planned.config);
  PlanInput sample = input;
  sample.calibration_windows = SampleWindows(options_.sample_tok, input.window_tok, input.calibration_windows);
  const int64_t tokens = sample.calibration_windows * sample.window_tok;
  const WalkMemory memory = MemoryOfWalk(input.config, sample);
  const auto variants = static_cast<uint64_t>(layers);
  // Those that leave the blocks, and the same normed; while blocks run, no logits.
  planned.peak_memory_B = (variants + 3) * memory.states_B + kKeptFreeBytes +
                          std::max(memory.block_B + memory.batch_B,
                                   (variants + 1) * memory.states_B + DivergenceBytes(input.config, tokens));
  if (input.rates) {
    const double walk = WalkFlops(input.config, sample) + AttentionFlops(input.config, sample);
    const double head = 2 * static_cast<double>(tokens * input.config.vocab_size * input.config.hidden_size);
    double products = walk, logits = 0;
    for (int64_t left = layers; left > layers - options_.remove; --left) {
      products += walk * static_cast<double>(left * (left + 1)) / static_cast<double>(2 * layers);
      logits += head * static_cast<double>(left + 1);
    }
    planned.seconds = products / input.rates->KernelFlops() + logits / input.rates->GemmFlops();
  }
  planned.notes.push_back(
      fmt::format("{} of {} blocks are left; which, the measurement decides", planned.config.num_layers, layers));
  return planned;
}

void PruneLayersPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  at::NoGradGuard no_grad;
  KeepFreeMemory();
  const std::vector<int64_t> layers = ChooseLayers(in, options_, context);
  *context.decided = DecidedKeys(out.config(), WithLayers(in.config(), layers));
  const auto copy = [&](const TensorSpec& target) -> Json {
    if (target.layer < 0) {
      out.CopyFrom(in, target);
      return nullptr;
    }
    const TensorSpec& source = Find(in.table(), target.role, layers[static_cast<size_t>(target.layer)], target.bias);
    const TensorView& view = in.Tensor(source.name);
    if (view.dtype == out.config().dtype)
      out.Write(target.name, view.bytes);
    else
      out.WriteFloats(target, in.ReadFloats(source));
    in.DropPages(source.layer);
    return nullptr;
  };
  Json& report = *context.report;
  report["layers"] = layers;
  report["removed"] = context.rows.All("removed ");
  report["sizes"] = SizesJson(in.config(), out.config());
  WalkTensors(in, out, context, {.label = "prune.layers", .write = copy, .lost_row = nullptr});
}

std::unique_ptr<Pass> MakePruneLayers(Options& options) {
  PruneLayersOptions prune;
  prune.remove = options.Int("remove", prune.remove, 1, 10000, "how many blocks go, one after the other");
  prune.sample_tok = options.Int("sample_tok", prune.sample_tok, 1, 1 << 24,
                                 "tokens of the calibration text on which every block is measured");
  return std::make_unique<PruneLayersPass>(prune);
}

}  // namespace ecld
