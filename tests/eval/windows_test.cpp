#include "eval/windows.h"

#include <gtest/gtest.h>

#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

// How often each token of the text is scored.
std::vector<int> TimesScored(int64_t tokens, const std::vector<Window>& windows) {
  std::vector<int> times(static_cast<size_t>(tokens));
  for (const Window& window : windows)
    for (int64_t i = window.first_scored; i < window.length; ++i) ++times[static_cast<size_t>(window.begin + i)];
  return times;
}

TEST(Windows, WithoutOverlapEveryTokenButTheFirstOfEachWindowIsScoredOnce) {
  for (int64_t tokens = 2; tokens < 40; ++tokens) {
    std::vector<Window> windows = Windows(tokens, {.window = 8, .stride = 8}, "text");
    std::vector<int> times = TimesScored(tokens, windows);
    for (int64_t i = 0; i < tokens; ++i) EXPECT_EQ(times[static_cast<size_t>(i)], i % 8 == 0 ? 0 : 1) << tokens;
  }
}

TEST(Windows, WithOverlapEveryTokenButTheFirstIsScoredOnce) {
  for (int64_t stride = 1; stride < 8; ++stride)
    for (int64_t tokens = 2; tokens < 40; ++tokens) {
      std::vector<int> times = TimesScored(tokens, Windows(tokens, {.window = 8, .stride = stride}, "text"));
      for (int64_t i = 0; i < tokens; ++i)
        EXPECT_EQ(times[static_cast<size_t>(i)], i == 0 ? 0 : 1) << stride << " " << tokens << " " << i;
    }
}

TEST(Windows, StayInsideTheTextAndTheirLength) {
  for (int64_t tokens : {2, 7, 8, 9, 15, 16, 17, 100})
    for (const Window& window : Windows(tokens, {.window = 8, .stride = 3}, "text")) {
      EXPECT_LE(window.length, 8);
      EXPECT_LE(window.begin + window.length, tokens);
      EXPECT_GE(window.first_scored, 1);
      EXPECT_GE(window.Scored(), 1);
    }
}

TEST(Windows, ATextShorterThanAWindowIsOneWindow) {
  std::vector<Window> windows = Windows(5, {.window = 512, .stride = 512}, "text");
  ASSERT_EQ(windows.size(), 1u);
  EXPECT_EQ(windows[0].length, 5);
  EXPECT_EQ(windows[0].Scored(), 4);
}

TEST(Windows, TheTailIsAWindowWhenItHasATokenToScore) {
  EXPECT_EQ(Windows(16, {.window = 8, .stride = 8}, "text").size(), 2u);
  EXPECT_EQ(Windows(17, {.window = 8, .stride = 8}, "text").size(), 2u);  // one token alone predicts nothing
  EXPECT_EQ(Windows(18, {.window = 8, .stride = 8}, "text").size(), 3u);
}

TEST(Windows, ScoreFromHoldsForEveryWindow) {
  std::vector<Window> windows = Windows(20, {.window = 8, .stride = 8, .score_from = 5}, "text");
  ASSERT_EQ(windows.size(), 2u);  // the tail of four tokens scores none
  for (const Window& window : windows) EXPECT_EQ(window.Scored(), 3);
}

TEST(Windows, MaxWindowsCutsTheText) {
  EXPECT_EQ(Windows(100, {.window = 8, .stride = 8, .max_windows = 3}, "text").size(), 3u);
  EXPECT_EQ(Windows(10, {.window = 8, .stride = 8, .max_windows = 3}, "text").size(), 2u);
}

TEST(Windows, WhatCannotBeScoredIsAnError) {
  EXPECT_ERROR(Windows(0, {}, "a.txt"), "a.txt: has 0 tokens; at least 2 are needed");
  EXPECT_ERROR(Windows(1, {}, "a.txt"), "a.txt: has 1 tokens; at least 2 are needed");
  EXPECT_ERROR(Windows(9, {.window = 1}, "a.txt"), "window: found 1, at least 2");
  EXPECT_ERROR(Windows(9, {.window = 8, .stride = 0}, "a.txt"), "stride: found 0, expected 1 .. 8");
  EXPECT_ERROR(Windows(9, {.window = 8, .stride = 9}, "a.txt"), "stride: found 9, expected 1 .. 8");
  EXPECT_ERROR(Windows(9, {.window = 8, .stride = 8, .score_from = 8}, "a.txt"),
               "score_from: found 8, expected 0 .. 7");
  EXPECT_ERROR(Windows(9, {.window = 8, .stride = 8, .score_from = -1}, "a.txt"), "score_from: found -1");
  EXPECT_ERROR(Windows(9, {.window = 8, .stride = 8, .max_windows = -1}, "a.txt"), "max_windows: found -1");
  EXPECT_ERROR(Windows(4, {.window = 8, .stride = 8, .score_from = 5}, "a.txt"), "none of them is scored");
}

}  // namespace
}  // namespace ecld
