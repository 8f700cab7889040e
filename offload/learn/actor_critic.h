#pragma once
// A policy and its critic: two networks of tanh layers side by side over the same observations. All parameters are one
// vector, of which the layers are views: one gradient, one step of the optimizer, one tensor to save.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/random.h"
#include "offload/environments.h"

namespace ecld::offload {

// Where a layer's weight and bias lie in the vector.
struct LayerShape {
  std::string name;  // "policy.0"
  int64_t inputs = 0, outputs = 0;
};

class ActorCritic {
 public:
  // values: how many the critic foretells. Orthogonal weights, biases of 0; a policy that hardly prefers anything.
  ActorCritic(const Spaces& spaces, const std::vector<int64_t>& hidden, int64_t values, uint64_t seed,
              at::ScalarType type = at::kFloat);

  struct Out {
    at::Tensor policy;   // [n, all choices], logits; or [n, numbers], means
    at::Tensor values;   // [n, values]
    at::Tensor log_std;  // [numbers]
  };
  // Of observations [n, observed]. With gradients where parameters() asks for them and the mode allows.
  Out Forward(const at::Tensor& observations) const;
  at::Tensor Policy(const at::Tensor& observations) const;
  at::Tensor Values(const at::Tensor& observations) const;

  struct Judged {
    at::Tensor log_p, entropy;  // [n], sums over the parts of an action
  };
  // Of actions [n, parts], whole numbers as floats where they are choices. allowed: [n, all choices], true where a
  // choice may be made; none: all may.
  Judged Judge(const Out& out, const at::Tensor& actions, const at::Tensor& allowed) const;

  // Actions by what the policy says [n, ...], and their log-probabilities [n]. allowed: [n, all choices]; chance: none
  // for the likeliest.
  void Act(const at::Tensor& policy, std::span<const uint8_t> allowed, Random* chance, std::span<float> actions,
           std::span<float> log_p) const;

  const at::Tensor& parameters() const { return parameters_; }  // [all]
  const std::vector<LayerShape>& layers() const { return layers_; }
  at::Tensor LayerParameter(size_t layer, bool bias) const { return frozen_[2 * layer + (bias ? 1 : 0)]; }

 private:
  double DrawChoices(std::span<const float> logits, std::span<const uint8_t> allowed, Random* chance,
                     std::span<float> to) const;
  double DrawNumbers(std::span<const float> means, Random* chance, std::span<float> to) const;
  std::vector<at::Tensor> Views() const;
  at::Tensor Run(const std::vector<at::Tensor>& views, size_t first, size_t end, at::Tensor x) const;
  // Log-probabilities of each part of an action, [n, choices of it].
  std::vector<at::Tensor> LogShares(const Out& out, const at::Tensor& allowed) const;

  Spaces spaces_;
  std::vector<LayerShape> layers_;  // of the policy, then of the critic
  size_t critic_ = 0;               // the first of its layers
  std::vector<int64_t> sizes_;      // of the parts of the vector
  at::Tensor parameters_;
  std::vector<at::Tensor> frozen_;  // views of it without gradients
};

// One part of an action by chance: an index by logits, of those allowed. Returns its log-probability.
double DrawChoice(std::span<const float> logits, std::span<const uint8_t> allowed, Random& random, size_t* choice);
// The likeliest.
size_t BestChoice(std::span<const float> logits, std::span<const uint8_t> allowed);

}  // namespace ecld::offload
