#include "prune/heads.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.h"
#include "core/options.h"

namespace ecld {
namespace {

constexpr int64_t kMost = 1 << 20;

// The heads of the dense model that are left, by one column of each.
Json HeadsOf(const Survivors& survivors, int64_t head_dim) {
  Json heads = Json::array();
  for (int64_t i = 0; i < survivors.inputs().size(0); i += head_dim)
    heads.push_back(survivors.inputs()[i].item<int64_t>() / head_dim);
  return heads;
}

}  // namespace

Planned PruneHeadsPass::Plan(const PlanInput& input) const {
  RequirePrunable(input);
  const int64_t all = input.config.num_heads, groups = input.config.num_kv_heads, in_group = all / groups;
  if (options_.heads == 0 && options_.kv_heads == 0)
    Fail(input.where, "neither heads nor kv_heads says what to keep of {} query and {} key and value heads", all,
         groups);
  const int64_t kv_heads = options_.kv_heads > 0 ? options_.kv_heads : groups;
  if (kv_heads > groups) Fail(input.where + ".kv_heads", "{} is more than the {} there are", kv_heads, groups);
  const int64_t most = kv_heads * in_group, heads = options_.heads > 0 ? options_.heads : most;
  if (heads > most || heads % kv_heads != 0)
    Fail(
        input.where + ".heads",
        "{} of {} query heads cannot be kept: each of the {} key and value heads kept is read by as many, 1 to {}; the "
        "nearest that can be is {}",
        heads, all, kv_heads, in_group, std::clamp<int64_t>((heads + kv_heads / 2) / kv_heads, 1, in_group) * kv_heads);
  std::vector<LayerSizes> sizes = SizesOfLayers(input.config);
  for (LayerSizes& each : sizes) {
    if (each.num_heads != all || each.num_kv_heads != groups)
      Fail(input.where, "blocks have {} to {} query heads; only as many in every block can be pruned", each.num_heads,
           all);
    each.num_heads = heads;
    each.num_kv_heads = kv_heads;
  }
  const ModelConfig result = WithLayerSizes(input.config, sizes);
  Planned planned = PlanRemoval(input, options_.removal, options_.ratios, RemovalOf(input.config, result), result);
  planned.notes.push_back(fmt::format("query heads {} -> {}, key and value heads {} -> {} in {}", all, heads, groups,
                                      kv_heads, options_.ratios.chosen ? "the mean" : "every block"));
  if (result.family == Family::kQwen2)
    planned.notes.push_back(
        "llama.cpp takes the heads of a qwen2 to be as wide as its states, and cannot load the result");
  return planned;
}

Removal PruneHeadsPass::RemovalOf(const ModelConfig& before, const ModelConfig& after) const {
  const int64_t head_dim = before.head_dim, in_group = before.num_heads / before.num_kv_heads;
  Removal removal = {.label = "prune.heads",
                     .linear = Role::kOutput,
                     .levels = {},
                     .keep =
                         [=](Survivors& columns, const LayerSizes& left) {
                           columns.Keep(in_group * head_dim, 1, left.num_kv_heads, 1);
                           columns.Keep(head_dim, left.num_kv_heads, left.num_heads / left.num_kv_heads, 1);
                         },
                     .row = [head_dim, all = before.num_heads](const Survivors& columns) -> Json {
                       return {{"kept_heads", HeadsOf(columns, head_dim)}, {"of", all}};
                     }};
  const int64_t kv_heads = SizesOfLayers(after).front().num_kv_heads;
  if (options_.heads > 0)
    for (int64_t i = 1; i <= in_group; ++i) removal.levels.push_back({0, i * kv_heads, kv_heads});
  else
    for (int64_t i = 1; i <= before.num_kv_heads; ++i) removal.levels.push_back({0, i * in_group, i});
  return removal;
}

ModelConfig PruneHeadsPass::Settle(const Checkpoint& in, const ModelConfig& planned, PassContext& context) const {
  return SettleRemoval(in, planned, context, options_.removal, options_.ratios, RemovalOf(in.config(), planned));
}

void PruneHeadsPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  WalkRemoval(in, out, context, options_.removal, RemovalOf(in.config(), out.config()));
}

std::unique_ptr<Pass> MakePruneHeads(Options& options) {
  PruneHeadsOptions prune;
  prune.heads = options.Int("heads", prune.heads, 0, kMost,
                            "query heads to keep, as many for each key and value head; 0: all of those that are kept");
  prune.kv_heads = options.Int("kv_heads", prune.kv_heads, 0, kMost,
                               "key and value heads to keep, each with the query heads that read it; 0: all");
  prune.ratios = ReadRatioOptions(options);
  prune.removal = ReadRemovalOptions(options);
  return std::make_unique<PruneHeadsPass>(prune);
}

}  // namespace ecld
