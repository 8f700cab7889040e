// What runs fast against what runs exactly, and every cache type against itself.

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/memory.h"
#include "runtime/score.h"
#include "tests/runtime/tiny_model.h"
#include "tests/testing/near.h"
#include "tests/testing/packed_checkpoint.h"

namespace ecld {
namespace {

// Mean KL(expected || actual) over rows of logits.
double MeanKl(const std::vector<float>& expected, const std::vector<float>& actual, size_t vocab) {
  double sum = 0;
  for (size_t begin = 0; begin < expected.size(); begin += vocab) {
    const auto p = std::span(expected).subspan(begin, vocab), q = std::span(actual).subspan(begin, vocab);
    const double log_p = LogSumExp(p), log_q = LogSumExp(q);
    for (size_t i = 0; i < vocab; ++i)
      sum += std::exp(double{p[i]} - log_p) * ((double{p[i]} - log_p) - (double{q[i]} - log_q));
  }
  return sum / static_cast<double>(expected.size() / vocab);
}

constexpr RuntimeOptions kFast = {.precision = Precision::kFast};

class FastModel : public testing::TestWithParam<PackedFormat> {};

TEST_P(FastModel, SaysNearlyWhatTheExactOneSays) {
  TempDir dir;
  WritePackedCheckpoint(dir.path(), GetParam(), {.tied = true});
  ThreadPool pool(2);
  std::vector<std::vector<float>> logits;
  for (const RuntimeOptions& options : {RuntimeOptions{}, kFast}) {
    const RuntimeModel model(Checkpoint::Open(dir.path()), options);
    EXPECT_EQ(model.head().interleaved, options.precision == Precision::kFast);
    EXPECT_EQ(model.TileBytes() > 0, options.precision == Precision::kFast);
    Session session(model, pool);
    KvCache cache(model);
    logits.push_back(RunTokens(session, cache, SomeTokens(60)));
  }
  EXPECT_LT(MeanKl(logits[0], logits[1], 300), 0.002);
  EXPECT_FALSE(Near(logits[0], logits[1], Exact())) << "nothing was rounded: the fast path did not run";
}

INSTANTIATE_TEST_SUITE_P(Formats, FastModel,
                         testing::Values(PackedFormat{.bits = 2, .group_size = 32, .symmetric = false},
                                         PackedFormat{.bits = 3, .group_size = 64, .symmetric = true},
                                         PackedFormat{.bits = 4, .group_size = 32, .symmetric = true},
                                         PackedFormat{.bits = 8, .group_size = 0, .symmetric = true}),
                         [](const auto& format) { return "W" + std::to_string(format.param.bits); });

class CacheOf : public testing::TestWithParam<KvType> {
 protected:
  // Rounded caches: the same rounding whichever way the tokens come, so only sums differ in order.
  RuntimeOptions options() const { return {.kv = GetParam()}; }
  bool Rounded() const { return GetParam() == KvType::kQ8 || GetParam() == KvType::kQ4; }
};

TEST_P(CacheOf, TokenByTokenEqualsWholeAndTheRoundingIsSmall) {
  for (const TinyOptions& tiny_options :
       {TinyOptions{.head_dim = 20}, TinyOptions{.family = Family::kMistral, .sliding_window = 33}}) {
    TempDir dir;
    WriteTinyCheckpoint(dir.path(), tiny_options);
    const RuntimeModel exact(Checkpoint::Open(dir.path())), model(Checkpoint::Open(dir.path()), options());
    ThreadPool pool(2);
    Session session(model, pool), exact_session(exact, pool);
    const std::vector<int32_t> tokens = SomeTokens(100);
    KvCache whole(model), exact_cache(exact), stepwise(model);
    const std::vector<float> expected = RunTokens(session, whole, tokens);
    std::vector<float> logits;
    for (const int32_t& token : tokens) {
      const std::vector<float> some = RunTokens(session, stepwise, std::span(&token, 1));
      logits.insert(logits.end(), some.begin(), some.end());
    }
    // A sum in another order can put an element of a later layer on the other side of a rounding step.
    const double bound = GetParam() == KvType::kF32   ? 1e-4
                         : GetParam() == KvType::kF16 ? 3e-3
                         : GetParam() == KvType::kQ8  ? 5e-2
                                                      : 0.5;
    EXPECT_TRUE(Near(logits, expected, {.max_abs = bound, .mean_abs = bound / 10}));
    EXPECT_LT(MeanKl(RunTokens(exact_session, exact_cache, tokens), expected, 300), GetParam() == KvType::kQ4   ? 5e-2
                                                                                    : GetParam() == KvType::kQ8 ? 1e-3
                                                                                                                : 1e-5);
  }
}

TEST_P(CacheOf, ManySequencesDecodeAsEachAlone) {
  TempDir dir;
  WriteTinyCheckpoint(dir.path(), {});
  const RuntimeModel model(Checkpoint::Open(dir.path()), options());
  ThreadPool pool(2);
  Session session(model, pool);
  constexpr size_t kSequences = 16, kSteps = 5;
  const std::vector<int32_t> text = SomeTokens(200);
  std::vector<KvCache> together(kSequences, KvCache(model)), alone(kSequences, KvCache(model));
  for (size_t i = 0; i < kSequences; ++i)
    for (auto* caches : {&together, &alone}) session.Forward({{&(*caches)[i], std::span(text).first(1 + i * 11)}});
  std::vector<float> batch(kSequences * 300);
  for (size_t step = 0; step < kSteps; ++step) {
    std::vector<Piece> pieces;
    std::vector<float> expected;
    for (size_t i = 0; i < kSequences; ++i) {
      const auto token = std::span(text).subspan(step * kSequences + i, 1);
      pieces.push_back({&together[i], token});
      const std::vector<float> logits = RunTokens(session, alone[i], token);
      expected.insert(expected.end(), logits.begin(), logits.end());
    }
    session.Logits(session.Forward(pieces), batch);
    EXPECT_TRUE(Near(batch, expected, {.max_abs = Rounded() ? 5e-2 : 3e-3}));
  }
}

TEST_P(CacheOf, TakesTheBytesItSaysAndGrowsByHalf) {
  TempDir dir;
  const ModelConfig config = WriteTinyCheckpoint(dir.path(), {.head_dim = 32});
  const RuntimeModel model(Checkpoint::Open(dir.path()), options());
  const auto bits = static_cast<uint64_t>(Bits(GetParam()));
  const auto scales_B = Rounded() ? static_cast<uint64_t>(2 * config.num_kv_heads * 4) : 0;
  EXPECT_EQ(KvCache::BytesPerToken(model), 2 * (2 * static_cast<uint64_t>(config.KeyWidth()) * bits / 8 + scales_B));
  ThreadPool pool(1);
  Session session(model, pool);
  KvCache cache(model);
  uint64_t before = 0;
  int growths = 0;
  for (int i = 0; i < 500; ++i) {
    session.Forward({{&cache, SomeTokens(1)}});
    growths += cache.Bytes() != std::exchange(before, cache.Bytes());
    ASSERT_GE(cache.Bytes(), static_cast<uint64_t>(cache.length()) * KvCache::BytesPerToken(model));
  }
  EXPECT_LE(cache.Bytes(), 800 * KvCache::BytesPerToken(model));
  EXPECT_LE(growths, 10);
}

INSTANTIATE_TEST_SUITE_P(Types, CacheOf, testing::ValuesIn(kKvTypes),
                         [](const auto& type) { return std::string(Name(type.param)); });

TEST(Session, MemoryDoesNotGrowWhileDecoding) {
  TempDir dir;
  WritePackedCheckpoint(dir.path(), {.bits = 4, .group_size = 32}, {.tied = true, .max_position = 4096});
  const RuntimeModel model(Checkpoint::Open(dir.path()), kFast);
  ThreadPool pool(2);
  Session session(model, pool);
  KvCache cache(model);
  cache.Reserve(2000);
  std::vector<float> logits(300);
  const auto decode = [&](int count) {
    for (int i = 0; i < count; ++i) session.Logits(session.Forward({{&cache, SomeTokens(1)}}), logits);
  };
  decode(300);
  const uint64_t before = AnonymousBytes();
  decode(1200);
  EXPECT_LT(AnonymousBytes(), before + (1 << 20));
}

}  // namespace
}  // namespace ecld
