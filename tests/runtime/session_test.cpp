#include "runtime/session.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/gemm/implementations.h"
#include "tests/runtime/tiny_model.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

constexpr Tolerance kRounding = {.max_abs = 1e-4, .mean_abs = 1e-5};

struct Variant {
  const char* name;
  TinyOptions options;
};

const Variant kVariants[] = {
    {"llama", {.family = Family::kLlama}},
    {"llama_bf16_tied_bias", {.family = Family::kLlama, .dtype = DType::kBF16, .tied = true, .bias = true}},
    {"llama_llama3", {.family = Family::kLlama, .rope_scaling = RopeScaling::Kind::kLlama3}},
    {"llama_yarn", {.family = Family::kLlama, .rope_scaling = RopeScaling::Kind::kYarn}},
    {"llama_longrope", {.family = Family::kLlama, .rope_scaling = RopeScaling::Kind::kLongRope}},
    {"llama_uneven", {.family = Family::kLlama, .num_layers = 3, .uneven = true}},
    {"qwen2", {.family = Family::kQwen2}},
    {"qwen2_window", {.family = Family::kQwen2, .sliding_window = 9}},
    {"qwen3", {.family = Family::kQwen3, .head_dim = 24}},
    {"gemma3", {.family = Family::kGemma3, .tied = true, .sliding_window = 7, .num_layers = 3}},
    {"mistral_window", {.family = Family::kMistral, .sliding_window = 7, .head_dim = 20}},
};

class SessionOf : public testing::TestWithParam<Variant> {};

TEST_P(SessionOf, TokenByTokenAndInChunksEqualsWhole) {
  TinyModel tiny(GetParam().options);
  Session session = tiny.NewSession();
  const std::vector<int32_t> tokens = SomeTokens(40);
  KvCache whole(tiny.model());
  const std::vector<float> expected = RunTokens(session, whole, tokens);
  for (size_t step : {size_t{1}, size_t{13}}) {
    KvCache cache(tiny.model());
    std::vector<float> logits;
    for (size_t i = 0; i < tokens.size(); i += step) {
      const auto part = std::span(tokens).subspan(i, std::min(step, tokens.size() - i));
      const std::vector<float> some = RunTokens(session, cache, part);
      logits.insert(logits.end(), some.begin(), some.end());
    }
    EXPECT_EQ(cache.length(), 40);
    EXPECT_TRUE(Near(logits, expected, kRounding)) << "in steps of " << step;
  }
}

TEST_P(SessionOf, ABatchEqualsItsSequencesAlone) {
  TinyModel tiny(GetParam().options);
  Session session = tiny.NewSession();
  const std::vector<int32_t> tokens = SomeTokens(60);
  const std::span<const int32_t> parts[] = {std::span(tokens).first(31), std::span(tokens).subspan(31, 1),
                                            std::span(tokens).last(20)};
  std::vector<KvCache> caches(3, KvCache(tiny.model()));
  std::vector<float> expected;
  std::vector<Piece> pieces;
  for (size_t i = 0; i < 3; ++i) {
    KvCache alone(tiny.model());
    const std::vector<float> logits = RunTokens(session, alone, parts[i]);
    expected.insert(expected.end(), logits.begin(), logits.end());
    pieces.push_back({&caches[i], parts[i]});
  }
  std::vector<float> batched(expected.size(), NAN);
  session.Logits(session.Forward(pieces), batched);
  EXPECT_TRUE(Near(batched, expected, kRounding));
}

TEST_P(SessionOf, EveryMatrixProductGivesTheSameLogits) {
  TinyModel tiny(GetParam().options);
  Session reference = tiny.NewSession("reference");
  KvCache cache(tiny.model());
  const std::vector<float> expected = RunTokens(reference, cache, SomeTokens(20));
  for (const GemmImplementation& implementation : GemmImplementations()) {
    if (!implementation.supports({})) continue;
    Session session = tiny.NewSession(implementation.name);
    cache.Truncate(0);
    EXPECT_TRUE(Near(RunTokens(session, cache, SomeTokens(20)), expected, kRounding)) << implementation.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, SessionOf, testing::ValuesIn(kVariants),
                         [](const auto& variant) { return std::string(variant.param.name); });

// The original length of both is 64.
class SessionByLength : public testing::TestWithParam<RopeScaling::Kind> {
 protected:
  TinyModel tiny_{{.rope_scaling = GetParam(), .max_position = GetParam() == RopeScaling::Kind::kDynamic ? 64 : 512}};
  Session session_ = tiny_.NewSession();
};

TEST_P(SessionByLength, ChunksThatSayHowLongTheTextIsEqualItWhole) {
  const std::vector<int32_t> tokens = SomeTokens(150);
  KvCache whole(tiny_.model()), cache(tiny_.model());
  const std::vector<float> expected = RunTokens(session_, whole, tokens);
  std::vector<float> logits(expected.size());
  const size_t vocab = static_cast<size_t>(tiny_.model().config().vocab_size);
  for (size_t i = 0; i < tokens.size(); i += 40) {
    const auto part = std::span(tokens).subspan(i, std::min(size_t{40}, tokens.size() - i));
    session_.Logits(session_.Forward({{&cache, part, 150}}), std::span(logits).subspan(i * vocab, part.size() * vocab));
  }
  EXPECT_TRUE(Near(logits, expected, kRounding));
}

TEST_P(SessionByLength, EachTextOfABatchIsTurnedByItsOwnLength) {
  const std::vector<int32_t> tokens = SomeTokens(150);
  std::vector<float> expected;
  std::vector<KvCache> caches(3, KvCache(tiny_.model()));
  std::vector<Piece> pieces;
  for (size_t i = 0; i < 3; ++i) {
    const std::span<const int32_t> text = std::span(tokens).first(std::vector<size_t>{100, 30, 150}[i]);
    KvCache alone(tiny_.model());
    const std::vector<float> logits = RunTokens(session_, alone, text);
    expected.insert(expected.end(), logits.begin(), logits.end());
    pieces.push_back({&caches[i], text});
  }
  std::vector<float> batched(expected.size());
  session_.Logits(session_.Forward(pieces), batched);
  EXPECT_TRUE(Near(batched, expected, kRounding));
}

TEST_P(SessionByLength, ATextThatGrowsBeyondItsOriginalLengthIsTold) {
  const std::vector<int32_t> tokens = SomeTokens(65);
  KvCache whole(tiny_.model()), cache(tiny_.model());
  const std::vector<float> all = RunTokens(session_, whole, tokens);
  testing::internal::CaptureStderr();
  for (int32_t token : std::span(tokens).first(64)) RunTokens(session_, cache, std::span(&token, 1));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  const std::vector<float> last = RunTokens(session_, cache, std::span(tokens).last(1));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("a text grows beyond 64 tokens while it is written"),
            std::string::npos);
  EXPECT_FALSE(Near(last, std::span(all).last(last.size()), kRounding)) << "its beginning was turned otherwise";
}

INSTANTIATE_TEST_SUITE_P(Types, SessionByLength,
                         testing::Values(RopeScaling::Kind::kDynamic, RopeScaling::Kind::kLongRope),
                         [](const auto& kind) { return std::string(Name(kind.param)); });

TEST(Session, DynamicRopeTakesTextsBeyondItsOriginalLength) {
  TinyModel tiny({.rope_scaling = RopeScaling::Kind::kDynamic, .max_position = 32});
  Session session = tiny.NewSession();
  KvCache cache(tiny.model());
  EXPECT_NO_THROW(RunTokens(session, cache, SomeTokens(128)));
  EXPECT_ERROR(session.Forward({{&cache, SomeTokens(1)}}),
               "a text of 129 tokens is longer than the 128 positions of this model");
}

TEST(Session, ATruncatedCacheGoesOnAsIfTheRestWereNeverRun) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  const std::vector<int32_t> tokens = SomeTokens(30);
  KvCache cache(tiny.model());
  const std::vector<float> expected = RunTokens(session, cache, tokens);
  cache.Truncate(10);
  RunTokens(session, cache, std::vector<int32_t>(15, 7));
  cache.Truncate(10);
  const size_t vocab = static_cast<size_t>(tiny.model().config().vocab_size);
  EXPECT_TRUE(
      Near(RunTokens(session, cache, std::span(tokens).last(20)), std::span(expected).last(20 * vocab), kRounding));
}

// One layer sees exactly window positions; with more, information travels further.
TEST(Session, OutsideTheSlidingWindowNothingIsSeen) {
  TinyModel tiny({.family = Family::kMistral, .sliding_window = 5, .num_layers = 1});
  Session session = tiny.NewSession();
  const size_t vocab = static_cast<size_t>(tiny.model().config().vocab_size);
  std::vector<int32_t> tokens = SomeTokens(12);
  KvCache cache(tiny.model()), changed_cache(tiny.model());
  const std::vector<float> before = RunTokens(session, cache, tokens);
  tokens[3] += 1;
  const std::vector<float> after = RunTokens(session, changed_cache, tokens);
  for (size_t position = 0; position < tokens.size(); ++position) {
    const bool sees = position >= 3 && position - 3 < 5;
    EXPECT_EQ(sees, !Near(std::span(after).subspan(position * vocab, vocab),
                          std::span(before).subspan(position * vocab, vocab), Exact()))
        << position;
  }
}

TEST(Session, BadTokensAreErrorsAndLeaveTheCacheAsItWas) {
  TinyModel tiny({.max_position = 32});
  Session session = tiny.NewSession();
  KvCache cache(tiny.model());
  RunTokens(session, cache, SomeTokens(3));
  const std::vector<int32_t> outside = {1, 50000}, negative = {-1};
  EXPECT_ERROR(session.Forward({{&cache, outside}}), "token id 50000 at position 4 is outside the vocabulary of 300");
  EXPECT_ERROR(session.Forward({{&cache, negative}}), "token id -1 at position 3 is outside the vocabulary of 300");
  EXPECT_ERROR(session.Forward({{&cache, {}}}), "no tokens to run: the text is empty");
  EXPECT_ERROR(session.Forward({{&cache, SomeTokens(30)}}),
               "a text of 33 tokens is longer than the 32 positions of this model");
  EXPECT_EQ(cache.length(), 3);
  EXPECT_NO_THROW(session.Forward({{&cache, SomeTokens(29)}}));
}

TEST(Session, AnUnknownMatrixProductIsAnError) {
  TinyModel tiny;
  Session session = tiny.NewSession("nonesuch");
  KvCache cache(tiny.model());
  EXPECT_ERROR(session.Forward({{&cache, SomeTokens(1)}}), "no matrix product implementation is named \"nonesuch\"");
}

class Recorder : public LayerObserver {
 public:
  void Begin(int64_t layer) override { events += " +" + std::to_string(layer); }
  void End(int64_t layer) override { events += " -" + std::to_string(layer); }
  std::string events;
};

TEST(Session, TheObserverSeesEmbeddingBlocksAndHeadInTurn) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  Recorder recorder;
  session.set_observer(&recorder);
  KvCache cache(tiny.model());
  RunTokens(session, cache, SomeTokens(4));
  EXPECT_EQ(recorder.events, " +-1 --1 +0 -0 +1 -1 +2 -2");
}

TEST(KvCache, BytesCountKeysAndValuesOfEveryLayer) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  KvCache cache(tiny.model());
  EXPECT_EQ(cache.Bytes(), 0);
  RunTokens(session, cache, SomeTokens(4));
  const ModelConfig& config = tiny.model().config();
  EXPECT_GE(cache.Bytes(), static_cast<uint64_t>(2 * config.num_layers * 4 * config.KeyWidth() * 4));
}

TEST(KvCacheMemory, IsWhatWasReserved) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  KvCache cache(tiny.model());
  cache.Reserve(64);
  EXPECT_EQ(cache.Bytes(), 64 * KvCache::BytesPerToken(tiny.model()));
  RunTokens(session, cache, SomeTokens(25));
  for (int i = 0; i < 39; ++i) RunTokens(session, cache, SomeTokens(1));
  EXPECT_EQ(cache.length(), 64);
  EXPECT_EQ(cache.Bytes(), 64 * KvCache::BytesPerToken(tiny.model()));
}

}  // namespace
}  // namespace ecld
