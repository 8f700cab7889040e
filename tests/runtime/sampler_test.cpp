#include "runtime/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

// How often each token came out of many draws from the same logits.
std::map<int32_t, double> Frequencies(const SamplerOptions& options, const std::vector<float>& logits) {
  constexpr int kDraws = 40000;
  Sampler sampler(options);
  std::map<int32_t, double> frequencies;
  for (int i = 0; i < kDraws; ++i) frequencies[sampler.Next(logits)] += 1.0 / kDraws;
  return frequencies;
}

const std::vector<float> kLogits = {std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.3f)};

TEST(Sampler, GreedyTakesTheLargestAndTheLowerIdOnATie) {
  Sampler sampler({});
  EXPECT_EQ(sampler.Next(kLogits), 1);
  EXPECT_EQ(sampler.Next(std::vector<float>{1, 3, 2, 3}), 1);
}

TEST(Sampler, TemperatureOneDrawsTheSoftmax) {
  const auto seen = Frequencies({.temperature = 1}, kLogits);
  EXPECT_NEAR(seen.at(0), 0.1, 0.01);
  EXPECT_NEAR(seen.at(1), 0.4, 0.01);
  EXPECT_NEAR(seen.at(2), 0.2, 0.01);
  EXPECT_NEAR(seen.at(3), 0.3, 0.01);
}

TEST(Sampler, TemperatureDividesTheLogits) {
  const auto seen = Frequencies({.temperature = 0.5}, kLogits);  // squares the probabilities
  EXPECT_NEAR(seen.at(1), 0.16 / 0.30, 0.01);
  EXPECT_NEAR(seen.at(0), 0.01 / 0.30, 0.01);
}

TEST(Sampler, TopKKeepsTheMostLikely) {
  const auto seen = Frequencies({.temperature = 1, .top_k = 2}, kLogits);
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_NEAR(seen.at(1), 0.4 / 0.7, 0.01);
  EXPECT_NEAR(seen.at(3), 0.3 / 0.7, 0.01);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatHoldsIt) {
  EXPECT_EQ(Frequencies({.temperature = 1, .top_p = 0.39}, kLogits).size(), 1u);
  EXPECT_EQ(Frequencies({.temperature = 1, .top_p = 0.5}, kLogits).size(), 2u);
  EXPECT_EQ(Frequencies({.temperature = 1, .top_p = 0.95}, kLogits).size(), 4u);
  // Of the two that top_k leaves, the first alone holds 4/7.
  EXPECT_EQ(Frequencies({.temperature = 1, .top_k = 2, .top_p = 0.5}, kLogits).size(), 1u);
}

TEST(Sampler, TheSeedDecides) {
  std::vector<float> logits(50, 0.0f);
  const auto draw = [&](uint64_t seed) {
    Sampler sampler({.temperature = 1, .seed = seed});
    std::vector<int32_t> tokens;
    for (int i = 0; i < 20; ++i) tokens.push_back(sampler.Next(logits));
    return tokens;
  };
  EXPECT_EQ(draw(3), draw(3));
  EXPECT_NE(draw(3), draw(4));
}

TEST(Sampler, OptionsOutOfRangeAreErrors) {
  EXPECT_ERROR(Sampler({.temperature = -1}), "temperature: is -1, must be 0 (greedy) or a positive number");
  EXPECT_ERROR(Sampler({.temperature = NAN}), "temperature: is nan");
  EXPECT_ERROR(Sampler({.top_k = -2}), "top_k: is -2, must be 0 (all) or a positive number");
  EXPECT_ERROR(Sampler({.top_p = 0}), "top_p: is 0, must be above 0 and at most 1");
  EXPECT_ERROR(Sampler({.top_p = 1.5}), "top_p: is 1.5");
}

}  // namespace
}  // namespace ecld
