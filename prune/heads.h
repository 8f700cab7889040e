#pragma once
// Pass prune.heads: removes attention heads, as many from every block or in the mean: whole key and value heads with
// the query heads that read them, and query heads out of every group that reads one key and value head. So config.json
// stays standard where every block loses as many: num_attention_heads and num_key_value_heads get smaller, head_dim
// stays and is written explicitly. What goes and what becomes of o_proj is survivors.h; the heads left keep their
// order. Where ratios are chosen, blocks differ in query heads, or in key and value heads where only those are asked
// for.

#include <cstdint>
#include <memory>

#include "prune/removal.h"

namespace ecld {

struct PruneHeadsOptions {
  int64_t heads = 0;     // query heads to keep; 0: all of the groups kept
  int64_t kv_heads = 0;  // key and value heads to keep; 0: all
  RatioOptions ratios;
  RemovalOptions removal;
};

class PruneHeadsPass : public SettlingPass {
 public:
  explicit PruneHeadsPass(PruneHeadsOptions options) : options_(options) {}

  PassNeeds Needs() const override { return {.calibration = true}; }
  Planned Plan(const PlanInput& input) const override;
  ModelConfig Settle(const Checkpoint& in, const ModelConfig& planned, PassContext& context) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  Removal RemovalOf(const ModelConfig& before, const ModelConfig& after) const;

  PruneHeadsOptions options_;
};

std::unique_ptr<Pass> MakePruneHeads(Options& options);

}  // namespace ecld
