#include "offload/learn/ppo.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "offload/learn/advantages.h"
#include "offload/learn/ppo_loss.h"
#include "offload/learn/rollout.h"

namespace ecld::offload {
namespace {

// A view of numbers as a matrix of so many rows; they must outlive it.
at::Tensor Matrix(std::vector<float>& values, size_t rows) {
  const auto n = static_cast<int64_t>(rows);
  return at::from_blob(values.data(), {n, static_cast<int64_t>(values.size()) / std::max<int64_t>(n, 1)}, at::kFloat);
}

void Shuffle(std::vector<int64_t>& order, Random& random) {
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
}

NamedArray ArrayOf(const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kDouble).contiguous();
  return {values.sizes().vec(), {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()}};
}

NamedArray ArrayOf(const std::vector<double>& values) {
  return {{static_cast<int64_t>(values.size())}, values, DType::kF64};
}

}  // namespace

struct Ppo::Impl {
  Impl(const MakeEnvironment& make_one, const PpoSettings& of_run, int64_t total, uint64_t of_seed)
      : make(make_one),
        settings(of_run),
        total_steps(total),
        seed(of_seed),
        batch(make, static_cast<size_t>(settings.environments)),
        spaces(batch.spaces()),
        kinds(1 + spaces.limits.size()),
        agent(spaces, settings.hidden, static_cast<int64_t>(kinds), seed),
        scaler(spaces.observed, batch.count(), settings.normalize_observations, settings.normalize_rewards,
               settings.gamma),
        returns(batch.count()),
        random(seed),
        sums(spaces.limits.size(), 0),
        prices(spaces.limits.size(), 0) {
    at::set_num_threads(1);
    BeginAnew();
  }

  void BeginAnew() {
    const uint64_t mixed = Random(seed ^ (static_cast<uint64_t>(steps) * 0x9e3779b97f4a7c15u)).Next();
    random = Random(mixed);
    batch.Reset(random.Next());
    scaler.BeginAnew();
    returns.BeginAnew();
  }

  // Values of what followed each step, [steps, environments, kinds].
  std::vector<float> NextValues(Rollout& rollout, const at::Tensor& values) const {
    const size_t width = rollout.environments * kinds, steps_in = rollout.steps;
    const float* of_steps = values.data_ptr<float>();
    std::vector<float> next(of_steps + width, of_steps + steps_in * width);
    const at::Tensor after = agent.Values(Matrix(rollout.next_observations, rollout.environments));
    next.insert(next.end(), after.data_ptr<float>(), after.data_ptr<float>() + width);
    if (rollout.last_observations.empty()) return next;
    const size_t cut = rollout.last_observations.size() / spaces.observed;
    const at::Tensor at_cut = agent.Values(Matrix(rollout.last_observations, cut));
    const float* from = at_cut.data_ptr<float>();
    for (size_t i = 0; i < rollout.truncated.size(); ++i) {
      if (!rollout.truncated[i]) continue;
      std::copy_n(from, kinds, next.data() + i * kinds);
      from += kinds;
    }
    return next;
  }

  Minibatch Estimate(Rollout& rollout) {
    at::NoGradGuard no_grad;
    const size_t rows = rollout.steps * rollout.environments;
    Minibatch all{.observations = Matrix(rollout.observations, rows), .actions = Matrix(rollout.actions, rows)};
    all.values = agent.Values(all.observations);
    const std::vector<float> next = NextValues(rollout, all.values);
    std::vector<float> advantages = Advantages({.steps = rollout.steps,
                                                .environments = rollout.environments,
                                                .kinds = kinds,
                                                .rewards = rollout.rewards,
                                                .values = {all.values.data_ptr<float>(), next.size()},
                                                .next_values = next,
                                                .terminated = rollout.terminated,
                                                .truncated = rollout.truncated,
                                                .gamma = settings.gamma,
                                                .lambda = settings.lambda});
    const at::Tensor of_kinds = Matrix(advantages, rows);
    all.returns = all.values + of_kinds;
    std::vector<float> weights = {1};
    for (const double price : prices) weights.push_back(static_cast<float>(-price));
    all.advantages = of_kinds.mv(at::tensor(weights)) / (1 + std::accumulate(prices.begin(), prices.end(), 0.0));
    all.log_p = Matrix(rollout.log_p, rows).flatten();
    if (std::ranges::count(rollout.allowed, 0) > 0)
      all.allowed = at::from_blob(rollout.allowed.data(), {static_cast<int64_t>(rows), -1}, at::kByte).to(at::kBool);
    return all;
  }

  // A step of Adam. THROWS Error where the gradient is not finite.
  void Descend(const Minibatch& part, const LossWeights& weights, double rate, PpoReport* report) {
    const PpoLoss loss = LossOf(agent, part, weights);
    loss.total.backward();
    agent.Backward(loss.out);
    if (!std::isfinite(agent.parameters().Descend(rate, settings.max_gradient)))
      Fail("ppo", "the loss or its gradient is not finite at step {}; a smaller learning rate may help", steps);
    if (!weights.figures) return;
    report->policy_loss = loss.policy.item<double>();
    report->value_loss = loss.value.item<double>();
    report->entropy = loss.entropy.item<double>();
    report->kl = loss.kl.item<double>();
  }

  void DescendAll(const Minibatch& all, PpoReport* report) {
    const double left = settings.fall ? 1 - static_cast<double>(steps) / static_cast<double>(total_steps) : 1;
    LossWeights weights{.clip = settings.clip * left,
                        .clip_value = settings.clip_value,
                        .entropy = settings.entropy,
                        .value = settings.value_weight};
    const int64_t rows = all.log_p.size(0);
    std::vector<int64_t> order(static_cast<size_t>(rows));
    std::iota(order.begin(), order.end(), 0);
    for (int64_t epoch = 0; epoch < settings.epochs; ++epoch) {
      if (settings.minibatch < rows) Shuffle(order, random);
      for (int64_t from = 0; from < rows; from += settings.minibatch) {
        const int64_t size = std::min(settings.minibatch, rows - from);
        weights.figures = epoch + 1 == settings.epochs && from + size == rows;
        if (size == rows) {
          Descend(all, weights, settings.learning_rate * left, report);
          continue;
        }
        const at::Tensor rows_of = at::from_blob(order.data() + from, {size}, at::kLong);
        const auto pick = [&](const at::Tensor& of_all) {
          return of_all.defined() ? of_all.index_select(0, rows_of) : at::Tensor();
        };
        Descend({pick(all.observations), pick(all.actions), pick(all.allowed), pick(all.log_p), pick(all.advantages),
                 pick(all.returns), pick(all.values)},
                weights, settings.learning_rate * left, report);
      }
    }
  }

  // The multipliers follow what the costs were.
  void Price(const Rollout& rollout, PpoReport* report) {
    const auto rows = static_cast<double>(rollout.steps * rollout.environments);
    for (size_t k = 0; k < prices.size(); ++k) {
      double cost = 0;
      for (size_t at = 1 + k; at < rollout.rewards.size(); at += kinds) cost += rollout.rewards[at] / rows;
      const double over = cost + settings.reserve;
      sums[k] = std::max(0.0, sums[k] + settings.price_rate * over);
      prices[k] = std::max(0.0, sums[k] + settings.price_reach * over);
      report->mean_costs.push_back(cost);
    }
    report->prices = prices;
  }

  PpoReport Iterate() {
    const at::Tensor before = agent.parameters().all().clone();
    Rollout rollout = Roll(static_cast<size_t>(settings.rollout_steps), agent, batch, scaler, returns, random);
    steps += static_cast<int64_t>(rollout.steps * rollout.environments);
    PpoReport report{.steps = steps, .episode_return = returns.mean(), .mean_reward = rollout.mean_reward};
    Price(rollout, &report);
    try {
      DescendAll(Estimate(rollout), &report);
    } catch (...) {
      at::NoGradGuard no_grad;
      agent.parameters().all().copy_(before);
      throw;
    }
    return report;
  }

  MakeEnvironment make;
  PpoSettings settings;
  int64_t total_steps;
  uint64_t seed;
  EnvironmentBatch batch;
  Spaces spaces;
  size_t kinds;  // of values: of the reward, and of each cost
  ActorCritic agent;
  Scaler scaler;
  EpisodeReturns returns;
  Random random;
  std::vector<double> sums, prices;  // [limits]: costs so far times the rate; the multipliers
  int64_t steps = 0;
};

Ppo::Ppo(const MakeEnvironment& make, const PpoSettings& settings, int64_t total_steps, uint64_t seed)
    : impl_(std::make_unique<Impl>(make, settings, total_steps, seed)) {}
Ppo::~Ppo() = default;

PpoReport Ppo::Iterate() { return impl_->Iterate(); }
int64_t Ppo::steps() const { return impl_->steps; }
bool Ppo::done() const { return impl_->steps >= impl_->total_steps; }
void Ppo::BeginAnew() { impl_->BeginAnew(); }

NamedArrays Ppo::State() const {
  const Impl& run = *impl_;
  return {{"parameters", ArrayOf(run.agent.parameters().all())},
          {"first_moment", ArrayOf(run.agent.parameters().first_moment())},
          {"second_moment", ArrayOf(run.agent.parameters().second_moment())},
          {"counts", ArrayOf({run.agent.parameters().descents().item<double>(), static_cast<double>(run.steps)})},
          {"observed", ArrayOf(run.scaler.observed().State())},
          {"returns", ArrayOf(run.scaler.returns().State())},
          {"sums", ArrayOf(run.sums)},
          {"prices", ArrayOf(run.prices)},
          {"ended", ArrayOf(run.returns.ended())}};
}

void Ppo::Restore(const NamedArrays& state) {
  at::NoGradGuard no_grad;
  Impl& run = *impl_;
  const std::string where = "the state of a run";
  const auto floats = [&](const char* name, const at::Tensor& to) {
    const NamedArray& array = ArrayIn(state, name, to.sizes().vec(), where);
    to.copy_(at::tensor(array.values, at::kDouble));
  };
  const auto numbers = [&](const char* name, size_t size) {
    return ArrayIn(state, name, {static_cast<int64_t>(size)}, where).values;
  };
  floats("parameters", run.agent.parameters().all());
  floats("first_moment", run.agent.parameters().first_moment());
  floats("second_moment", run.agent.parameters().second_moment());
  const std::vector<double> counts = numbers("counts", 2);
  run.agent.parameters().descents().fill_(counts[0]);
  run.steps = static_cast<int64_t>(counts[1]);
  run.scaler.observed().Restore(numbers("observed", 1 + 2 * run.spaces.observed));
  run.scaler.returns().Restore(numbers("returns", 3));
  run.sums = numbers("sums", run.sums.size());
  run.prices = numbers("prices", run.prices.size());
  run.returns.Restore(ArrayIn(state, "ended", {}, where).values);
}

NamedArrays Ppo::Policy() const {
  const Impl& run = *impl_;
  NamedArrays arrays;
  const auto& layers = run.agent.layers();
  for (size_t i = 0; i < layers.size() && layers[i].name.starts_with("policy"); ++i) {
    arrays.emplace(layers[i].name + ".weight", ArrayOf(run.agent.LayerParameter(i, false)));
    arrays.emplace(layers[i].name + ".bias", ArrayOf(run.agent.LayerParameter(i, true)));
  }
  std::vector<double> mean(run.spaces.observed, 0), scale(run.spaces.observed, 1);
  for (size_t i = 0; run.scaler.scales_observations() && i < mean.size(); ++i) {
    mean[i] = run.scaler.observed().mean(i);
    scale[i] = run.scaler.observed().scale(i);
  }
  arrays.emplace("observed.mean", ArrayOf(mean));
  arrays.emplace("observed.scale", ArrayOf(scale));
  return arrays;
}

std::vector<float> Ppo::Outputs(std::vector<float> observations) const {
  at::NoGradGuard no_grad;
  impl_->scaler.Scale(observations, observations);
  const at::Tensor out =
      impl_->agent.Policy(Matrix(observations, observations.size() / impl_->spaces.observed)).contiguous();
  return {out.data_ptr<float>(), out.data_ptr<float>() + out.numel()};
}

std::vector<double> Ppo::Evaluate(int64_t episodes, uint64_t seed, bool likeliest) const {
  at::NoGradGuard no_grad;
  const Impl& run = *impl_;
  EnvironmentBatch batch(run.make, static_cast<size_t>(episodes));
  batch.Reset(seed);
  Random random(seed);
  std::vector<double> returns(batch.count(), 0);
  std::vector<uint8_t> ended(batch.count(), 0);
  std::vector<float> seen(batch.frame().observations.size()), actions(batch.count() * run.spaces.parts()),
      log_p(batch.count());
  while (std::ranges::count(ended, 0) > 0) {
    run.scaler.Scale(batch.frame().observations, seen);
    run.agent.Act(run.agent.Policy(Matrix(seen, batch.count())), batch.frame().allowed, likeliest ? nullptr : &random,
                  actions, log_p);
    batch.Step(actions);
    for (size_t i = 0; i < returns.size(); ++i) {
      if (!ended[i]) returns[i] += batch.frame().rewards[i];
      ended[i] |= batch.frame().terminated[i] | batch.frame().truncated[i];
    }
  }
  return returns;
}

}  // namespace ecld::offload
