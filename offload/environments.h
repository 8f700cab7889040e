#pragma once
// What a policy can be learned in: environments of one kind, stepped in one batch, each with chance of its own. An
// episode that ends is followed by the next at once (same-step autoreset); that it was cut off (truncated) is told from
// that it came to its end (terminated), since only then nothing is still to come. Nothing here knows of learning.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ecld::offload {

// The shape of what goes in and out.
struct Spaces {
  size_t observed = 0;          // numbers in an observation
  std::vector<size_t> choices;  // of each part of an action; empty: actions are numbers
  size_t numbers = 0;           // of such an action, each in [-bound, bound]
  double bound = 0;
  std::vector<std::string> limits;  // what each cost counts against; a limit is kept where the mean cost is 0 or less

  size_t parts() const { return choices.empty() ? numbers : choices.size(); }
  size_t all_choices() const;
};

struct Transition {
  double reward = 0;
  bool terminated = false, truncated = false;

  bool ended() const { return terminated || truncated; }
};

class Environment {
 public:
  virtual ~Environment() = default;
  virtual const Spaces& spaces() const = 0;
  virtual void Seed(uint64_t seed) = 0;  // of all that follows
  virtual void Begin() = 0;              // an episode
  // observation: [observed]; allowed: [all_choices], 1 where a choice may be made, of which each part has one.
  virtual void Observe(std::span<float> observation, std::span<uint8_t> allowed) = 0;
  // action: [parts], choices as whole numbers; numbers beyond the bound count as the bound. costs: [limits], set.
  virtual Transition Step(std::span<const float> action, std::span<float> costs) = 0;
};

// What a batch of n says, environment by environment.
struct Frame {
  std::vector<float> observations;             // [n, observed]; after an end, of the next episode
  std::vector<uint8_t> allowed;                // [n, all_choices]
  std::vector<float> rewards;                  // [n]
  std::vector<float> costs;                    // [n, limits]
  std::vector<uint8_t> terminated, truncated;  // [n]
  std::vector<float> last_observations;        // [n, observed], where truncated
};

using MakeEnvironment = std::function<std::unique_ptr<Environment>()>;

class EnvironmentBatch {
 public:
  EnvironmentBatch(const MakeEnvironment& make, size_t count);

  const Spaces& spaces() const { return each_[0]->spaces(); }
  size_t count() const { return each_.size(); }
  const Frame& frame() const { return frame_; }
  void Reset(uint64_t seed);
  void Step(std::span<const float> actions);  // [n, parts]

 private:
  void Observe(size_t i);

  std::vector<std::unique_ptr<Environment>> each_;
  Frame frame_;
};

}  // namespace ecld::offload
