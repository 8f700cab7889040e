#include "offload/learn/world_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "core/error.h"
#include "offload/learn/arrays.h"
#include "offload/observation.h"

namespace ecld::offload {
namespace {

// Of the parameters' parts.
enum Part { kInputs, kInputBias, kMemory, kMemoryBias, kRead, kPass, kReadBias };

constexpr double kRarely = -5;  // the logit of an end, before any was seen

at::Tensor Stack(const at::Tensor& bias, const at::Tensor& x, const at::Tensor& weight) {
  return at::baddbmm(bias, x, weight);
}

}  // namespace

WorldModel::WorldModel(const Spaces& spaces, const WorldModelSettings& settings, uint64_t seed)
    : spaces_(spaces),
      settings_(settings),
      observed_(static_cast<int64_t>(spaces.observed)),
      kinds_(1 + static_cast<int64_t>(spaces.limits.size())),
      parameters_(MakeParts(seed), at::kFloat),
      rewards_(static_cast<size_t>(kinds_)) {}

int64_t WorldModel::inputs() const {
  return observed_ + static_cast<int64_t>(spaces_.choices.empty() ? spaces_.numbers : spaces_.all_choices());
}

int64_t WorldModel::outputs() const { return observed_ + kinds_ + 1; }

std::vector<at::Tensor> WorldModel::MakeParts(uint64_t seed) const {
  Random random(seed);
  const int64_t members = settings_.members, hidden = settings_.hidden;
  const double bound = 1 / std::sqrt(static_cast<double>(hidden));
  const auto drawn = [&](int64_t rows, int64_t columns) {
    at::Tensor made = at::empty({members, rows, columns}, at::kDouble);
    for (int64_t i = 0; i < made.numel(); ++i) made.data_ptr<double>()[i] = bound * (2 * random.Uniform() - 1);
    return made;
  };
  // Nothing is foretold at first.
  const auto zeros = [&](int64_t rows) { return at::zeros({members, rows, outputs()}, at::kDouble); };
  const at::Tensor read_bias = zeros(1);
  read_bias.select(2, outputs() - 1).fill_(kRarely);
  return {drawn(inputs(), 3 * hidden),
          drawn(1, 3 * hidden),
          drawn(hidden, 3 * hidden),
          drawn(1, 3 * hidden),
          zeros(hidden),
          zeros(inputs()),
          read_bias};
}

at::Tensor WorldModel::Begin(int64_t n) const { return at::zeros({settings_.members, n, settings_.hidden}); }

at::Tensor WorldModel::InputsOf(const at::Tensor& observations, const at::Tensor& actions) const {
  std::vector<at::Tensor> parts = {observations};
  if (spaces_.choices.empty()) parts.push_back(actions.clamp(-spaces_.bound, spaces_.bound));
  for (size_t i = 0; i < spaces_.choices.size(); ++i)
    parts.push_back(
        at::one_hot(actions.select(-1, static_cast<int64_t>(i)).to(at::kLong), static_cast<int64_t>(spaces_.choices[i]))
            .to(at::kFloat));
  return at::cat(parts, -1);
}

at::Tensor WorldModel::Remember(const std::vector<at::Tensor>& parts, const at::Tensor& from_inputs,
                                const at::Tensor& state) const {
  const int64_t hidden = settings_.hidden;
  const at::Tensor from_memory = Stack(parts[kMemoryBias], state, parts[kMemory]);
  const at::Tensor gates = (from_inputs.narrow(2, 0, 2 * hidden) + from_memory.narrow(2, 0, 2 * hidden)).sigmoid();
  const at::Tensor anew = at::addcmul(from_inputs.narrow(2, 2 * hidden, hidden), gates.narrow(2, 0, hidden),
                                      from_memory.narrow(2, 2 * hidden, hidden))
                              .tanh();
  return at::lerp(anew, state, gates.narrow(2, hidden, hidden));
}

WorldModel::Raw WorldModel::Run(const std::vector<at::Tensor>& parts, const Course& course) const {
  const int64_t members = settings_.members, steps = course.observations.size(1), n = course.observations.size(2);
  const at::Tensor inputs_of = InputsOf(course.observations, course.actions)
                                   .expand({members, steps, n, inputs()})
                                   .reshape({members, -1, inputs()});
  const std::vector<at::Tensor> from_inputs =
      Stack(parts[kInputBias], inputs_of, parts[kInputs]).view({members, steps, n, -1}).unbind(1);
  // What an episode left is not remembered in the next.
  const at::Tensor keeps = settings_.recurrent ? 1 - course.ended : at::zeros_like(course.ended);
  const std::vector<at::Tensor> kept = keeps.expand({members, steps, n}).unsqueeze(3).unbind(1);
  std::vector<at::Tensor> states = {course.start}, remembered;
  for (int64_t t = 0; t < steps; ++t) {
    remembered.push_back(Remember(parts, from_inputs[t], states.back()));
    states.push_back(remembered.back() * kept[t]);
  }
  const at::Tensor read =
      Stack(parts[kReadBias], at::stack(remembered, 1).view({members, -1, settings_.hidden}), parts[kRead]);
  return {.states = at::stack(states, 1),
          .outputs = Stack(read, inputs_of, parts[kPass]).view({members, steps, n, outputs()})};
}

Model::Foreseen WorldModel::Read(const at::Tensor& outputs_of) const {
  return {.state = {},
          .observations = outputs_of.narrow(-1, 0, observed_).clamp(-kFar, kFar),
          .rewards = outputs_of.narrow(-1, observed_, kinds_) / Scale() + Mean(),
          .goes_on = 1 - outputs_of.select(-1, outputs() - 1).sigmoid()};
}

WorldModel::Followed WorldModel::Follow(const Course& course) const {
  at::NoGradGuard no_grad;
  const Raw raw = Run(parameters_.views(), course);
  return {raw.states, Read(raw.outputs)};
}

Model::Foreseen WorldModel::Foresee(const at::Tensor& state, const at::Tensor& observations,
                                    const at::Tensor& actions) const {
  at::NoGradGuard no_grad;
  const Raw raw = Run(parameters_.views(), {.observations = observations.unsqueeze(1),
                                            .actions = actions.unsqueeze(1),
                                            .ended = at::zeros({settings_.members, 1, observations.size(1)}),
                                            .start = state});
  Foreseen foreseen = Read(raw.outputs.squeeze(1));
  foreseen.state = raw.states.select(1, 1);
  return foreseen;
}

void WorldModel::LearnScales(std::span<const float> rewards) {
  for (size_t at = 0; at < rewards.size(); at += rewards_.width()) rewards_.Add(rewards.subspan(at, rewards_.width()));
}

at::Tensor WorldModel::Mean() const {
  at::Tensor made = at::empty({kinds_});
  for (int64_t k = 0; k < kinds_; ++k) made.data_ptr<float>()[k] = static_cast<float>(rewards_.mean(k));
  return made;
}

at::Tensor WorldModel::Scale() const {
  at::Tensor made = at::empty({kinds_});
  for (int64_t k = 0; k < kinds_; ++k) made.data_ptr<float>()[k] = static_cast<float>(rewards_.scale(k));
  return made;
}

at::Tensor WorldModel::Scaled(const at::Tensor& rewards) const {
  return ((rewards - Mean()) * Scale()).clamp(-kFar, kFar);
}

void WorldModel::FitLinear(const Course& course) {
  at::NoGradGuard no_grad;
  constexpr double kRidge = 1e-6;  // of a variance: choices sum to 1, as the constant does
  const at::Tensor x = InputsOf(course.observations, course.actions).to(at::kDouble).flatten(0, 2);
  const at::Tensor counts = (1 - course.ended).flatten().unsqueeze(1), ones = at::ones({x.size(0), 1}, at::kDouble);
  const at::Tensor inputs_of = at::cat({x, ones}, 1) * counts;
  const at::Tensor targets = at::cat({course.next_observations, Scaled(course.rewards)}, 3).flatten(0, 2) * counts;
  const at::Tensor ridge = at::eye(inputs_of.size(1), at::kDouble) * (kRidge * static_cast<double>(x.size(0)));
  const at::Tensor fitted =
      at::linalg_solve(inputs_of.t().mm(inputs_of) + ridge, inputs_of.t().mm(targets.to(at::kDouble)));
  const std::vector<at::Tensor>& parts = parameters_.views();
  parts[kPass].narrow(2, 0, observed_ + kinds_).copy_(fitted.narrow(0, 0, inputs()).unsqueeze(0));
  parts[kReadBias].narrow(2, 0, observed_ + kinds_).copy_(fitted.narrow(0, inputs(), 1).unsqueeze(0));
}

double WorldModel::Descend(const Course& course, const std::string& when) {
  at::AutoGradMode grad(true);
  const at::Tensor outputs_of = Run(parameters_.Leaves(), course).outputs;
  const at::Tensor off = (outputs_of.narrow(3, 0, observed_) - course.next_observations).square().mean(3);
  const at::Tensor ends = outputs_of.select(3, outputs() - 1);
  const at::Tensor loss = (off * (1 - course.ended)).mean() +
                          (outputs_of.narrow(3, observed_, kinds_) - Scaled(course.rewards)).square().mean() +
                          at::binary_cross_entropy_with_logits(ends, course.terminated.expand_as(ends));
  loss.backward();
  if (!std::isfinite(parameters_.Descend(settings_.learning_rate, settings_.max_gradient)))
    Fail("world model", "the loss or its gradient is not finite at {}; a smaller learning rate may help", when);
  return loss.item<double>();
}

void WorldModel::Save(NamedArrays* state) const {
  parameters_.Save("model.", state);
  state->emplace("model.rewards", ArrayOf(rewards_.State()));
}

void WorldModel::Restore(const NamedArrays& state) {
  parameters_.Restore("model.", state);
  rewards_.Restore(NumbersIn(state, "model.rewards", 1 + 2 * rewards_.width()));
}

}  // namespace ecld::offload
