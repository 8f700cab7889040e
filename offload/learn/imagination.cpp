#include "offload/learn/imagination.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace ecld::offload {

Imagined Imagine(const Model& model, const ActorCritic& agent, const ImaginationStart& start,
                 const ImaginationSettings& settings, Random* chance) {
  at::NoGradGuard no_grad;
  const int64_t members = start.state.size(0), n = start.observations.size(-2), rows = members * n;
  const at::Tensor allowed_rows = start.allowed.repeat({members, 1}).contiguous();
  const std::span<const uint8_t> allowed(allowed_rows.data_ptr<uint8_t>(), static_cast<size_t>(allowed_rows.numel()));
  std::vector<at::Tensor> observations, actions, log_p, values, rewards, goes_on;
  at::Tensor state = start.state, seen = start.observations.expand({members, n, start.observations.size(-1)});
  for (int64_t k = 0; k < settings.horizon; ++k) {
    const at::Tensor flat = seen.reshape({rows, -1});
    at::Tensor acted = at::empty({rows, agent.parts()}), likely = at::empty({rows});
    agent.Act(agent.Policy(flat).contiguous(), allowed, chance,
              {acted.data_ptr<float>(), static_cast<size_t>(acted.numel())},
              {likely.data_ptr<float>(), static_cast<size_t>(rows)});
    observations.push_back(flat.view({members, n, -1}));
    actions.push_back(acted.view({members, n, -1}));
    log_p.push_back(likely.view({members, n}));
    values.push_back(agent.Values(flat).view({members, n, -1}));
    const Model::Foreseen next = model.Foresee(state, observations.back(), actions.back());
    rewards.push_back(next.rewards);
    goes_on.push_back(settings.gamma * next.goes_on.unsqueeze(2));
    state = next.state;
    seen = next.observations;
  }
  values.push_back(agent.Values(seen.reshape({rows, -1})).view({members, n, -1}));
  std::vector<at::Tensor> returns(static_cast<size_t>(settings.horizon));
  at::Tensor ahead = values.back();
  for (size_t k = returns.size(); k-- > 0;)
    ahead = returns[k] = rewards[k] + goes_on[k] * at::lerp(values[k + 1], ahead, settings.lambda);
  values.pop_back();
  return {at::stack(observations), at::stack(actions), at::stack(log_p), at::stack(values), at::stack(returns)};
}

double Trust::In(const at::Tensor& missed, const at::Tensor& added) {
  constexpr double kFades = 0.9;  // the last ten rollouts count
  const at::Tensor y = missed.to(at::kDouble), x = added.to(at::kDouble);
  const auto add = [](double& sum, const at::Tensor& more) { sum = kFades * sum + more.item<double>(); };
  add(power_, x.dot(x));
  add(product_, x.dot(y));
  if (power_ <= 0) return 0;
  const double share = product_ / power_;
  // Residuals as they would be without the step itself (MacKinnon and White 1985): few steps may tell most.
  const at::Tensor off = (y - share * x) / (1 - x.square() / power_).clamp_min(1e-6);
  add(noise_, (off * x).square().sum());
  return std::clamp(share - 2 * std::sqrt(noise_) / power_, 0.0, 1.0);
}

}  // namespace ecld::offload
