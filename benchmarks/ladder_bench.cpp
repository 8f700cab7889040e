// Learning on environments that others have learned in: what is reached, of each seed, and in what time.
//
//   ladder_bench [cartpole acrobot pendulum ...] [--seeds N] [--from SEED]
//
// Settings are those of Stable-Baselines3's zoo (Pendulum without state-dependent noise), steps those of the table in
// offload/learn/README.md. Returns are means over 50 episodes by the likeliest action.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "offload/learn/classic_environments.h"
#include "offload/learn/ppo.h"

namespace ecld::offload {
namespace {

struct Rung {
  const char* name;
  MakeEnvironment make;
  int64_t steps;
  PpoSettings settings;
};

std::vector<Rung> Ladder() {
  return {
      {"cartpole", CartPole(), 100'000, {}},
      {"acrobot",
       Acrobot(),
       200'000,
       {.environments = 16,
        .rollout_steps = 256,
        .minibatch = 64,
        .epochs = 4,
        .gamma = 0.99,
        .lambda = 0.94,
        .learning_rate = 3e-4,
        .fall = false,
        .normalize_observations = true,
        .normalize_rewards = true}},
      {"pendulum",
       Pendulum(),
       200'000,
       {.environments = 4,
        .rollout_steps = 1024,
        .minibatch = 64,
        .epochs = 10,
        .gamma = 0.9,
        .lambda = 0.95,
        .learning_rate = 1e-3,
        .fall = false}},
  };
}

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

void Climb(const Rung& rung, int first, int seeds) {
  double sum = 0;
  for (int seed = first; seed < first + seeds; ++seed) {
    const auto start = std::chrono::steady_clock::now();
    Ppo run(rung.make, rung.settings, rung.steps, static_cast<uint64_t>(seed));
    while (!run.done()) run.Iterate();
    const double seconds = Seconds(start);
    const std::vector<double> returns = run.Evaluate(50, 1000 + static_cast<uint64_t>(seed));
    const double mean = std::accumulate(returns.begin(), returns.end(), 0.0) / static_cast<double>(returns.size());
    sum += mean;
    fmt::print("{} seed {}: return {:.1f}, {:.1f} s, {:.0f} steps/s\n", rung.name, seed, mean, seconds,
               static_cast<double>(rung.steps) / seconds);
    std::fflush(stdout);
  }
  fmt::print("{}: mean {:.1f}\n", rung.name, sum / seeds);
}

}  // namespace
}  // namespace ecld::offload

int main(int argc, char** argv) {
  int seeds = 5, first = 1;
  std::vector<std::string> wanted;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--seeds" && i + 1 < argc)
      seeds = std::atoi(argv[++i]);
    else if (std::string(argv[i]) == "--from" && i + 1 < argc)
      first = std::atoi(argv[++i]);
    else
      wanted.emplace_back(argv[i]);
  }
  for (const ecld::offload::Rung& rung : ecld::offload::Ladder())
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), rung.name) != wanted.end())
      ecld::offload::Climb(rung, first, seeds);
  return 0;
}
