#include "runtime/prefix_scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/runtime/tiny_model.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

using Ids = std::vector<int32_t>;

Ids Joined(const Ids& a, const Ids& b) {
  Ids both = a;
  both.insert(both.end(), b.begin(), b.end());
  return both;
}

// Each text alone in one plain pass.
std::vector<double> Plain(TinyModel& tiny, const ScoreWindow& text) {
  Session session = tiny.NewSession();
  return Score(session, std::span(&text, 1))[0];
}

void ExpectSameAsPlain(TinyModel& tiny, PrefixScorer& scorer, std::span<const ScoreWindow> texts) {
  const auto scores = scorer.Score(texts);
  ASSERT_EQ(scores.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<double> log_p;
    for (const TokenScore& token : scores[i]) log_p.push_back(token.log_p);
    EXPECT_TRUE(Near(log_p, Plain(tiny, texts[i]), {.max_abs = 1e-4})) << "text " << i;
  }
}

// Questions after common examples, each with answers; some answers are the beginning of others, some are equal, some
// begin inside the question.
TEST(PrefixScorer, EqualsAPlainPassOfEachText) {
  TinyModel tiny({.num_layers = 2});
  const Ids examples = SomeTokens(40);
  std::vector<Ids> questions = {{7, 8, 9, 10, 11, 12}, {7, 8, 9, 10, 11, 13}, {7, 1}, {200, 201, 202, 203, 204}};
  std::vector<Ids> answers = {{1}, {2}, {3, 4, 5, 6, 7, 8}, {3, 4, 5, 6, 7, 9}, {3, 4}, {3, 4}, {3, 4, 5}};
  std::vector<Ids> ids;
  std::vector<int64_t> first;
  for (const Ids& question : questions)
    for (const Ids& answer : answers) {
      ids.push_back(Joined(Joined(examples, question), answer));
      first.push_back(static_cast<int64_t>(examples.size() + question.size()));
    }
  ids.push_back({5, 6});  // shares nothing
  first.push_back(1);
  ids.push_back(examples);  // is scored where the others only share
  first.push_back(1);
  std::vector<ScoreWindow> texts;
  for (size_t i = 0; i < ids.size(); ++i) texts.push_back({ids[i], first[i]});

  Session session = tiny.NewSession();
  PrefixScorer all(session);
  ExpectSameAsPlain(tiny, all, texts);
  // What is shared runs once.
  int64_t tokens = 0;
  for (const Ids& text : ids) tokens += static_cast<int64_t>(text.size());
  EXPECT_LT(all.tokens_run(), tokens / 5);
  // So little memory that each text is a batch, and so much more that some share one.
  for (uint64_t texts_at_once : {1, 3, 10}) {
    PrefixScorer few(session, texts_at_once * 50 * KvCache::BytesPerToken(tiny.model()));
    ExpectSameAsPlain(tiny, few, texts);
  }
}

TEST(PrefixScorer, GoesOnFromTheBeginningOfTheCallBefore) {
  TinyModel tiny;
  const Ids examples = SomeTokens(100);
  Session session = tiny.NewSession();
  PrefixScorer scorer(session);
  int64_t before = 0;
  for (int32_t question : {1, 2, 3}) {
    const Ids a = Joined(examples, {question, 5, 6}), b = Joined(examples, {question, 5, 7});
    const ScoreWindow texts[] = {{a, 101}, {b, 101}};
    ExpectSameAsPlain(tiny, scorer, texts);
    if (question > 1) {
      EXPECT_LE(scorer.tokens_run() - before, 6);
    }
    before = scorer.tokens_run();
  }
}

TEST(PrefixScorer, LongTextsAndManyRows) {
  TinyModel tiny({.num_layers = 1, .max_position = 2048});
  const Ids text = SomeTokens(1500);
  std::vector<Ids> ids;
  for (int32_t last = 0; last < 20; ++last) ids.push_back(Joined(text, {last, 5, 6, 7, 8, 9}));
  std::vector<ScoreWindow> texts;
  for (const Ids& id : ids) texts.push_back({id, 1400});
  Session session = tiny.NewSession();
  PrefixScorer scorer(session);
  ExpectSameAsPlain(tiny, scorer, texts);
}

TEST(PrefixScorer, BadTextsAreErrors) {
  TinyModel tiny;
  Session session = tiny.NewSession();
  PrefixScorer scorer(session);
  const Ids ids = {1, 2, 300};
  const auto score = [&](std::span<const int32_t> tokens, int64_t first) {
    const ScoreWindow text = {tokens, first};
    return scorer.Score(std::span(&text, 1));
  };
  EXPECT_ERROR(score(std::span(ids).first(1), 1), "text 0 has 1 tokens and is scored from position 1");
  EXPECT_ERROR(score(std::span(ids).first(2), 0), "text 0 has 2 tokens and is scored from position 0");
  EXPECT_ERROR(score(ids, 1), "token id 300 at position 2 is outside the vocabulary of 300");
}

TEST(ScoreToken, MarginIsTheDifferenceOfTheTwoLargestProbabilities) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  const TokenScore first = ScoreToken(logits, 0), second = ScoreToken(logits, 1);
  EXPECT_NEAR(first.margin, 0.2, 1e-6);
  EXPECT_NEAR(second.margin, 0.2, 1e-6);
  EXPECT_NEAR(second.log_p, std::log(0.3), 1e-6);
  EXPECT_TRUE(first.greedy);
  EXPECT_FALSE(second.greedy);
  const std::vector<float> tie = {1, 2, 2};
  EXPECT_EQ(ScoreToken(tie, 1).margin, 0);
  EXPECT_TRUE(ScoreToken(tie, 1).greedy);
  EXPECT_FALSE(ScoreToken(tie, 2).greedy);
}

// Texts of both sides of the original length of 64, and of several lengths beyond it.
TEST(PrefixScorer, TextsOfAllLengthsAreTurnedAsAlone) {
  for (RopeScaling::Kind kind : {RopeScaling::Kind::kDynamic, RopeScaling::Kind::kLongRope}) {
    TinyModel tiny({.rope_scaling = kind, .max_position = kind == RopeScaling::Kind::kDynamic ? 64 : 512});
    const Ids beginning = SomeTokens(58);
    std::vector<Ids> ids;
    for (int64_t more : {3, 3, 6, 7, 12, 12, 20}) {
      ids.push_back(Joined(beginning, SomeTokens(more)));
      ids.back().back() += static_cast<int32_t>(ids.size());
    }
    std::vector<ScoreWindow> texts;
    for (const Ids& text : ids) texts.push_back({text, 59});
    Session session = tiny.NewSession();
    PrefixScorer scorer(session);
    ExpectSameAsPlain(tiny, scorer, texts);
    ExpectSameAsPlain(tiny, scorer, std::span(texts).last(2));
    ExpectSameAsPlain(tiny, scorer, std::span(texts).first(2));
  }
}

}  // namespace
}  // namespace ecld
