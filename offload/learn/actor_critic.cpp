#include "offload/learn/actor_critic.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "offload/observation.h"

namespace ecld::offload {
namespace {

constexpr double kLogRoot2Pi = 0.91893853320467274;
constexpr double kNever = -1e8;  // the logit of what may not be done; finite, so that entropies are

}  // namespace

ActorCritic::ActorCritic(const Spaces& spaces, const std::vector<int64_t>& hidden, int64_t values, uint64_t seed,
                         at::ScalarType type)
    : spaces_(spaces), parameters_(MakeLayers(hidden, values, seed), type) {}

std::vector<at::Tensor> ActorCritic::MakeLayers(const std::vector<int64_t>& hidden, int64_t values, uint64_t seed) {
  Random random(seed);
  std::vector<at::Tensor> parts;
  const auto network = [&](const char* name, int64_t outputs, double last_length) {
    int64_t inputs = static_cast<int64_t>(spaces_.observed);
    std::vector<int64_t> widths = hidden;
    widths.push_back(outputs);
    for (size_t i = 0; i < widths.size(); ++i) {
      layers_.push_back({fmt::format("{}.{}", name, i), inputs, widths[i]});
      const double length = i + 1 < widths.size() ? std::numbers::sqrt2 : last_length;
      parts.push_back(OrthogonalMatrix(widths[i], inputs, length, random));
      parts.push_back(at::zeros({widths[i]}, at::kDouble));
      inputs = widths[i];
    }
  };
  const size_t outputs = spaces_.choices.empty() ? spaces_.numbers : spaces_.all_choices();
  network("policy", static_cast<int64_t>(outputs), 0.01);
  critic_ = layers_.size();
  network("critic", values, 1);
  parts.push_back(at::zeros({static_cast<int64_t>(spaces_.numbers)}, at::kDouble));
  return parts;
}

at::Tensor ActorCritic::Run(size_t first, size_t end, at::Tensor x, std::vector<at::Tensor>* inputs) const {
  const std::vector<at::Tensor>& views = parameters_.views();
  for (size_t i = first; i < end; ++i) {
    if (inputs) inputs->push_back(x);
    x = at::addmm(views[2 * i + 1], x, views[2 * i].t());
    // tanh(x) = 2 / (1 + exp(-2 x)) - 1, which takes a third of the time of the library's.
    if (i + 1 < end) x.mul_(2).sigmoid_().mul_(2).sub_(1);
  }
  return x;
}

ActorCritic::Out ActorCritic::Forward(const at::Tensor& observations) const {
  Out out;
  {
    at::NoGradGuard no_grad;
    out.policy = Run(0, critic_, observations, &out.inputs);
    out.values = Run(critic_, layers_.size(), observations, &out.inputs);
    out.log_std = parameters_.views().back().detach();
  }
  if (at::GradMode::is_enabled())
    for (at::Tensor* each : {&out.policy, &out.values, &out.log_std}) each->set_requires_grad(true);
  return out;
}

void ActorCritic::Backward(const Out& out) const {
  at::NoGradGuard no_grad;
  const auto through = [&](size_t first, size_t end, at::Tensor gradient) {
    for (size_t i = end; i-- > first;) {
      const at::Tensor& x = out.inputs[i];
      at::Tensor of_weight = parameters_.gradients()[2 * i], of_bias = parameters_.gradients()[2 * i + 1];
      at::mm_out(of_weight, gradient.t(), x);
      at::sum_out(of_bias, gradient, 0);
      if (i > first) gradient = at::tanh_backward(gradient.mm(parameters_.views()[2 * i]), x);
    }
  };
  through(0, critic_, out.policy.grad());
  through(critic_, layers_.size(), out.values.grad());
  if (out.log_std.grad().defined()) parameters_.gradients().back().copy_(out.log_std.grad());
}

at::Tensor ActorCritic::Policy(const at::Tensor& observations) const { return Run(0, critic_, observations, nullptr); }

at::Tensor ActorCritic::Values(const at::Tensor& observations) const {
  return Run(critic_, layers_.size(), observations, nullptr);
}

std::vector<at::Tensor> ActorCritic::LogShares(const Out& out, const at::Tensor& allowed) const {
  const at::Tensor logits = allowed.defined() ? out.policy.masked_fill(allowed.logical_not(), kNever) : out.policy;
  if (spaces_.choices.size() == 1) return {logits.log_softmax(1)};
  std::vector<at::Tensor> shares;
  int64_t from = 0;
  for (const size_t choices : spaces_.choices) {
    shares.push_back(logits.narrow(1, from, static_cast<int64_t>(choices)).log_softmax(1));
    from += static_cast<int64_t>(choices);
  }
  return shares;
}

ActorCritic::Judged ActorCritic::Judge(const Out& out, const at::Tensor& actions, const at::Tensor& allowed,
                                       bool entropy) const {
  if (spaces_.choices.empty()) {
    const at::Tensor off = (actions - out.policy) * (-out.log_std).exp();
    return {.log_p = (-0.5 * off * off - out.log_std - kLogRoot2Pi).sum(1),
            .entropy = (out.log_std + (0.5 + kLogRoot2Pi)).sum().expand({out.policy.size(0)})};
  }
  Judged judged;
  const auto add = [](at::Tensor& sum, const at::Tensor& part) { sum = sum.defined() ? sum + part : part; };
  const std::vector<at::Tensor> shares = LogShares(out, allowed);
  for (size_t part = 0; part < shares.size(); ++part) {
    const at::Tensor index = actions.narrow(1, static_cast<int64_t>(part), 1).to(at::kLong);
    add(judged.log_p, shares[part].gather(1, index).squeeze(1));
    if (entropy) add(judged.entropy, -(shares[part].exp() * shares[part]).sum(1));
  }
  return judged;
}

void ActorCritic::Act(const at::Tensor& policy, std::span<const uint8_t> allowed, Random* chance,
                      std::span<float> actions, std::span<float> log_p) const {
  const auto n = static_cast<size_t>(policy.size(0)), width = static_cast<size_t>(policy.size(1));
  for (size_t i = 0; i < n; ++i) {
    const std::span<const float> out(policy.data_ptr<float>() + i * width, width);
    const std::span<float> to = actions.subspan(i * spaces_.parts(), spaces_.parts());
    log_p[i] =
        static_cast<float>(spaces_.choices.empty() ? DrawNumbers(out, chance, to)
                                                   : DrawChoices(out, allowed.subspan(i * width, width), chance, to));
  }
}

double ActorCritic::DrawChoices(std::span<const float> logits, std::span<const uint8_t> allowed, Random* chance,
                                std::span<float> to) const {
  double log_p = 0;
  size_t from = 0;
  for (size_t part = 0; part < spaces_.choices.size(); from += spaces_.choices[part++]) {
    const auto own = logits.subspan(from, spaces_.choices[part]);
    const auto may = allowed.subspan(from, spaces_.choices[part]);
    size_t choice = 0;
    if (chance)
      log_p += DrawChoice(own, may, *chance, &choice);
    else
      choice = BestChoice(own, may);
    to[part] = static_cast<float>(choice);
  }
  return log_p;
}

double ActorCritic::DrawNumbers(std::span<const float> means, Random* chance, std::span<float> to) const {
  double log_p = 0;
  for (size_t i = 0; i < means.size(); ++i) {
    const double deviation = parameters_.views().back().data_ptr<float>()[i], off = chance ? chance->Normal() : 0;
    to[i] = static_cast<float>(means[i] + std::exp(deviation) * off);
    log_p -= 0.5 * off * off + deviation + kLogRoot2Pi;
  }
  return log_p;
}

double DrawChoice(std::span<const float> logits, std::span<const uint8_t> allowed, Random& random, size_t* choice) {
  const double highest = logits[BestChoice(logits, allowed)];
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i)
    if (allowed[i]) sum += std::exp(logits[i] - highest);
  double left = random.Uniform() * sum;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!allowed[i]) continue;
    *choice = i;  // rounding may leave a little behind the last one
    if ((left -= std::exp(logits[i] - highest)) < 0) break;
  }
  return logits[*choice] - highest - std::log(sum);
}

}  // namespace ecld::offload
