#include "offload/learn/memory.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "offload/learn/arrays.h"

namespace ecld::offload {
namespace {

at::Tensor Copied(const std::vector<float>& values, std::vector<int64_t> shape) {
  return at::tensor(values).view(shape);
}

at::Tensor Copied(const std::vector<uint8_t>& values, std::vector<int64_t> shape) {
  return at::tensor(values, at::kByte).to(at::kFloat).view(shape);
}

}  // namespace

Memory::Memory(const Spaces& spaces, int64_t rollouts, int64_t steps, int64_t environments, int64_t members,
               int64_t hidden)
    : rollouts_(rollouts), environments_(environments) {
  const auto observed = static_cast<int64_t>(spaces.observed), parts = static_cast<int64_t>(spaces.parts());
  widths_ = {observed, parts, observed, 1 + static_cast<int64_t>(spaces.limits.size()), 1, 1};
  const int64_t width = std::accumulate(widths_.begin(), widths_.end(), int64_t{0});
  steps_ = at::zeros({rollouts * environments, steps, width});
  starts_ = at::zeros({members, rollouts * environments, hidden});
}

Course Memory::CourseOf(const Rollout& rollout, const at::Tensor& start) const {
  const auto steps = static_cast<int64_t>(rollout.steps), n = environments_;
  const at::Tensor observations = Copied(rollout.observations, {1, steps, n, -1});
  const at::Tensor after = Copied(rollout.next_observations, {1, 1, n, -1});
  const at::Tensor terminated = Copied(rollout.terminated, {1, steps, n});
  return {.observations = observations,
          .actions = Copied(rollout.actions, {1, steps, n, -1}),
          .next_observations = at::cat({observations.narrow(1, 1, steps - 1), after}, 1),
          .rewards = Copied(rollout.rewards, {1, steps, n, -1}),
          .terminated = terminated,
          .ended = at::max(terminated, Copied(rollout.truncated, {1, steps, n})),
          .start = start};
}

void Memory::Add(const Course& course) {
  const int64_t from = added_++ % rollouts_ * environments_;
  const at::Tensor all = at::cat({course.observations, course.actions, course.next_observations, course.rewards,
                                  course.terminated.unsqueeze(3), course.ended.unsqueeze(3)},
                                 3);
  steps_.narrow(0, from, environments_).copy_(all[0].transpose(0, 1));
  starts_.narrow(1, from, environments_).copy_(course.start);
}

Course Memory::Draw(int64_t count, Random& random) const {
  const int64_t members = starts_.size(0), kept = std::min(added_, rollouts_) * environments_;
  std::vector<int64_t> rows(static_cast<size_t>(members * count));
  for (int64_t& row : rows) row = static_cast<int64_t>(random.Below(static_cast<uint64_t>(kept)));
  const at::Tensor index = at::tensor(rows, at::kLong).view({members, count});
  std::vector<at::Tensor> starts;
  for (int64_t m = 0; m < members; ++m) starts.push_back(starts_[m].index_select(0, index[m]));
  const std::vector<at::Tensor> parts = steps_.index_select(0, index.flatten())
                                            .view({members, count, steps_.size(1), -1})
                                            .transpose(1, 2)
                                            .split_with_sizes(widths_, 3);
  return {parts[0], parts[1], parts[2], parts[3], parts[4].squeeze(3), parts[5].squeeze(3), at::stack(starts)};
}

void Memory::Save(NamedArrays* state) const {
  state->emplace("memory.added", ArrayOf(std::vector<double>{static_cast<double>(added_)}));
  state->emplace("memory.steps", ArrayOf(steps_));
  state->emplace("memory.starts", ArrayOf(starts_));
}

void Memory::Restore(const NamedArrays& state) {
  added_ = static_cast<int64_t>(NumbersIn(state, "memory.added", 1)[0]);
  ReadInto(steps_, state, "memory.steps");
  ReadInto(starts_, state, "memory.starts");
}

}  // namespace ecld::offload
