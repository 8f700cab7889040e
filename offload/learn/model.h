#pragma once
// What can be imagined with: whatever foretells one step. A state is what it remembers of the steps before. Several
// members foretell side by side, each from a state of its own; how far they are apart says how sure they are.

#include <ATen/core/Tensor.h>

namespace ecld::offload {

class Model {
 public:
  struct Foreseen {
    at::Tensor state;         // [members, n, remembered]
    at::Tensor observations;  // [members, n, observed]
    at::Tensor rewards;       // [members, n, kinds]
    at::Tensor goes_on;       // [members, n]: the chance that the episode did not come to its end
  };

  virtual ~Model() = default;
  // Of actions [members, n, parts] on observations that are as the networks see them.
  virtual Foreseen Foresee(const at::Tensor& state, const at::Tensor& observations,
                           const at::Tensor& actions) const = 0;
};

}  // namespace ecld::offload
