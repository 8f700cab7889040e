#include "prune/ffn.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/options.h"
#include "prune/ratio_search.h"

namespace ecld {
namespace {

constexpr int64_t kRounds = 16;  // in which channels go

}  // namespace

int64_t KeptChannels(int64_t intermediate_size, double ratio, int64_t multiple_of) {
  if (ratio <= 0) return intermediate_size;
  const double wanted = static_cast<double>(intermediate_size) * (1 - ratio) / static_cast<double>(multiple_of);
  const int64_t multiples = std::max<int64_t>(1, std::llround(wanted));
  return std::min(intermediate_size, multiples * multiple_of);
}

Planned PruneFfnPass::Plan(const PlanInput& input) const {
  RequirePrunable(input);
  const int64_t channels = input.config.intermediate_size;
  if (!(options_.ratio >= 0 && options_.ratio < 1)) Fail(input.where + ".ratio", "{} is not in [0, 1)", options_.ratio);
  if (options_.multiple_of < 1 || options_.multiple_of > channels)
    Fail(input.where + ".multiple_of", "{} is not in 1 to the {} channels there are", options_.multiple_of, channels);
  if (options_.ratios.chosen && channels % options_.multiple_of != 0)
    Fail(input.where + ".multiple_of", "{} channels are not a multiple of {}, so blocks cannot give each other any",
         channels, options_.multiple_of);
  std::vector<LayerSizes> sizes = SizesOfLayers(input.config);
  for (LayerSizes& each : sizes) {
    if (each.intermediate_size != channels)
      Fail(input.where, "blocks have {} to {} channels; only as many in every block can be pruned",
           each.intermediate_size, channels);
    each.intermediate_size = KeptChannels(channels, options_.ratio, options_.multiple_of);
  }
  const ModelConfig result = WithLayerSizes(input.config, sizes);
  Planned planned = PlanRemoval(input, options_.removal, options_.ratios, RemovalOf(input.config), result);
  planned.notes.push_back(fmt::format("intermediate_size {} -> {} in {}", channels, result.intermediate_size,
                                      options_.ratios.chosen ? "the mean" : "every block"));
  return planned;
}

Removal PruneFfnPass::RemovalOf(const ModelConfig& config) const {
  const int64_t all = config.intermediate_size;
  Removal removal = {.label = "prune.ffn",
                     .linear = Role::kDown,
                     .levels = {},
                     .keep =
                         [all](Survivors& channels, const LayerSizes& left) {
                           const int64_t gone = all - left.intermediate_size;
                           channels.Keep(1, 1, left.intermediate_size, (gone + kRounds - 1) / kRounds);
                         },
                     .row = [all](const Survivors& channels) -> Json {
                       return {{"kept_channels", channels.inputs().size(0)}, {"of", all}};
                     }};
  for (int64_t left = options_.multiple_of; left <= all; left += options_.multiple_of)
    removal.levels.push_back({left, 0, 0});
  return removal;
}

ModelConfig PruneFfnPass::Settle(const Checkpoint& in, const ModelConfig& planned, PassContext& context) const {
  return SettleRemoval(in, planned, context, options_.removal, options_.ratios, RemovalOf(in.config()));
}

void PruneFfnPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  WalkRemoval(in, out, context, options_.removal, RemovalOf(in.config()));
}

std::unique_ptr<Pass> MakePruneFfn(Options& options) {
  PruneFfnOptions prune;
  prune.ratio = options.Number("ratio", prune.ratio, 0, 0.95, "share of the feed-forward channels to remove");
  prune.multiple_of = options.Int("multiple_of", prune.multiple_of, 1, 1 << 20,
                                  "what is left is a multiple of this, as a later group size wants it");
  prune.ratios = ReadRatioOptions(options);
  prune.removal = ReadRemovalOptions(options);
  return std::make_unique<PruneFfnPass>(prune);
}

}  // namespace ecld
