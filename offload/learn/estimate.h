#pragma once
// From a rollout to what each step was worth.

#include <ATen/core/Tensor.h>

#include "offload/learn/rollout.h"

namespace ecld::offload {

// A view of numbers as a matrix of so many rows; they must outlive it.
at::Tensor Matrix(std::vector<float>& values, size_t rows);
at::Tensor Matrix(std::vector<uint8_t>& values, size_t rows);

// The critic's values of all observations, and of those after the last step: [(steps + 1) * environments, kinds].
at::Tensor ValuesOf(Rollout& rollout, const ActorCritic& agent);

// Advantages over such values, [steps * environments, kinds]; where an episode was cut off, the critic says what was
// still to come.
at::Tensor AdvantagesOver(const at::Tensor& values, Rollout& rollout, const ActorCritic& agent, double gamma,
                          double lambda);

}  // namespace ecld::offload
