#include "offload/environments.h"

#include <gtest/gtest.h>

#include <cmath>

#include "offload/learn/classic_environments.h"
#include "offload/learn/rollout.h"

namespace ecld::offload {
namespace {

TEST(Classic, CartPoleFollowsItsEquations) {
  // At rest and upright, pushed to the right: force over the mass of both, less what the pole takes along.
  const CartPoleState state = CartPoleStep({}, true);
  const double pushed = 10 / 1.1, turns = -pushed / (0.5 * (4.0 / 3 - 0.1 / 1.1));
  EXPECT_EQ(state.x, 0);
  EXPECT_DOUBLE_EQ(state.spin, 0.02 * turns);
  EXPECT_DOUBLE_EQ(state.v, 0.02 * (pushed - 0.1 * 0.5 * turns / 1.1));
  EXPECT_EQ(CartPoleStep({.v = 2}, true).x, 0.04) << "Euler: by the speed before";
}

TEST(Batch, TellsACutFromAnEnd) {
  EnvironmentBatch pendulums(Pendulum(), 2);
  pendulums.Reset(1);
  const std::vector<float> none(2, 0);
  for (int i = 0; i < 199; ++i) pendulums.Step(none);
  EXPECT_FALSE(pendulums.frame().truncated[0]);
  pendulums.Step(none);
  const Frame& frame = pendulums.frame();
  EXPECT_TRUE(frame.truncated[0] && frame.truncated[1]);
  EXPECT_FALSE(frame.terminated[0]);
  EXPECT_NE(frame.last_observations[0], frame.observations[0]) << "the next episode has begun";

  EnvironmentBatch poles(CartPole(), 1);
  poles.Reset(1);
  int steps = 0;
  do {
    poles.Step(std::vector<float>{1});
    ++steps;
  } while (!poles.frame().terminated[0]);
  EXPECT_FALSE(poles.frame().truncated[0]);
  EXPECT_GT(steps, 5);
  EXPECT_LT(steps, 15) << "always to one side";
  EXPECT_LT(std::abs(poles.frame().observations[2]), 0.05f);
}

TEST(Batch, IsTheSameForTheSameSeed) {
  for (const MakeEnvironment& make : {Identity(), CartPole(), Acrobot(), Pendulum()}) {
    EnvironmentBatch first(make, 3), second(make, 3), other(make, 3);
    first.Reset(7);
    second.Reset(7);
    other.Reset(8);
    for (int i = 0; i < 30; ++i)
      for (EnvironmentBatch* batch : {&first, &second, &other}) batch->Step(std::vector<float>{0, 1, 0});
    EXPECT_EQ(first.frame().observations, second.frame().observations);
    EXPECT_NE(first.frame().observations, other.frame().observations);
  }
}

TEST(Scaler, MakesMeansZeroAndDeviationsOne) {
  Scaler scaler(2, 1, true, false, 0.9);
  const std::vector<float> rows = {1, 10, 3, 30, 5, 50, 7, 70};
  scaler.Learn(rows);
  std::vector<float> scaled(8);
  scaler.Scale(rows, scaled);
  for (const size_t i : {0u, 1u}) {
    double sum = 0, squares = 0;
    for (size_t at = i; at < 8; at += 2) {
      sum += scaled[at];
      squares += scaled[at] * scaled[at];
    }
    EXPECT_NEAR(sum, 0, 1e-6);
    EXPECT_NEAR(squares, 4, 1e-5);
  }
}

}  // namespace
}  // namespace ecld::offload
