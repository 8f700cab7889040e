// A world model foretells what is linear, and remembers what a step alone does not show.

#include "offload/learn/world_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/random.h"

namespace ecld::offload {
namespace {

at::Tensor Zeros(std::vector<int64_t> shape) { return at::zeros(shape); }

Course Blank(const Spaces& spaces, int64_t steps, int64_t n, int64_t hidden) {
  const auto observed = static_cast<int64_t>(spaces.observed);
  const auto kinds = 1 + static_cast<int64_t>(spaces.limits.size());
  return {.observations = Zeros({1, steps, n, observed}),
          .actions = Zeros({1, steps, n, static_cast<int64_t>(spaces.parts())}),
          .next_observations = Zeros({1, steps, n, observed}),
          .rewards = Zeros({1, steps, n, kinds}),
          .terminated = Zeros({1, steps, n}),
          .ended = Zeros({1, steps, n}),
          .start = Zeros({3, n, hidden})};
}

void LearnScales(WorldModel& model, const Course& course) {
  model.LearnScales({course.rewards.data_ptr<float>(), static_cast<size_t>(course.rewards.numel())});
}

double RootMeanSquare(const at::Tensor& off) { return off.square().mean().sqrt().item<double>(); }

// x' = A x + b u, with a reward and a cost that are linear too.
Course LinearCourse(const Spaces& spaces, int64_t hidden, Random& random) {
  constexpr double kA[2][2] = {{0.9, 0.3}, {-0.3, 0.8}}, kB[2] = {0.2, -0.4};
  Course course = Blank(spaces, 6, 48, hidden);
  for (int64_t i = 0; i < 48; ++i) {
    double x[2] = {random.Normal(), random.Normal()};
    for (int64_t t = 0; t < 6; ++t) {
      const double u = 2 * random.Uniform() - 1;
      course.actions[0][t][i][0] = u;
      course.rewards[0][t][i][0] = 0.01 * (x[0] - u);
      course.rewards[0][t][i][1] = 2 + 3 * x[1];
      for (int64_t k = 0; k < 2; ++k) course.observations[0][t][i][k] = x[k];
      const double next[2] = {kA[0][0] * x[0] + kA[0][1] * x[1] + kB[0] * u,
                              kA[1][0] * x[0] + kA[1][1] * x[1] + kB[1] * u};
      for (int64_t k = 0; k < 2; ++k) course.next_observations[0][t][i][k] = x[k] = next[k];
    }
  }
  return course;
}

TEST(WorldModel, ForetellsALinearSystemToAThousandth) {
  const Spaces spaces{.observed = 2, .numbers = 1, .bound = 1, .limits = {"cost"}};
  const WorldModelSettings settings{.hidden = 4};
  WorldModel model(spaces, settings, 1);
  Random random(1);
  const Course course = LinearCourse(spaces, settings.hidden, random);
  LearnScales(model, course);
  model.FitLinear(course);
  for (int i = 0; i < 100; ++i) model.Descend(course, "a test");  // which leaves it as it is

  const Course fresh = LinearCourse(spaces, settings.hidden, random);
  const WorldModel::Followed followed = model.Follow(fresh);
  const double off = RootMeanSquare(followed.next.observations - fresh.next_observations);
  RecordProperty("rms_error", std::to_string(off));
  EXPECT_LT(off, 1e-3);
  EXPECT_LT(RootMeanSquare((followed.next.rewards - fresh.rewards).select(3, 0)), 1e-3 * 0.01);
  EXPECT_LT(RootMeanSquare((followed.next.rewards - fresh.rewards).select(3, 1)), 1e-3 * 3);
  EXPECT_GT(followed.next.goes_on.min().item<double>(), 0.99);

  // One step at a time is the same as along a course.
  const Model::Foreseen once =
      model.Foresee(followed.states.select(1, 3), fresh.observations.select(1, 3).expand({3, 48, 2}),
                    fresh.actions.select(1, 3).expand({3, 48, 1}));
  EXPECT_LT(RootMeanSquare(once.state - followed.states.select(1, 4)), 1e-6);
  EXPECT_LT(RootMeanSquare(once.observations - followed.next.observations.select(1, 3)), 1e-6);
}

// A channel that is good or bad for twenty steps in the mean, seen through noise; and what it will show next by the
// exact filter of who knows all of that.
constexpr double kStays = 0.95, kLevel = 0.7;
struct Channel {
  Course course;
  at::Tensor best;  // [1, steps, n, 1]
};

Channel ChannelCourse(const Spaces& spaces, int64_t hidden, Random& random) {
  constexpr int64_t kSteps = 16, kChannels = 16;
  Channel made{Blank(spaces, kSteps, kChannels, hidden), Zeros({1, kSteps, kChannels, 1})};
  const auto shows = [&](bool good) { return (good ? kLevel : -kLevel) + random.Normal(); };
  for (int64_t i = 0; i < kChannels; ++i) {
    bool good = random.Uniform() < 0.5;
    double chance = 0.5, seen = shows(good);
    for (int64_t t = 0; t < kSteps; ++t) {
      made.course.observations[0][t][i][0] = seen;
      const double odds = chance / (1 - chance) * std::exp(2 * kLevel * seen), now = odds / (1 + odds);
      chance = kStays * now + (1 - kStays) * (1 - now);
      made.best[0][t][i][0] = kLevel * (2 * chance - 1);
      if (random.Uniform() >= kStays) good = !good;
      seen = shows(good);
      made.course.next_observations[0][t][i][0] = seen;
    }
  }
  return made;
}

TEST(WorldModel, RemembersAChannelThatAStepDoesNotShow) {
  const Spaces spaces{.observed = 1, .choices = {2}};
  double off[2];
  for (const bool recurrent : {false, true}) {
    const WorldModelSettings settings{.hidden = 8, .recurrent = recurrent, .learning_rate = 1e-2};
    WorldModel model(spaces, settings, 1);
    Random random(2);
    for (int i = 0; i < 100; ++i) model.Descend(ChannelCourse(spaces, settings.hidden, random).course, "a test");
    double sum = 0;
    for (int i = 0; i < 4; ++i) {
      const Channel fresh = ChannelCourse(spaces, settings.hidden, random);
      sum +=
          RootMeanSquare((model.Follow(fresh.course).next.observations.mean(0, true) - fresh.best).narrow(1, 8, 8)) / 4;
    }
    off[recurrent] = sum;
  }
  RecordProperty("from_the_filter", std::to_string(off[1]));
  RecordProperty("feed_forward_from_the_filter", std::to_string(off[0]));
  EXPECT_LT(off[1], 0.5 * off[0]);
}

TEST(WorldModel, ForgetsAtAnEnd) {
  const Spaces spaces{.observed = 1, .choices = {2}};
  const WorldModelSettings settings{.hidden = 8};
  const WorldModel model(spaces, settings, 1);
  Random random(3);
  Course course = ChannelCourse(spaces, settings.hidden, random).course;
  const WorldModel::Followed on = model.Follow(course);
  course.ended[0][5][2] = 1;
  const WorldModel::Followed ended = model.Follow(course);
  EXPECT_EQ(ended.states.select(1, 6).select(1, 2).abs().max().item<double>(), 0);
  EXPECT_TRUE(ended.states.select(1, 6).select(1, 3).equal(on.states.select(1, 6).select(1, 3)));
  EXPECT_TRUE(ended.next.observations.select(1, 5).equal(on.next.observations.select(1, 5))) << "of the step itself";
}

}  // namespace
}  // namespace ecld::offload
