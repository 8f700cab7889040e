#include "runtime/score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/runtime/tiny_model.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

// log P of tokens[first ..] from one plain forward pass.
std::vector<double> PlainScore(TinyModel& tiny, std::span<const int32_t> tokens, int64_t first) {
  Session session = tiny.NewSession();
  KvCache cache(tiny.model());
  const std::vector<float> logits = RunTokens(session, cache, tokens);
  const size_t vocab = static_cast<size_t>(tiny.model().config().vocab_size);
  std::vector<double> scores;
  for (auto i = static_cast<size_t>(first); i < tokens.size(); ++i) {
    double sum = 0;
    for (size_t v = 0; v < vocab; ++v) sum += std::exp(double{logits[(i - 1) * vocab + v]});
    scores.push_back(logits[(i - 1) * vocab + static_cast<size_t>(tokens[i])] - std::log(sum));
  }
  return scores;
}

// Windows shorter and longer than a batch, so that some share one and some are cut.
TEST(Score, EqualsAPlainForwardPassOfEachWindow) {
  const std::vector<int32_t> text = SomeTokens(1500);
  const ScoreWindow windows[] = {{std::span(text).first(2)},
                                 {std::span(text).first(700), 1},
                                 {std::span(text).subspan(100, 900), 600},
                                 {std::span(text), 3},
                                 {std::span(text).last(5), 4}};
  // With the second, all but the shortest are turned by how long they are.
  for (const TinyOptions& options :
       {TinyOptions{.num_layers = 1, .max_position = 2048},
        TinyOptions{.rope_scaling = RopeScaling::Kind::kDynamic, .num_layers = 1, .max_position = 512}}) {
    TinyModel tiny(options);
    Session session = tiny.NewSession();
    const auto scores = Score(session, windows);
    ASSERT_EQ(scores.size(), std::size(windows));
    for (size_t i = 0; i < scores.size(); ++i)
      EXPECT_TRUE(Near(scores[i], PlainScore(tiny, windows[i].tokens, windows[i].first_scored), {.max_abs = 1e-4}))
          << Name(options.rope_scaling) << ", window " << i;
  }
}

TEST(Score, AllContinuationsTogetherHaveProbabilityOne) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  std::vector<std::vector<int32_t>> texts;
  std::vector<ScoreWindow> windows;
  for (int32_t id = 0; id < 300; ++id) texts.push_back({5, 17, id});
  for (const auto& text : texts) windows.push_back({text, 2});
  double sum = 0;
  for (const auto& score : Score(session, windows)) sum += std::exp(score[0]);
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST(VisitPositions, ShowsEachPositionOnceWithAllSessionsSideBySide) {
  TinyModel one({.seed = 1}), other({.seed = 2});
  Session a = one.NewSession(), b = other.NewSession();
  const std::vector<int32_t> text = SomeTokens(30);
  const ScoreWindow windows[] = {{std::span(text).first(20), 5}, {std::span(text).last(10), 1}};
  std::vector<int> visits(2 * 20);
  std::vector<double> difference(2 * 20);
  const ScoredModel models[] = {&a, &b};
  VisitPositions(models, windows, [&](int64_t window, int64_t position, auto logits) {
    ASSERT_EQ(logits.size(), 2u);
    const auto slot = static_cast<size_t>(window * 20 + position);
    visits[slot] += 1;
    difference[slot] = std::abs(logits[0][0] - logits[1][0]);
  });
  for (int64_t window : {0, 1})
    for (int64_t position = 0; position < 20; ++position) {
      const ScoreWindow& scored = windows[window];
      const bool wanted = position >= scored.first_scored && position < static_cast<int64_t>(scored.tokens.size());
      EXPECT_EQ(visits[static_cast<size_t>(window * 20 + position)], wanted ? 1 : 0);
      EXPECT_EQ(difference[static_cast<size_t>(window * 20 + position)] > 0, wanted);
    }
}

TEST(Score, BadWindowsAreErrors) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  const std::vector<int32_t> text = {1, 2, 300};
  const auto score = [&](std::span<const int32_t> tokens, int64_t first) {
    const ScoreWindow windows[] = {{tokens, first}};
    return Score(session, windows);
  };
  EXPECT_ERROR(score(std::span(text).first(1), 1), "window 0 has 1 tokens and is scored from position 1");
  EXPECT_ERROR(score(std::span(text).first(2), 0), "window 0 has 2 tokens and is scored from position 0");
  EXPECT_ERROR(score(std::span(text).first(2), 2), "must hold at least two tokens");
  EXPECT_ERROR(score(text, 1), "token id 300 at position 2 is outside the vocabulary of 300");
}

// The same model, told that its ids are in another order.
TEST(VisitPositions, AModelReadsByIdsOfItsOwn) {
  TinyModel tiny;
  Session a = tiny.NewSession(), b = tiny.NewSession();
  std::vector<int32_t> own(300);
  for (int32_t id = 0; id < 300; ++id) own[static_cast<size_t>(id)] = 299 - id;
  const std::vector<int32_t> text = SomeTokens(9);
  std::vector<int32_t> turned = text;
  for (int32_t& id : turned) id = 299 - id;
  const ScoreWindow windows[] = {{text}}, turned_windows[] = {{turned}};
  std::vector<float> by_ids(10), by_text(10);
  const ScoredModel models[] = {{&a, own}, &b};
  VisitPositions(models, windows,
                 [&](int64_t, int64_t position, auto logits) { by_ids[static_cast<size_t>(position)] = logits[0][7]; });
  const ScoredModel alone[] = {&a};
  VisitPositions(alone, turned_windows, [&](int64_t, int64_t position, auto logits) {
    by_text[static_cast<size_t>(position)] = logits[0][7];
  });
  EXPECT_EQ(by_ids, by_text);
  const std::vector<int32_t> bad = {1, 300, 2};
  const ScoreWindow bad_windows[] = {{bad}};
  EXPECT_ERROR(VisitPositions(models, bad_windows, [](auto, auto, auto) {}), "token id 300");
}

TEST(VisitPositions, OtherVocabulariesAreAnError) {
  TinyModel one, other({.vocab_size = 310});
  Session a = one.NewSession(), b = other.NewSession();
  const std::vector<int32_t> text = SomeTokens(3);
  const ScoreWindow windows[] = {{text}};
  const ScoredModel models[] = {&a, &b};
  EXPECT_ERROR(VisitPositions(models, windows, [](auto, auto, auto) {}),
               "has a vocabulary of 310, but the model it is compared with has 300");
}

TEST(LogSumExp, IsExactFarFromZero) {
  const std::vector<float> logits = {1000, 1000, -5000};
  EXPECT_DOUBLE_EQ(LogSumExp(logits), 1000 + std::log(2.0));
}

}  // namespace
}  // namespace ecld
