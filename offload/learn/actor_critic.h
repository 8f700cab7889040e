#pragma once
// A policy and its critic: two networks of tanh layers side by side over the same observations, in one vector of
// parameters. Their gradients are reckoned here, layer by layer; what comes after the networks, the loss, is
// autograd's.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/random.h"
#include "offload/environments.h"
#include "offload/learn/parameters.h"

namespace ecld::offload {

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
    at::Tensor policy;               // [n, all choices], logits; or [n, numbers], means
    at::Tensor values;               // [n, values]
    at::Tensor log_std;              // [numbers]
    std::vector<at::Tensor> inputs;  // of each layer
  };
  // Of observations [n, observed]. All three ask for gradients where the mode allows.
  Out Forward(const at::Tensor& observations) const;
  at::Tensor Policy(const at::Tensor& observations) const;
  at::Tensor Values(const at::Tensor& observations) const;
  // Into parameters().gradient(): what the gradients of an Out make of it.
  void Backward(const Out& out) const;

  struct Judged {
    at::Tensor log_p, entropy;  // [n], sums over the parts of an action
  };
  // Of actions [n, parts], whole numbers as floats where they are choices. allowed: [n, all choices], true where a
  // choice may be made; none: all may. entropy: whether it is asked for.
  Judged Judge(const Out& out, const at::Tensor& actions, const at::Tensor& allowed, bool entropy = true) const;

  // Actions by what the policy says [n, ...], and their log-probabilities [n]. allowed: [n, all choices]; chance: none
  // for the likeliest.
  void Act(const at::Tensor& policy, std::span<const uint8_t> allowed, Random* chance, std::span<float> actions,
           std::span<float> log_p) const;

  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }
  int64_t parts() const { return static_cast<int64_t>(spaces_.parts()); }  // of an action
  const std::vector<LayerShape>& layers() const { return layers_; }
  const at::Tensor& LayerParameter(size_t layer, bool bias) const {
    return parameters_.views()[2 * layer + (bias ? 1 : 0)];
  }

 private:
  std::vector<at::Tensor> MakeLayers(const std::vector<int64_t>& hidden, int64_t values, uint64_t seed);
  double DrawChoices(std::span<const float> logits, std::span<const uint8_t> allowed, Random* chance,
                     std::span<float> to) const;
  double DrawNumbers(std::span<const float> means, Random* chance, std::span<float> to) const;
  // Through layers first to end; inputs, where given: what went into each.
  at::Tensor Run(size_t first, size_t end, at::Tensor x, std::vector<at::Tensor>* inputs) const;
  // Log-probabilities of each part of an action, [n, choices of it].
  std::vector<at::Tensor> LogShares(const Out& out, const at::Tensor& allowed) const;

  Spaces spaces_;
  std::vector<LayerShape> layers_;  // of the policy, then of the critic
  size_t critic_ = 0;               // the first of its layers
  Parameters parameters_;
};

// One part of an action by chance: an index by logits, of those allowed. Returns its log-probability.
double DrawChoice(std::span<const float> logits, std::span<const uint8_t> allowed, Random& random, size_t* choice);

}  // namespace ecld::offload
