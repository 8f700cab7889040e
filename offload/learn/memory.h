#pragma once
// The latest rollouts, as a world model learns from them: courses of one environment each, with the state that each
// member was in when they began.

#include "offload/learn/rollout.h"
#include "offload/learn/world_model.h"

namespace ecld::offload {

class Memory {
 public:
  Memory(const Spaces& spaces, int64_t rollouts, int64_t steps, int64_t environments, int64_t members, int64_t hidden);

  // The rollout as one course, the same for every member (its first dimension is 1). start: [members, environments,
  // hidden]
  Course CourseOf(const Rollout& rollout, const at::Tensor& start) const;
  bool empty() const { return added_ == 0; }
  // In place of the oldest.
  void Add(const Course& course);
  // So many for each member, by chance. REQUIRES: something was added.
  Course Draw(int64_t count, Random& random) const;

  void Save(NamedArrays* state) const;
  void Restore(const NamedArrays& state);

 private:
  std::vector<int64_t> widths_;  // of what a step holds
  int64_t rollouts_, environments_, added_ = 0;
  at::Tensor steps_;   // [rollouts * environments, steps, all widths]
  at::Tensor starts_;  // [members, rollouts * environments, hidden]
};

}  // namespace ecld::offload
