#pragma once
// Pass prune.ffn: removes feed-forward channels, as many from every block, so that config.json stays standard (one
// smaller intermediate_size), or as many in the mean. What goes and what becomes of down_proj is survivors.h; the
// channels left keep their order.

#include <cstdint>
#include <memory>

#include "prune/removal.h"

namespace ecld {

struct PruneFfnOptions {
  double ratio = 0.25;        // share of the channels to remove, in [0, 1)
  int64_t multiple_of = 128;  // the new intermediate_size is rounded to a multiple of this (the later group size)
  RatioOptions ratios;
  RemovalOptions removal;
};

// Channels left of intermediate_size after removing ratio of them: the nearest multiple, at least one multiple, never
// more than there are. ratio 0 keeps all.
int64_t KeptChannels(int64_t intermediate_size, double ratio, int64_t multiple_of);

class PruneFfnPass : public SettlingPass {
 public:
  explicit PruneFfnPass(PruneFfnOptions options) : options_(options) {}

  PassNeeds Needs() const override { return {.calibration = true}; }
  Planned Plan(const PlanInput& input) const override;
  ModelConfig Settle(const Checkpoint& in, const ModelConfig& planned, PassContext& context) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  Removal RemovalOf(const ModelConfig& config) const;

  PruneFfnOptions options_;
};

std::unique_ptr<Pass> MakePruneFfn(Options& options);

}  // namespace ecld
