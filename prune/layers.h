#pragma once
// Pass prune.layers: removes whole blocks. Of all that are left, the one goes without which the model's output changes
// least, by KL to the dense model on calibration text; then all are measured again. Lists in config.json with an entry
// for each block are cut, and the blocks behind get new numbers.

#include <cstdint>
#include <memory>
#include <vector>

#include "model/pass.h"

namespace ecld {

struct PruneLayersOptions {
  int64_t remove = 1;         // how many blocks go
  int64_t sample_tok = 2048;  // tokens of the calibration text that are looked at, in whole windows
};

// The config of a model that has these blocks alone, ascending.
ModelConfig WithLayers(const ModelConfig& config, const std::vector<int64_t>& kept);

class PruneLayersPass : public Pass {
 public:
  explicit PruneLayersPass(PruneLayersOptions options) : options_(options) {}

  PassNeeds Needs() const override { return {.calibration = true}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  PruneLayersOptions options_;
};

std::unique_ptr<Pass> MakePruneLayers(Options& options);

}  // namespace ecld
