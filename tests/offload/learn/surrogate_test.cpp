// A surrogate that has looked at a fifth of the cells chooses as well as who has looked at all, nearly.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "offload/learn/ppo.h"
#include "offload/learn/reward_surrogate.h"
#include "offload/observation.h"
#include "offload/split/split_environment.h"

namespace ecld::offload {
namespace {

constexpr size_t kCuts = 9, kLevels = 8;

// Logarithms of the perplexity over the undamaged one, as measured of SmolLM2-135M-Instruct: after 3, 6, ... 27 layers,
// dropout of 0.02, 0.06, ... 0.30.
constexpr double kMeasured[kCuts][kLevels] = {
    {0.51, 0.73, 0.45, 1.36, 1.80, 2.14, 2.41, 3.25},      {0.40, 0.53, 0.36, 0.88, 1.18, 1.53, 1.91, 2.43},
    {0.40, 0.55, 0.61, 1.14, 1.56, 1.97, 2.16, 2.50},      {4.05, 4.13, 4.17, 13.39, 13.30, 13.65, 13.59, 12.68},
    {5.00, 5.34, 4.99, 10.73, 11.69, 11.37, 11.45, 10.45}, {3.74, 4.13, 4.25, 9.78, 9.20, 10.14, 10.32, 10.53},
    {2.46, 2.55, 2.81, 6.58, 6.91, 7.25, 7.29, 7.26},      {2.05, 2.34, 2.47, 6.02, 6.39, 6.89, 7.81, 7.27},
    {0.44, 0.61, 0.93, 2.20, 2.63, 2.97, 3.52, 4.01}};

std::vector<Place> Places() {
  std::vector<Place> places;
  for (size_t cut = 0; cut < kCuts; ++cut)
    for (size_t level = 0; level < kLevels; ++level)
      places.push_back({static_cast<double>(cut + 1), 0.02 + 0.04 * static_cast<double>(level)});
  return places;
}

double MeasuredAt(size_t place) { return kMeasured[place / kLevels][place % kLevels]; }

// ratios(place): their logarithm.
template <class Logs>
EstimateGrid GridOf(const Logs& logs) {
  EstimateGrid grid(EstimateGrid::Scale::kLinear);
  const std::vector<Place> places = Places();
  for (size_t i = 0; i < places.size(); ++i) grid.Add(places[i][0], places[i][1], std::exp(logs(i)), 'm');
  return grid;
}

constexpr size_t kLooks = 14;  // of 72: 19 %

TEST(Surrogate, LooksAtNoMoreThanItMayAndForetellsTheRest) {
  const std::vector<Place> places = Places();
  std::vector<int> looks(places.size(), 0);
  const auto smooth = [&](size_t i) { return places[i][0] - 0.1 * places[i][0] * places[i][0] + 5 * places[i][1]; };
  const std::vector<Foretold> found = MeasureFew(
      places, kLooks,
      [&](size_t i) {
        ++looks[i];
        return smooth(i);
      },
      1);
  EXPECT_EQ(std::ranges::count(looks, 1), static_cast<std::ptrdiff_t>(kLooks));
  EXPECT_EQ(std::ranges::count(looks, 0), static_cast<std::ptrdiff_t>(places.size() - kLooks));
  double squares = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(found[i].measured, looks[i] == 1);
    if (found[i].measured)
      EXPECT_EQ(found[i].value, smooth(i));
    else
      EXPECT_GT(found[i].spread, 0);
    squares += std::pow(found[i].value - smooth(i), 2) / static_cast<double>(places.size());
  }
  RecordProperty("rms", std::to_string(std::sqrt(squares)));
  EXPECT_LT(std::sqrt(squares), 0.2) << "values are 1 to 4";
}

TEST(Surrogate, AFifthOfTheCellsIsEnoughToPlan) {
  const EstimateGrid measured = GridOf(MeasuredAt);
  double best = 0, planned = 0;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const std::vector<Foretold> found = MeasureFew(Places(), kLooks, MeasuredAt, seed);
    const EstimateGrid guessed = GridOf([&](size_t i) { return found[i].value; });
    Random random(seed);
    for (int episode = 0; episode < 100; ++episode) {
      const PublishedStart start = DrawStart(random);
      const PublishedSplit truth(measured, start, false), model(guessed, start, false);
      const SolvedProcess plan = Solve(model);
      const auto first = static_cast<size_t>(truth.first());
      best += Solve(truth).value[0][first];
      planned += Evaluate(truth, [&](int step, int state) {
                   return plan.best[static_cast<size_t>(step)][static_cast<size_t>(state)];
                 }).value[0][first];
    }
  }
  RecordProperty("over_best", std::to_string(planned / best));
  EXPECT_GE(planned, 0.97 * best);
}

TEST(Surrogate, APolicyLearnsOnItWhatIsGoodOnTheMeasured) {
  const std::vector<Foretold> found = MeasureFew(Places(), kLooks, MeasuredAt, 1);
  Ppo run(PublishedSplits(GridOf([&](size_t i) { return found[i].value; }), -10),
          {.environments = 16,
           .rollout_steps = 20,
           .minibatch = 160,
           .epochs = 8,
           .gamma = 0.9,
           .lambda = 0.9,
           .learning_rate = 2e-3,
           .normalize_observations = true,
           .normalize_rewards = true},
          20'000, 1);
  while (!run.done()) run.Iterate();
  const EstimateGrid measured = GridOf(MeasuredAt);
  EnvironmentBatch batch(PublishedSplits(measured), 100);
  batch.Reset(7);
  double won = 0, best = 0;
  for (int step = 0; step < kPublishedSteps; ++step) {
    const std::vector<float> logits = run.Outputs(batch.frame().observations);
    if (step == 0)
      for (size_t i = 0; i < 100; ++i) {
        const float* seen = batch.frame().observations.data() + i * batch.spaces().observed;
        const auto split = static_cast<int>(std::find(seen + 2, seen + 12, 1.0f) - seen) - 1;
        const PublishedSplit truth(measured, {.noise = seen[0], .split = split}, false);
        best += Solve(truth).value[0][static_cast<size_t>(truth.first())];
      }
    std::vector<float> actions;
    for (size_t i = 0; i < 100; ++i)
      actions.push_back(static_cast<float>(
          BestChoice(std::span(logits).subspan(i * kPublishedSplits, kPublishedSplits),
                     std::span(batch.frame().allowed).subspan(i * kPublishedSplits, kPublishedSplits))));
    batch.Step(actions);
    for (const float reward : batch.frame().rewards) won += reward;
  }
  RecordProperty("over_best", std::to_string(won / best));
  EXPECT_GE(won, 0.97 * best);
}

}  // namespace
}  // namespace ecld::offload
