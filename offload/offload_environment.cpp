#include "offload/offload_environment.h"

#include <algorithm>
#include <cassert>

#include "core/error.h"
#include "core/random.h"
#include "offload/simulation.h"

namespace ecld::offload {
namespace {

const Policy kAsked{.name = "asked", .summary = "each choice is made outside", .decide = {}};

class OffloadEnvironment : public Environment {
 public:
  explicit OffloadEnvironment(const World& world) : world_(world), shape_(ShapeOf(world)) {
    spaces_ = {.observed = shape_.observed(), .choices = {shape_.choices()}};
    const auto has_budget = [](const DeviceClass& device) { return device.spec.energy_budget_J.has_value(); };
    const Limits& limits = world.scenario.limits;
    if (std::ranges::any_of(world.classes, has_budget)) spaces_.limits.push_back("energy");
    if (limits.accuracy) spaces_.limits.push_back("accuracy");
    if (limits.hallucination) spaces_.limits.push_back("hallucination");
    last_.resize(shape_.observed());
    options_.on_request = [this](const RequestRecord& record) { Count(record); };
  }

  const Spaces& spaces() const override { return spaces_; }
  void Seed(uint64_t seed) override { seeds_ = Random(seed); }

  void Begin() override {
    constexpr int kTries = 1000;
    for (int i = 0; i < kTries; ++i) {
      options_.seed = seeds_.Next() >> 1;
      run_ = std::make_unique<Simulation>(world_, kAsked, options_);
      costs_.assign(spaces_.limits.size(), 0);
      counted_s_ = 0;
      if (Next()) return;
    }
    Fail(world_.scenario.file, "no request comes within the horizon, {} s", world_.scenario.horizon_s);
  }

  void Observe(std::span<float> observation, std::span<uint8_t> allowed) override {
    if (over_) {  // as it was at the last choice
      std::ranges::copy(last_, observation.begin());
      return;
    }
    ObserveRequest(run_->pending()[at_], run_->state(), joined_, shape_, observation, allowed);
    std::ranges::copy(observation, last_.begin());
  }

  Transition Step(std::span<const float> action, std::span<float> costs) override {
    const Decision decision = DecisionOf(static_cast<size_t>(action[0]), shape_);
    run_->decisions()[at_] = decision;
    if (decision.place != kLocal) ++joined_[static_cast<size_t>(decision.place)];
    std::ranges::fill(costs, 0.0f);
    if (++at_ < run_->pending().size()) return {};
    const bool goes_on = Next();
    std::ranges::transform(costs_, costs.begin(), [](double cost) { return static_cast<float>(cost); });
    std::ranges::fill(costs_, 0.0);
    const double before_s = std::exchange(counted_s_, run_->under_way_s());
    return {.reward = before_s - counted_s_, .truncated = !goes_on};
  }

 private:
  bool Next() {
    over_ = !run_->Next();
    at_ = 0;
    joined_.assign(shape_.servers, 0);
    return !over_;
  }

  void Count(const RequestRecord& record) {
    const Limits& limits = world_.scenario.limits;
    size_t at = 0;
    for (const std::string& limit : spaces_.limits) {
      double& cost = costs_[at++];
      if (limit == "energy") {
        const auto& budget_J = world_.classes[world_.class_of[record.device]].spec.energy_budget_J;
        if (budget_J && record.joules) cost += *record.joules / *budget_J - 1;
      } else if (limit == "accuracy" && record.right) {
        const bool in_time = !limits.deadline_s || Seconds(record.done - record.arrived) <= *limits.deadline_s;
        cost += *limits.accuracy - (*record.right && in_time ? 1 : 0);
      } else if (limit == "hallucination" && record.hallucinated) {
        cost += (*record.hallucinated ? 1 : 0) - *limits.hallucination;
      }
    }
  }

  const World& world_;
  DecisionShape shape_;
  Spaces spaces_;
  Random seeds_{0};
  RunOptions options_;
  std::unique_ptr<Simulation> run_;
  size_t at_ = 0;                // of the requests that wait
  std::vector<int64_t> joined_;  // [servers]
  std::vector<double> costs_;    // since the last step that took time
  std::vector<float> last_;
  double counted_s_ = 0;
  bool over_ = false;
};

}  // namespace

MakeEnvironment OffloadEnvironments(const World& world) {
  return [&world] { return std::make_unique<OffloadEnvironment>(world); };
}

}  // namespace ecld::offload
