#pragma once
// What passes that train single blocks share: the loss towards another block's states, held-out windows that only
// judge, and a seeded order of the others.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/random.h"
#include "model/block.h"
#include "model/pass.h"

namespace ecld {

// Mean over tokens of ||student - teacher||^2 / ||teacher||^2: the squared error of block-wise distillation (Li et al.
// 2020, arXiv 1911.13053, eq. 4), per token relative to the teacher, because a few tokens have states a thousand
// times larger than the rest. Both [windows, tokens, hidden]; a scalar that can be differentiated.
at::Tensor BlockLoss(const at::Tensor& student, const at::Tensor& teacher);

// Mean loss of the block over windows [first, end) of states: every window counts the same.
double MeanBlockLoss(const BlockOps& ops, const Block& block, const at::Tensor& states, const at::Tensor& targets,
                     int64_t first);

// How many windows, the last ones, only judge: this share, at least one.
int64_t HeldOutWindows(int64_t windows, double share);

// For plans. THROWS Error naming the option: batch_windows below 1, held_out not a share, or no window left to train
// on.
void RequireWindowsToTrainOn(const PlanInput& input, int64_t batch_windows, double held_out);

std::vector<int64_t> ShuffledIndices(int64_t count, Random& random);

}  // namespace ecld
