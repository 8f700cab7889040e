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

TEST(Sampler, MinPKeepsWhatIsLikelyBesideTheLargest) {
  EXPECT_EQ(Frequencies({.temperature = 1, .min_p = 0.7}, kLogits).size(), 2u);  // 0.4 and 0.3
  EXPECT_EQ(Frequencies({.temperature = 1, .min_p = 0.3}, kLogits).size(), 3u);
  EXPECT_EQ(Frequencies({.temperature = 1, .min_p = 1}, kLogits).size(), 1u);
  // At a temperature: 0.5 squares the probabilities, and with them their shares of the largest.
  EXPECT_EQ(Frequencies({.temperature = 0.5, .min_p = 0.3}, kLogits).size(), 2u);
  // top_p comes first: 0.4 and 0.3 hold half of all.
  EXPECT_EQ(Frequencies({.temperature = 1, .top_p = 0.5, .min_p = 0.1}, kLogits).size(), 2u);
  const auto seen = Frequencies({.temperature = 1, .min_p = 0.3}, kLogits);
  EXPECT_NEAR(seen.at(1), 0.4 / 0.9, 0.01);
}

TEST(Sampler, ABiasIsAddedAlsoWhereGreedy) {
  Sampler sampler({.logit_bias = {{1, -100.0f}, {2, 0.5f}}});
  EXPECT_FALSE(sampler.greedy());
  EXPECT_EQ(sampler.Next(kLogits), 2);
  Sampler outside({.logit_bias = {{4, 1.0f}}});
  EXPECT_ERROR(outside.Next(kLogits), "logit_bias: token id 4 is outside the vocabulary of 4");
}

TEST(Sampler, RepetitionPenaltyCountsPromptAndAnswerOnce) {
  const std::vector<float> logits = {2, 3, -1, 2.5};
  Sampler sampler({.repetition_penalty = 2});
  sampler.See(std::vector<int32_t>{1, 1, 1});
  EXPECT_EQ(sampler.Next(logits), 3) << "3 became 1.5";
  EXPECT_EQ(sampler.Next(logits), 0) << "2.5 became 1.25";
  EXPECT_EQ(sampler.Next(logits), 1) << "2 became 1, once";
  EXPECT_EQ(sampler.Next(std::vector<float>{-3, -2, -3.5, -5}), 2) << "below 0 it multiplies: -6, -4, -3.5, -10";
}

TEST(Sampler, FrequencyAndPresenceCountTheAnswer) {
  const std::vector<float> logits = {2, 3, 0, 0};
  Sampler frequency({.frequency_penalty = 0.4});
  frequency.See(std::vector<int32_t>{1, 1, 1, 1});
  std::vector<int32_t> tokens;
  for (int i = 0; i < 5; ++i) tokens.push_back(frequency.Next(logits));
  EXPECT_EQ(tokens, (std::vector<int32_t>{1, 1, 1, 0, 1})) << "3, 2.6, 2.2, 1.8; then 2 became 1.6";
  Sampler presence({.presence_penalty = 1.5});
  EXPECT_EQ(presence.Next(logits), 1);
  EXPECT_EQ(presence.Next(logits), 0);
  EXPECT_EQ(presence.Next(logits), 1) << "1.5 and 0.5; however often it was there";
}

TEST(Sampler, ValuesReplaceOnlyWhatTheyHold) {
  SamplerOptions options{.temperature = 0.5, .top_k = 3};
  options.Set({.temperature = 0.25, .min_p = 0.1, .presence_penalty = 1});
  EXPECT_EQ(options.temperature, 0.25);
  EXPECT_EQ(options.top_k, 3);
  EXPECT_EQ(options.min_p, 0.1);
  EXPECT_EQ(options.presence_penalty, 1);
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
  EXPECT_ERROR(Sampler({.min_p = -0.1}), "min_p: is -0.1, must be from 0 to 1");
  EXPECT_ERROR(Sampler({.repetition_penalty = 0}), "repetition_penalty: is 0, must be from 0.01 to 100");
  EXPECT_ERROR(Sampler({.frequency_penalty = NAN}), "frequency_penalty: is nan, must be from -100 to 100");
  EXPECT_ERROR(Sampler({.presence_penalty = INFINITY}), "presence_penalty: is inf");
  EXPECT_ERROR(Sampler({.logit_bias = {{3, INFINITY}}}), "logit_bias: is inf, must be from -1000000 to 1000000");
}

}  // namespace
}  // namespace ecld
