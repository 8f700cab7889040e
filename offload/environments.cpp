#include "offload/environments.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "core/random.h"

namespace ecld::offload {
namespace {

// Row i of a matrix of n rows.
template <class T>
std::span<T> Row(std::vector<T>& matrix, size_t i, size_t n) {
  const size_t width = matrix.size() / n;
  return std::span(matrix).subspan(i * width, width);
}

}  // namespace

size_t Spaces::all_choices() const { return std::accumulate(choices.begin(), choices.end(), size_t{0}); }

EnvironmentBatch::EnvironmentBatch(const MakeEnvironment& make, size_t count) {
  assert(count > 0);
  for (size_t i = 0; i < count; ++i) each_.push_back(make());
  frame_.observations.resize(count * spaces().observed);
  frame_.last_observations.resize(count * spaces().observed);
  frame_.allowed.assign(count * spaces().all_choices(), 1);
  frame_.rewards.resize(count);
  frame_.costs.resize(count * spaces().limits.size());
  frame_.terminated.resize(count);
  frame_.truncated.resize(count);
}

void EnvironmentBatch::Observe(size_t i) {
  each_[i]->Observe(Row(frame_.observations, i, count()), Row(frame_.allowed, i, count()));
}

void EnvironmentBatch::Reset(uint64_t seed) {
  Random seeds(seed);
  for (size_t i = 0; i < count(); ++i) {
    each_[i]->Seed(seeds.Next());
    each_[i]->Begin();
    Observe(i);
  }
}

void EnvironmentBatch::Step(std::span<const float> actions) {
  const size_t parts = spaces().parts();
  assert(actions.size() == count() * parts);
  for (size_t i = 0; i < count(); ++i) {
    const Transition made = each_[i]->Step(actions.subspan(i * parts, parts), Row(frame_.costs, i, count()));
    frame_.rewards[i] = static_cast<float>(made.reward);
    frame_.terminated[i] = made.terminated;
    frame_.truncated[i] = made.truncated && !made.terminated;
    if (frame_.truncated[i])
      each_[i]->Observe(Row(frame_.last_observations, i, count()), Row(frame_.allowed, i, count()));
    if (made.ended()) each_[i]->Begin();
    Observe(i);
  }
}

}  // namespace ecld::offload
