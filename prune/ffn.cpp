#include "prune/ffn.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/options.h"

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
  ModelConfig result = input.config;
  result.intermediate_size = KeptChannels(channels, options_.ratio, options_.multiple_of);
  Planned planned = PlanRemoval(input, options_.removal, Role::kDown, result);
  planned.notes.push_back(fmt::format("intermediate_size {} -> {} in every block", channels, result.intermediate_size));
  return planned;
}

void PruneFfnPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  const int64_t keep = out.config().intermediate_size, gone = in.config().intermediate_size - keep;
  (*context.report)["intermediate_size"] = keep;
  WalkRemoval(in, out, context, options_.removal,
              {.label = "prune.ffn",
               .linear = Role::kDown,
               .keep = [&](Survivors& channels) { channels.Keep(1, 1, keep, (gone + kRounds - 1) / kRounds); },
               .row = [](const Survivors& channels) -> Json {
                 return {{"kept_channels", channels.inputs().size(0)}};
               }});
}

std::unique_ptr<Pass> MakePruneFfn(Options& options) {
  PruneFfnOptions prune;
  prune.ratio = options.Number("ratio", prune.ratio, 0, 0.95, "share of the feed-forward channels to remove");
  prune.multiple_of = options.Int("multiple_of", prune.multiple_of, 1, 1 << 20,
                                  "what is left is a multiple of this, as a later group size wants it");
  prune.removal = ReadRemovalOptions(options);
  return std::make_unique<PruneFfnPass>(prune);
}

}  // namespace ecld
