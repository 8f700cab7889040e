#pragma once
// Pass quantize.rotate: turns the coordinates of a model so that no channel stands out, which makes weights easier to
// round; the function stays the same. Two rotations, both merged into the weights, so that the result is a plain
// checkpoint (QuaRot, Ashkboos et al. 2024, arXiv 2404.00456, section 4 stage 1; SpinQuant, Liu et al. 2024, arXiv
// 2405.16406, R1 and R2, here not learned):
//   residual  the states between blocks, h -> h R. Norms must first hand their weights on to the linears behind them;
//             the final norm's go into the head, so a head that was tied to the embedding becomes a matrix of its own.
//   values    within each attention head, between v and o.
// Needs no calibration and streams tensor by tensor.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/pass.h"

namespace ecld {

struct RotateOptions {
  bool residual = true;
  bool values = true;
};

// An orthogonal matrix [size, size], seeded: a Hadamard matrix of the largest power of two that divides size, times
// (Kronecker) a random orthogonal matrix of what is left, with random signs before it. 576 = 64 * 9, 5120 = 1024 * 5.
// Computed in double and returned as such.
at::Tensor Rotation(int64_t size, uint64_t seed);

class RotatePass : public Pass {
 public:
  explicit RotatePass(RotateOptions options) : options_(options) {}

  PassNeeds Needs() const override { return {}; }
  Planned Plan(const PlanInput& input) const override;
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override;

 private:
  RotateOptions options_;
};

std::unique_ptr<Pass> MakeRotate(Options& options);

}  // namespace ecld
