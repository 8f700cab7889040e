#pragma once
// Pass quantize.allocate: chooses the bits of every matrix, embedding and head included, so that the whole checkpoint
// keeps a budget and KL to the original, summed over the matrices, is least. What a format costs the curvature of KL
// says, for rounding that knows it (curvature.h: gptq with output: kl), or a measurement of rounding to nearest
// (sensitivity.h); the choice among the sums is exact (knapsack.h). The weights stay as they are: the choice goes into
// config.json, and the rounding stage that follows (round, gptq, tune) packs by it.
//
//   - pass: quantize.allocate
//     budget_MB: 72
//     formats: [{bits: 2}, {bits: 3}, {bits: 4}, {bits: 8}]
//   - pass: quantize.gptq
//     output: kl

#include "model/pass.h"
#include "quantize/allocation_units.h"
#include "quantize/curvature.h"
#include "quantize/sensitivity.h"

namespace ecld {

struct AllocateOptions {
  double budget_MB = 0;        // of all weights of the result, in 10^6 bytes; 0: bits_per_weight says it
  double bits_per_weight = 0;  // the same as a mean over all parameters, what stays dense included
  std::vector<std::optional<PackedFormat>> formats;  // that may be chosen; nullopt: dense
  bool fuse = true;        // q, k, v of a block share a format, and gate, up: clients that fuse them need it
  bool embeddings = true;  // the embedding may be packed
  bool lm_head = true;     // a head that is not tied may be
  bool measured = false;   // costs are measured, by sensitivity; else curvature's
  CurvatureOptions curvature;
  SensitivityOptions sensitivity;
};

class AllocatePass : public Pass {
 public:
  explicit AllocatePass(AllocateOptions options) : options_(std::move(options)) {}

  PassNeeds Needs() const override { return {.calibration = true}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  AllocateOptions options_;
};

std::unique_ptr<Pass> MakeAllocate(Options& options);

}  // namespace ecld
