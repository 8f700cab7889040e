#pragma once
// A world model: gated recurrent units (Cho et al. 2014) that foretell the next observation, the reward and the costs,
// and whether the episode ends. Several members learn side by side from draws of their own, all in one batch. What a
// step shows is on the way to what is foretold also without the memory, so that what is linear is known at once.

#include <string>

#include "offload/environments.h"
#include "offload/learn/foresight_settings.h"
#include "offload/learn/model.h"
#include "offload/learn/parameters.h"
#include "offload/learn/running_moments.h"

namespace ecld::offload {

// What was done, in its order; each member may have seen another part of it.
struct Course {
  at::Tensor observations;       // [members, steps, n, observed]
  at::Tensor actions;            // [members, steps, n, parts]
  at::Tensor next_observations;  // [members, steps, n, observed]; at an end nothing that counts
  at::Tensor rewards;            // [members, steps, n, kinds]
  at::Tensor terminated, ended;  // [members, steps, n], 0 or 1
  at::Tensor start;              // [members, n, hidden], the state before the first step
};

class WorldModel : public Model {
 public:
  WorldModel(const Spaces& spaces, const WorldModelSettings& settings, uint64_t seed);

  at::Tensor Begin(int64_t n) const;  // the state of what has just begun
  Foreseen Foresee(const at::Tensor& state, const at::Tensor& observations, const at::Tensor& actions) const override;

  struct Followed {
    at::Tensor states;  // [members, steps + 1, n, hidden]: before each step, and after the last
    Foreseen next;      // of each step [members, steps, n, ...], without states
  };
  // Along a course, from its start.
  Followed Follow(const Course& course) const;

  // Rewards as they are, [n, kinds]: their scales are learned as they come.
  void LearnScales(std::span<const float> rewards);
  // Begins with what is linear, by least squares; what is descended on after is the rest.
  void FitLinear(const Course& course);
  // A step of Adam. Returns the loss. THROWS Error, with what, where it is not finite.
  double Descend(const Course& course, const std::string& when);

  void Save(NamedArrays* state) const;
  void Restore(const NamedArrays& state);

 private:
  std::vector<at::Tensor> MakeParts(uint64_t seed) const;
  int64_t inputs() const;
  int64_t outputs() const;
  at::Tensor InputsOf(const at::Tensor& observations, const at::Tensor& actions) const;
  // The memory after a step of which this much came from the inputs, [members, n, 3 hidden].
  at::Tensor Remember(const std::vector<at::Tensor>& parts, const at::Tensor& from_inputs,
                      const at::Tensor& state) const;
  struct Raw {
    at::Tensor states, outputs;  // [members, steps + 1, n, hidden], [members, steps, n, outputs]
  };
  Raw Run(const std::vector<at::Tensor>& parts, const Course& course) const;
  Foreseen Read(const at::Tensor& outputs) const;
  at::Tensor Scaled(const at::Tensor& rewards) const;
  at::Tensor Mean() const;   // of rewards, [kinds]
  at::Tensor Scale() const;  // 1 over their deviations

  Spaces spaces_;
  WorldModelSettings settings_;
  int64_t observed_, kinds_;
  Parameters parameters_;
  RunningMoments rewards_;
};

}  // namespace ecld::offload
