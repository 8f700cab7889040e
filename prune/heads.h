#pragma once
// Pass prune.heads: removes attention heads, as many from every block: whole key and value heads with the query heads
// that read them, and query heads out of every group that reads one key and value head. So config.json stays standard:
// num_attention_heads and num_key_value_heads get smaller, head_dim stays and is written explicitly. What goes and what
// becomes of o_proj is survivors.h; the heads left keep their order.

#include <cstdint>
#include <memory>

#include "prune/removal.h"

namespace ecld {

struct PruneHeadsOptions {
  int64_t heads = 0;     // query heads to keep; 0: all of the groups kept
  int64_t kv_heads = 0;  // key and value heads to keep; 0: all
  RemovalOptions removal;
};

class PruneHeadsPass : public Pass {
 public:
  explicit PruneHeadsPass(PruneHeadsOptions options) : options_(options) {}

  PassNeeds Needs() const override { return {.calibration = true}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  PruneHeadsOptions options_;
};

std::unique_ptr<Pass> MakePruneHeads(Options& options);

}  // namespace ecld
