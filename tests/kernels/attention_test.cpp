#include "kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/random.h"
#include "kernels/attention/implementations.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

struct Problem {
  int64_t rows, first_position, num_heads, num_kv_heads, head_dim, window;
};

struct Inputs {
  std::vector<float> query, keys, values, out;
  AttentionArgs args;

  Inputs(const Problem& p, uint64_t seed) {
    Random random(seed);
    auto fill = [&](std::vector<float>& to, int64_t count) {
      for (int64_t i = 0; i < count; ++i) to.push_back(static_cast<float>(random.Normal()));
    };
    fill(query, p.rows * p.num_heads * p.head_dim);
    fill(keys, (p.first_position + p.rows) * p.num_kv_heads * p.head_dim);
    fill(values, (p.first_position + p.rows) * p.num_kv_heads * p.head_dim);
    out.assign(query.size(), NAN);
    args = {.query = query.data(),
            .keys = keys.data(),
            .values = values.data(),
            .rows = p.rows,
            .first_position = p.first_position,
            .num_heads = p.num_heads,
            .num_kv_heads = p.num_kv_heads,
            .head_dim = p.head_dim,
            .window = p.window,
            .scale = 1 / std::sqrt(static_cast<float>(p.head_dim)),
            .out = out.data()};
  }
};

constexpr Problem kProblems[] = {
    {1, 0, 1, 1, 8, 0},   {5, 0, 4, 2, 16, 0},    {1, 77, 6, 3, 64, 0},  {40, 30, 9, 3, 64, 0},   {33, 0, 4, 4, 20, 0},
    {50, 0, 4, 1, 32, 7}, {3, 100, 2, 1, 80, 33}, {65, 64, 2, 2, 40, 1}, {9, 200, 4, 2, 128, 64},
};

TEST(Attention, EveryImplementationAgreesWithReference) {
  ThreadPool pool(2);
  for (const Problem& problem : kProblems) {
    Inputs inputs(problem, 1);
    AttentionReference(inputs.args, pool);
    const std::vector<float> expected = inputs.out;
    for (const AttentionImplementation& implementation : AttentionImplementations()) {
      if (!implementation.supports(inputs.args)) continue;
      inputs.out.assign(expected.size(), NAN);
      implementation.run(inputs.args, pool);
      EXPECT_TRUE(Near(inputs.out, expected, {.max_abs = 5e-6}))
          << implementation.name << " rows " << problem.rows << " head_dim " << problem.head_dim;
    }
  }
}

TEST(Attention, LaterPositionsAreNotSeen) {
  ThreadPool pool(1);
  Inputs inputs({4, 2, 2, 1, 8, 0}, 2);
  Attention(inputs.args, pool);
  const std::vector<float> before = inputs.out;
  for (int64_t d = 0; d < 8; ++d) inputs.keys[5 * 8 + d] = inputs.values[5 * 8 + d] = NAN;  // the last position
  Attention(inputs.args, pool);
  for (size_t i = 0; i < before.size(); ++i) {
    if (i / 16 < 3) {
      EXPECT_EQ(inputs.out[i], before[i]);
    } else {
      EXPECT_TRUE(std::isnan(inputs.out[i]));
    }
  }
}

TEST(Attention, AWindowOfOneReturnsTheOwnValue) {
  ThreadPool pool(1);
  Inputs inputs({3, 4, 1, 1, 8, 1}, 3);
  Attention(inputs.args, pool);
  EXPECT_TRUE(Near(inputs.out, std::vector<float>(inputs.values.begin() + 4 * 8, inputs.values.end()), Exact()));
}

TEST(Attention, LargeScoresDoNotOverflow) {
  ThreadPool pool(1);
  Inputs inputs({2, 60, 1, 1, 8, 0}, 4);
  for (float& value : inputs.query) value *= 1000;
  AttentionReference(inputs.args, pool);
  const std::vector<float> expected = inputs.out;
  Attention(inputs.args, pool);
  EXPECT_TRUE(Near(inputs.out, expected, {.max_abs = 1e-3}));
}

}  // namespace
}  // namespace ecld
