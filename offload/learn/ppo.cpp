#include "offload/learn/ppo.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "offload/learn/arrays.h"
#include "offload/learn/estimate.h"
#include "offload/learn/foresight.h"

namespace ecld::offload {
namespace {

constexpr uint64_t kModelSeed = 0x6d6f64656cu;  // the model's chance is not the policy's

void Shuffle(std::vector<int64_t>& order, Random& random) {
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
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
        foresight(ForesightOf(settings)),
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
    if (foresight) foresight->BeginAnew();
  }

  std::optional<Foresight> ForesightOf(const PpoSettings& of_run) const {
    if (!of_run.foresight) return std::nullopt;
    return std::optional<Foresight>(std::in_place, spaces, *of_run.foresight, of_run.rollout_steps, of_run.environments,
                                    of_run.gamma, Random(seed ^ kModelSeed).Next());
  }

  // Of the reward and the costs, in what is learned.
  at::Tensor Weights() const {
    std::vector<float> weights = {1};
    for (const double price : prices) weights.push_back(static_cast<float>(-price));
    return at::tensor(weights) / (1 + std::accumulate(prices.begin(), prices.end(), 0.0));
  }

  Minibatch Estimate(Rollout& rollout) {
    at::NoGradGuard no_grad;
    const size_t rows = rollout.steps * rollout.environments;
    const auto count = static_cast<int64_t>(rows);
    const auto advantages_over = [&](const at::Tensor& values) {
      return AdvantagesOver(values, rollout, agent, settings.gamma, settings.lambda);
    };
    const at::Tensor values = ValuesOf(rollout, agent), weights = Weights();
    at::Tensor better = values, advantages = advantages_over(values);
    if (foresight) {
      better = foresight->Improve(rollout, agent, values, advantages, weights, random);
      if (settings.foresight->value_targets) advantages = advantages_over(better);
    }
    Minibatch all{.observations = Matrix(rollout.observations, rows),
                  .actions = Matrix(rollout.actions, rows),
                  .allowed = {},
                  .log_p = Matrix(rollout.log_p, rows).flatten(),
                  .advantages = advantages.mv(weights),
                  .returns = better.narrow(0, 0, count) + advantages,
                  .values = values.narrow(0, 0, count)};
    if (std::ranges::count(rollout.allowed, 0) > 0) all.allowed = Matrix(rollout.allowed, rows).to(at::kBool);
    if (foresight) foresight->AddImagined(weights, random, &all);
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

  void LearnModel(PpoReport* report) {
    foresight->Learn(random, fmt::format("step {}", steps));
    report->model_error = foresight->report().model_error;
    report->value_trust = foresight->report().value_trust;
    report->imagined_share = foresight->report().imagined_share;
  }

  PpoReport Iterate() {
    const at::Tensor before = agent.parameters().all().clone();
    Rollout rollout = Roll(static_cast<size_t>(settings.rollout_steps), agent, batch, scaler, returns, random);
    steps += static_cast<int64_t>(rollout.steps * rollout.environments);
    PpoReport report{.steps = steps, .episode_return = returns.mean(), .mean_reward = rollout.mean_reward};
    Price(rollout, &report);
    try {
      DescendAll(Estimate(rollout), &report);
      if (foresight) LearnModel(&report);
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
  std::optional<Foresight> foresight;
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
  NamedArrays state = {{"steps", ArrayOf({static_cast<double>(run.steps)})},
                       {"observed", ArrayOf(run.scaler.observed().State())},
                       {"returns", ArrayOf(run.scaler.returns().State())},
                       {"sums", ArrayOf(run.sums)},
                       {"prices", ArrayOf(run.prices)},
                       {"ended", ArrayOf(run.returns.ended())}};
  run.agent.parameters().Save("", &state);
  if (run.foresight) run.foresight->Save(&state);
  return state;
}

void Ppo::Restore(const NamedArrays& state) {
  Impl& run = *impl_;
  run.agent.parameters().Restore("", state);
  run.steps = static_cast<int64_t>(NumbersIn(state, "steps", 1)[0]);
  run.scaler.observed().Restore(NumbersIn(state, "observed", 1 + 2 * run.spaces.observed));
  run.scaler.returns().Restore(NumbersIn(state, "returns", 3));
  run.sums = NumbersIn(state, "sums", run.sums.size());
  run.prices = NumbersIn(state, "prices", run.prices.size());
  run.returns.Restore(ArrayIn(state, "ended", {}, kStateOfRun).values);
  if (run.foresight) run.foresight->Restore(state);
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
