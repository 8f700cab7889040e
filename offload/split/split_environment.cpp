#include "offload/split/split_environment.h"

#include <algorithm>
#include <memory>

namespace ecld::offload {
namespace {

class SplitEnvironment : public Environment {
 public:
  SplitEnvironment(std::shared_ptr<const EstimateGrid> ppl_ratio, double least)
      : ppl_ratio_(std::move(ppl_ratio)), least_(least) {}

  const Spaces& spaces() const override { return spaces_; }
  void Seed(uint64_t seed) override { random_ = Random(seed); }
  void Begin() override {
    start_ = DrawStart(random_);
    process_ = std::make_unique<PublishedSplit>(*ppl_ratio_, start_, /*bug=*/false);
    state_ = process_->first();
    step_ = 0;
  }

  void Observe(std::span<float> observation, std::span<uint8_t> allowed) override {
    std::ranges::fill(observation, 0.0f);
    std::ranges::fill(allowed, uint8_t{1});
    observation[0] = static_cast<float>(start_.noise);
    observation[1] = static_cast<float>(step_);
    observation[static_cast<size_t>(2 + start_.split - 1)] = 1;
    observation[static_cast<size_t>(2 + kPublishedSplits + process_->SplitAt(state_) - 1)] = 1;
  }

  Transition Step(std::span<const float> action, std::span<float>) override {
    const Outcome outcome = process_->At(step_, state_, static_cast<int>(action[0]));
    state_ = outcome.next[0].first;
    return {.reward = std::max(outcome.reward, least_), .terminated = ++step_ == kPublishedSteps};
  }

 private:
  const Spaces spaces_{.observed = 2 + 2 * kPublishedSplits, .choices = {kPublishedSplits}};
  std::shared_ptr<const EstimateGrid> ppl_ratio_;
  double least_;
  std::unique_ptr<PublishedSplit> process_;
  PublishedStart start_;
  Random random_{0};
  int state_ = 0, step_ = 0;
};

}  // namespace

PublishedStart DrawStart(Random& random) {
  const double noise = 0.08 + 0.14 * random.Uniform();
  return {.noise = noise, .split = 3 + static_cast<int>(random.Below(4))};
}

MakeEnvironment PublishedSplits(const EstimateGrid& ppl_ratio, double least) {
  return [shared = std::make_shared<const EstimateGrid>(ppl_ratio), least] {
    return std::make_unique<SplitEnvironment>(shared, least);
  };
}

}  // namespace ecld::offload
