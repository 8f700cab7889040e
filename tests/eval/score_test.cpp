// Perplexity and divergence: of logits as such, and of tiny checkpoints through the runtime.

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/random.h"
#include "eval/divergence.h"
#include "eval/perplexity.h"
#include "runtime/score.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

std::vector<float> RandomLogits(size_t size, double scale, uint64_t seed) {
  Random random(seed);
  std::vector<float> logits(size);
  for (float& logit : logits) logit = static_cast<float>(scale * random.Normal());
  return logits;
}

std::vector<int32_t> RandomIds(int64_t count, int64_t vocab_size, uint64_t seed) {
  Random random(seed);
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int32_t& id : ids) id = static_cast<int32_t>(random.Below(static_cast<uint64_t>(vocab_size)));
  return ids;
}

TEST(NegativeLogLikelihood, UniformLogitsGiveTheLogOfTheVocabulary) {
  for (float level : {0.0f, -1000.0f, 80.0f, 1e6f}) {
    std::vector<float> logits(1000, level);
    EXPECT_TRUE(Near(std::array{NegativeLogLikelihood(logits, 17)}, std::array{std::log(1000.0)}, Relative(1e-6)))
        << level;
  }
}

TEST(NegativeLogLikelihood, ProbabilitiesSumToOne) {
  std::vector<float> logits = RandomLogits(500, 20, 1);
  double sum = 0;
  for (int32_t i = 0; i < 500; ++i) sum += std::exp(-NegativeLogLikelihood(logits, i));
  EXPECT_TRUE(Near(std::array{sum}, std::array{1.0}, {.max_abs = 1e-12}));
}

TEST(KlDivergence, OfEqualLogitsIsExactlyZero) {
  for (double scale : {0.0, 1.0, 30.0}) {
    std::vector<float> logits = RandomLogits(3000, scale, 2);
    EXPECT_EQ(KlDivergence(logits, logits), 0);
  }
}

TEST(KlDivergence, DoesNotSeeAShiftOfAllLogits) {
  std::vector<float> logits = RandomLogits(3000, 3, 2), shifted = logits;
  for (float& logit : shifted) logit += 4;
  EXPECT_LT(std::abs(KlDivergence(logits, shifted)), 1e-6);
}

TEST(KlDivergence, AgreesWithItsDefinitionAndIsNotSymmetric) {
  // p = (0.5, 0.25, 0.25), q = (0.25, 0.25, 0.5).
  const std::vector<float> p = {std::log(0.5f), std::log(0.25f), std::log(0.25f)};
  const std::vector<float> q = {std::log(0.25f), std::log(0.25f), std::log(0.5f)};
  const std::vector<float> r = {std::log(0.8f), std::log(0.1f), std::log(0.1f)};
  EXPECT_TRUE(Near(std::array{KlDivergence(p, q)}, std::array{0.25 * std::log(2.0)}, {.max_abs = 1e-6}));
  EXPECT_GT(std::abs(KlDivergence(p, r) - KlDivergence(r, p)), 0.01);
}

TEST(KlDivergence, IsNeverBelowZero) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::vector<float> a = RandomLogits(100, 5, seed), b = a;
    for (float& logit : b) logit += 1e-4f * static_cast<float>(seed);
    b[seed] += 1e-3f;
    EXPECT_GT(KlDivergence(a, b), -1e-12);
  }
}

class TinyModels : public testing::Test {
 protected:
  RuntimeModel Open(const char* name, const TinyOptions& options) {
    WriteTinyCheckpoint(temp_ / name, options);
    return RuntimeModel(Checkpoint::Open(temp_ / name));
  }

  TempDir temp_;
  ThreadPool pool_{2};
};

TEST_F(TinyModels, PerplexityIsThatOfTheTokensScoredOneByOne) {
  RuntimeModel model = Open("model", {});
  Session session(model, pool_);
  std::vector<int32_t> ids = RandomIds(90, 283, 5);
  std::vector<Window> windows = Windows(90, {.window = 32, .stride = 20}, "ids");
  PerplexityScore score = Perplexity(session, ids, windows);

  double nll = 0;
  int64_t count = 0;
  for (const Window& window : windows)
    for (int64_t i = window.first_scored; i < window.length; ++i, ++count) {
      KvCache cache(model);
      auto before = std::span(ids).subspan(static_cast<size_t>(window.begin), static_cast<size_t>(i));
      std::span<const float> hidden = session.Forward({{&cache, before}});
      std::vector<float> logits(static_cast<size_t>(model.config().vocab_size));
      session.Logits(hidden.last(static_cast<size_t>(model.config().hidden_size)), logits);
      nll += NegativeLogLikelihood(logits, ids[static_cast<size_t>(window.begin + i)]);
    }
  EXPECT_EQ(score.nll_nats.count, count);
  EXPECT_EQ(count, 89);
  EXPECT_EQ(score.nll_nats.clusters, static_cast<int64_t>(windows.size()));
  EXPECT_TRUE(Near(std::array{score.nll_nats.value}, std::array{nll / static_cast<double>(count)}, Relative(1e-5)));
  EXPECT_TRUE(Near(std::array{score.Perplexity()}, std::array{std::exp(score.nll_nats.value)}, Relative(1e-12)));
}

TEST_F(TinyModels, ResultsRepeatBitForBitWhateverTheThreads) {
  RuntimeModel model = Open("model", {});
  std::vector<int32_t> ids = RandomIds(200, 283, 6);
  std::vector<Window> windows = Windows(200, {.window = 32, .stride = 32}, "ids");
  ThreadPool one(1);
  Session many_threads(model, pool_), one_thread(model, one);
  EXPECT_EQ(Perplexity(many_threads, ids, windows).nll_nats.value, Perplexity(one_thread, ids, windows).nll_nats.value);
}

TEST_F(TinyModels, DivergenceFromItselfIsZeroAndAgreementOne) {
  RuntimeModel model = Open("model", {});
  Session session(model, pool_), same(model, pool_);
  std::vector<int32_t> ids = RandomIds(100, 283, 7);
  DivergenceScore score = Divergence(session, same, ids, Windows(100, {.window = 32, .stride = 32}, "ids"));
  EXPECT_EQ(score.kl_nats.value, 0);
  EXPECT_EQ(*score.kl_nats.standard_error, 0);
  EXPECT_EQ(score.top1_agreement.value, 1);
}

TEST_F(TinyModels, DivergenceScoresTheSameWindowsAsPerplexityDoes) {
  RuntimeModel reference = Open("reference", {.seed = 1}), model = Open("model", {.seed = 2});
  Session reference_session(reference, pool_), session(model, pool_);
  std::vector<int32_t> ids = RandomIds(100, 283, 8);
  std::vector<Window> windows = Windows(100, {.window = 32, .stride = 32}, "ids");
  DivergenceScore score = Divergence(reference_session, session, ids, windows);
  EXPECT_GT(score.kl_nats.value, 0.01);
  EXPECT_LT(score.top1_agreement.value, 0.5);
  EXPECT_EQ(score.model.nll_nats.value, Perplexity(session, ids, windows).nll_nats.value);
  EXPECT_EQ(score.reference.nll_nats.value, Perplexity(reference_session, ids, windows).nll_nats.value);
}

TEST_F(TinyModels, VocabulariesOfDifferentSizeCannotBeCompared) {
  RuntimeModel reference = Open("reference", {.vocab_size = 300}), model = Open("model", {.vocab_size = 320});
  Session reference_session(reference, pool_), session(model, pool_);
  std::vector<int32_t> ids = RandomIds(40, 283, 9);
  EXPECT_ERROR(Divergence(reference_session, session, ids, Windows(40, {.window = 32, .stride = 32}, "ids")),
               "vocabulary");
}

TEST_F(TinyModels, IdsOutsideTheVocabularyAreErrors) {
  RuntimeModel model = Open("model", {});
  Session session(model, pool_);
  for (int32_t bad : {300, -1})
    for (size_t at : {0, 5, 39}) {
      std::vector<int32_t> ids = RandomIds(40, 283, 9);
      ids[at] = bad;
      EXPECT_ERROR(Perplexity(session, ids, Windows(40, {.window = 64, .stride = 64}, "ids")),
                   "outside the vocabulary");
    }
}

}  // namespace
}  // namespace ecld
