#include "prune/survivors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/testing/near.h"

namespace ecld {
namespace {

std::vector<float> Values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kFloat).contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

std::vector<int64_t> Ids(const at::Tensor& tensor) {
  return {tensor.data_ptr<int64_t>(), tensor.data_ptr<int64_t>() + tensor.numel()};
}

using Kept = std::vector<int64_t>;

// Inputs x [tokens, in] of weights [out, in], and what their outputs lack [tokens, out].
struct Problem {
  at::Tensor x, weight, lacks;

  PruneMoments Moments() const {
    const auto tokens = static_cast<double>(x.size(0));
    const InputProducts products = {x.t().matmul(x) / tokens, lacks.t().matmul(x) / tokens,
                                    lacks.square().sum().item<double>() / tokens};
    return {.energy = x.square().mean(0),
            .mean = x.mean(0),
            .fit = products,
            .held_out = products,
            .makers = at::ones({x.size(1)})};
  }
  Survivors Of(const RemovalOptions& options) const { return Survivors(weight, Moments(), options); }

  // Mean squared error of the outputs of weights on these inputs, by G.
  double Error(const at::Tensor& on, const at::Tensor& inputs, const at::Tensor& g) const {
    const at::Tensor error = lacks + at::linear(x, weight) - at::linear(x.index_select(1, inputs), on);
    return (error.matmul(g) * error).sum().item<double>() / static_cast<double>(x.size(0));
  }
};

Problem RandomProblem(int64_t in, int64_t out = 5, uint64_t seed = 1) {
  at::manual_seed(seed);
  return {at::randn({200, in}).matmul(at::randn({in, in})), at::randn({out, in}), at::randn({200, out})};
}

TEST(Survivors, KeepTheHighestInTheirOrderAndOfEqualOnesTheFirst) {
  const Problem problem{at::ones({4, 5}), at::tensor({3.0f, 1.0f, 5.0f, 1.0f, 4.0f}).view({1, 5}), at::zeros({4, 1})};
  for (int64_t at_once : {1, 2, 9}) {
    Survivors survivors = problem.Of({.score = Score::kActivation, .repair = false});
    survivors.Keep(1, 1, 4, at_once);
    EXPECT_EQ(Ids(survivors.inputs()), (Kept{0, 1, 2, 4}));
    survivors.Keep(1, 1, 2, at_once);
    EXPECT_EQ(Ids(survivors.inputs()), (Kept{2, 4}));
    EXPECT_TRUE(Near(Values(survivors.weight()), std::vector<float>{5, 4}, Exact()));
    EXPECT_NEAR(survivors.KeptEnergy(), 41.0 / 52, 1e-6);
  }
}

TEST(Survivors, AreAsManyOfEachGroupAndWholeUnits) {
  // Three groups of two units of two columns; all of the last group matter least.
  const at::Tensor weight =
      at::tensor({5.0f, 5.0f, 6.0f, 6.0f, 8.0f, 8.0f, 7.0f, 7.0f, 1.0f, 1.0f, 0.0f, 3.0f}).view({1, 12});
  const Problem problem{at::ones({4, 12}), weight, at::zeros({4, 1})};
  Survivors survivors = problem.Of({.score = Score::kActivation, .repair = false});
  survivors.Keep(2, 3, 1, 2);
  EXPECT_EQ(Ids(survivors.inputs()), (Kept{2, 3, 4, 5, 10, 11}));
  Survivors groups = problem.Of({.score = Score::kActivation, .repair = false});
  groups.Keep(4, 1, 2, 1);
  EXPECT_EQ(Ids(groups.inputs()), (Kept{0, 1, 2, 3, 4, 5, 6, 7}));
  groups.Keep(2, 2, 1, 1);
  EXPECT_EQ(Ids(groups.inputs()), (Kept{2, 3, 4, 5}));
}

TEST(Survivors, ScoresAreWhatTheyAreCalled) {
  Problem problem;
  problem.x = at::tensor({1.0f, 2.0f, 0.0f, 3.0f, 1.0f, -2.0f, 1.0f, 3.0f}).view({2, 4});
  problem.weight = at::tensor({4.0f, 1.0f, 2.0f, 1.5f}).view({1, 4});
  problem.lacks = at::zeros({2, 1});
  const auto first_to_go = [&](Score score, PruneMoments moments) {
    Survivors survivors(problem.weight, std::move(moments), {.score = score, .repair = false});
    survivors.Keep(1, 1, 3, 1);
    const Kept kept = Ids(survivors.inputs());
    for (int64_t i = 0; i < 3; ++i)
      if (kept[static_cast<size_t>(i)] != i) return i;
    return int64_t{3};
  };
  EXPECT_EQ(first_to_go(Score::kMagnitude, problem.Moments()), 1);
  PruneMoments scaled = problem.Moments();
  scaled.makers = at::tensor({0.01f, 1.0f, 1.0f, 1.0f});
  EXPECT_EQ(first_to_go(Score::kMagnitude, scaled), 0) << "large weights whose input small ones make";
  EXPECT_EQ(first_to_go(Score::kActivation, problem.Moments()), 2);
  EXPECT_EQ(first_to_go(Score::kFluctuation, problem.Moments()), 3) << "of two that are constant";
}

// Of the units of two columns that could go, scores are the growth of the error, by G, that removing them means.
TEST(Survivors, SecondOrderTakesWhatCostsLeastOfAllThatCouldGo) {
  for (bool repair : {false, true})
    for (uint64_t seed : {1, 2, 3, 4}) {
      Problem problem = RandomProblem(12, 5, seed);
      if (repair) problem.lacks.zero_();
      const at::Tensor root = at::randn({5, 5}), g = root.matmul(root.t());
      PruneMoments moments = problem.Moments();
      moments.outputs = {g};
      RemovalOptions options{.score = Score::kObs, .repair = repair, .ridge = 1e-9};
      Survivors survivors(problem.weight, std::move(moments), options);
      survivors.Keep(2, 1, 5, 1);
      const double found = problem.Error(survivors.weight(), survivors.inputs(), g);
      for (int64_t unit = 0; unit < 6; ++unit) {
        at::Tensor others = at::arange(12);
        others = others.index({others.div(2, "floor") != unit});
        at::Tensor best = problem.weight.index_select(1, others);
        if (repair) {
          const at::Tensor x = problem.x.index_select(1, others);
          const at::Tensor wanted = problem.lacks + at::linear(problem.x, problem.weight);
          best = at::linalg_solve(x.t().matmul(x), x.t().matmul(wanted)).t();
        }
        EXPECT_GE(problem.Error(best, others, g), found * (1 - 1e-4)) << repair << seed << unit;
      }
    }
}

// Taken away in rounds or at once, the weights on what is left are the same: the least of the error and its ridge.
TEST(Survivors, RepairIsTheLeastOfTheError) {
  const Problem problem = RandomProblem(12);
  for (double ridge : {1e-3, 1e-2}) {
    Survivors survivors = problem.Of({.score = Score::kActivation, .ridge = ridge});
    survivors.Keep(1, 1, 7, 2);
    const at::Tensor kept = survivors.inputs(), x = problem.x.index_select(1, kept).to(at::kDouble);
    const at::Tensor weight = problem.weight.index_select(1, kept).to(at::kDouble);
    const at::Tensor wanted = (problem.lacks + at::linear(problem.x, problem.weight)).to(at::kDouble);
    const at::Tensor costs = x.square().sum(0).diag() * ridge;
    const at::Tensor expected =
        at::linalg_solve(x.t().matmul(x) + costs, x.t().matmul(wanted) + costs.matmul(weight.t())).t();
    EXPECT_TRUE(Near(Values(survivors.weight()), Values(expected), Relative(1e-3))) << ridge;
    EXPECT_LT(survivors.Error(), survivors.ErrorUnrepaired());
    const double put_out = at::linear(problem.x, problem.weight).square().sum(1).mean().item<double>();
    EXPECT_NEAR(survivors.Error(), problem.Error(survivors.weight(), kept, at::eye(5)) / put_out, 1e-4);
    EXPECT_NEAR(survivors.ErrorUnrepaired(),
                problem.Error(problem.weight.index_select(1, kept), kept, at::eye(5)) / put_out, 1e-4);
  }
}

// A fit of few tokens is noise, and tokens that it has not seen say so.
TEST(Survivors, WindowsHeldOutSayHowMuchOfTheRefitsIsTaken) {
  const Problem seen = RandomProblem(30, 5, 1);
  Problem few = seen, others = seen;
  few.x = seen.x.narrow(0, 0, 32);
  few.lacks = seen.lacks.narrow(0, 0, 32);
  others.x = seen.x.narrow(0, 32, 168);
  others.lacks = seen.lacks.narrow(0, 32, 168);
  PruneMoments moments = few.Moments();
  moments.held_out = others.Moments().held_out;
  Survivors survivors(seen.weight, moments, {.score = Score::kActivation, .ridge = 1e-4});
  survivors.Keep(1, 1, 25, 5);
  EXPECT_LT(survivors.taken_lacking(), 0.2);
  EXPECT_LE(survivors.Error(), survivors.ErrorUnrepaired());
  const double found = others.Error(survivors.weight(), survivors.inputs(), at::eye(5));
  moments.fit = moments.held_out;
  Survivors best(seen.weight, moments, {.score = Score::kActivation, .ridge = 1e-4});
  best.Keep(1, 1, 25, 5);
  EXPECT_NEAR(best.taken(), 1, 0.01);
  EXPECT_NEAR(best.taken_lacking(), 1, 0.01);
  EXPECT_LT(others.Error(best.weight(), best.inputs(), at::eye(5)), found);
}

TEST(Survivors, RepairFindsTheExactAnswerWhereThereIsOne) {
  // Inputs 0 and 1 are sums of the others, so nothing need be lost without them.
  Problem problem = RandomProblem(8);
  problem.x = at::randn({200, 8});
  problem.x.select(1, 0).copy_(0.01 * problem.x.select(1, 3) + 0.02 * problem.x.select(1, 4));
  problem.x.select(1, 1).copy_(0.01 * problem.x.select(1, 5) - 0.01 * problem.x.select(1, 6));
  problem.lacks = at::zeros({200, 5});
  Survivors survivors = problem.Of({.score = Score::kActivation, .ridge = 1e-4});
  survivors.Keep(1, 1, 6, 1);
  EXPECT_EQ(Ids(survivors.inputs()), (Kept{2, 3, 4, 5, 6, 7}));
  EXPECT_LT(survivors.Error(), 1e-6);
}

TEST(Survivors, RepairLeavesTheRestAloneWhenWhatGoesIsSilent) {
  Problem problem = RandomProblem(6);
  problem.x.select(1, 2).zero_();
  problem.lacks.zero_();
  for (Score score : {Score::kActivation, Score::kObs}) {
    Survivors survivors = problem.Of({.score = score});
    survivors.Keep(1, 1, 5, 1);
    EXPECT_EQ(Ids(survivors.inputs()), (Kept{0, 1, 3, 4, 5}));
    EXPECT_TRUE(Near(Values(survivors.weight()), Values(problem.weight.index_select(1, survivors.inputs())), Exact()));
  }
  problem.x.zero_();
  Survivors nothing = problem.Of({});
  nothing.Keep(1, 1, 4, 1);
  EXPECT_TRUE(Near(Values(nothing.weight()), Values(problem.weight.narrow(1, 0, 4)), Exact()));
}

}  // namespace
}  // namespace ecld
