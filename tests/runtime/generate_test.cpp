#include "runtime/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/runtime/tiny_model.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

// The argmax continuation, each token from a forward pass over everything before it.
std::vector<int32_t> GreedyByHand(TinyModel& tiny, std::vector<int32_t> text, int count) {
  Session session = tiny.NewSession();
  const size_t prompt = text.size();
  const auto vocab = static_cast<std::ptrdiff_t>(tiny.model().config().vocab_size);
  for (int i = 0; i < count; ++i) {
    KvCache cache(tiny.model());
    const std::vector<float> logits = RunTokens(session, cache, text);
    text.push_back(static_cast<int32_t>(std::max_element(logits.end() - vocab, logits.end()) - (logits.end() - vocab)));
  }
  return {text.begin() + static_cast<std::ptrdiff_t>(prompt), text.end()};
}

TEST(Generate, GreedyEqualsRunningEverythingAgainForEachToken) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  const Generation result = Generate(session, SomeTokens(9), {.max_tokens = 12});
  EXPECT_EQ(result.tokens, GreedyByHand(tiny, SomeTokens(9), 12));
  EXPECT_EQ(result.end, Generation::End::kMaxTokens);
  EXPECT_GT(result.prefill_ms, 0);
}

TEST(Generate, ALongPromptIsCutWithoutChangingTheResult) {
  TinyModel tiny({.num_layers = 1, .max_position = 1100});
  Session session = tiny.NewSession();
  EXPECT_EQ(Generate(session, SomeTokens(1030), {.max_tokens = 2}).tokens, GreedyByHand(tiny, SomeTokens(1030), 2));
}

TEST(Generate, GoesOnWithWhatTheCacheHolds) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  const std::vector<int32_t> text = SomeTokens(30);
  const std::span<const int32_t> whole = text;
  KvCache cache(tiny.model());
  const Generation first = Generate(session, cache, whole.first(9), {.max_tokens = 5});
  EXPECT_EQ(first.tokens, GreedyByHand(tiny, SomeTokens(9), 5));
  EXPECT_EQ(cache.length(), 9 + 4) << "the last token was chosen, not run";
  cache.Truncate(9);
  EXPECT_EQ(Generate(session, cache, whole.subspan(9), {.max_tokens = 5}).tokens, GreedyByHand(tiny, text, 5));
}

TEST(Generate, StopsAtAStopIdWithoutReturningIt) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  const std::vector<int32_t> all = Generate(session, SomeTokens(9), {.max_tokens = 12}).tokens;
  const auto first = std::ranges::find(all, all[7]);
  const Generation result = Generate(session, SomeTokens(9), {.max_tokens = 12, .stop_ids = {2, all[7]}});
  EXPECT_EQ(result.tokens, std::vector<int32_t>(all.begin(), first));
  EXPECT_EQ(result.end, Generation::End::kStopId);
}

TEST(Generate, StreamsEachTokenAndEndsWhenTheCallerWishes) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  std::vector<int32_t> streamed;
  const Generation result = Generate(session, SomeTokens(9), {.max_tokens = 12}, [&](int32_t token) {
    streamed.push_back(token);
    return streamed.size() < 3;
  });
  EXPECT_EQ(streamed.size(), 3u);
  EXPECT_EQ(result.tokens, streamed);
  EXPECT_EQ(result.end, Generation::End::kCaller);
}

TEST(Generate, TheSeedDecidesASampledText) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  const auto sample = [&](uint64_t seed) {
    return Generate(session, SomeTokens(5), {.max_tokens = 10, .sampler = {.temperature = 1, .seed = seed}}).tokens;
  };
  EXPECT_EQ(sample(1), sample(1));
  EXPECT_NE(sample(1), sample(2));
}

TEST(Generate, WhatCannotBeContinuedIsAnError) {
  TinyModel tiny({.max_position = 32});
  Session session = tiny.NewSession();
  EXPECT_ERROR(Generate(session, {}, {}), "prompt: is empty, must hold at least one token");
  EXPECT_ERROR(Generate(session, SomeTokens(3), {.max_tokens = 0}), "max_tokens: is 0, must be at least 1");
  EXPECT_ERROR(Generate(session, SomeTokens(30), {.max_tokens = 4}),
               "prompt: 30 tokens and 4 new ones do not fit into the 32 positions of this model");
  EXPECT_EQ(Generate(session, SomeTokens(30), {.max_tokens = 3}).tokens.size(), 3u);
  EXPECT_ERROR(Generate(session, std::vector<int32_t>{400}, {.max_tokens = 2}),
               "token id 400 at position 0 is outside the vocabulary of 300");
}

}  // namespace
}  // namespace ecld
