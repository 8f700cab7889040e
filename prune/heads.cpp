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
  ModelConfig result = input.config;
  result.num_heads = heads;
  result.num_kv_heads = kv_heads;
  Planned planned = PlanRemoval(input, options_.removal, Role::kOutput, result);
  planned.notes.push_back(
      fmt::format("query heads {} -> {}, key and value heads {} -> {} in every block", all, heads, groups, kv_heads));
  if (result.family == Family::kQwen2)
    planned.notes.push_back(
        "llama.cpp takes the heads of a qwen2 to be as wide as its states, and cannot load the result");
  return planned;
}

void PruneHeadsPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  const ModelConfig &before = in.config(), &after = out.config();
  const int64_t groups = after.num_kv_heads, head_dim = before.head_dim;
  const int64_t in_group = before.num_heads / before.num_kv_heads;
  (*context.report)["num_attention_heads"] = after.num_heads;
  (*context.report)["num_key_value_heads"] = groups;
  WalkRemoval(in, out, context, options_.removal,
              {.label = "prune.heads",
               .linear = Role::kOutput,
               .keep =
                   [&](Survivors& columns) {
                     columns.Keep(in_group * head_dim, 1, groups, 1);
                     columns.Keep(head_dim, groups, after.num_heads / groups, 1);
                   },
               .row = [&](const Survivors& columns) -> Json {
                 return {{"kept_heads", HeadsOf(columns, head_dim)}};
               }});
}

std::unique_ptr<Pass> MakePruneHeads(Options& options) {
  PruneHeadsOptions prune;
  prune.heads = options.Int("heads", prune.heads, 0, kMost,
                            "query heads to keep, as many for each key and value head; 0: all of those that are kept");
  prune.kv_heads = options.Int("kv_heads", prune.kv_heads, 0, kMost,
                               "key and value heads to keep, each with the query heads that read it; 0: all");
  prune.removal = ReadRemovalOptions(options);
  return std::make_unique<PruneHeadsPass>(prune);
}

}  // namespace ecld
