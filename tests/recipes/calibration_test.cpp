// Windows of calibration tokens: where they are cut, and what is refused.

#include "recipes/calibration.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <set>

#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

std::vector<int32_t> Counting(int64_t count) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

CalibrationOptions Cut(int64_t windows, int64_t window_tok, const std::string& choice, uint64_t seed = 0) {
  return {
      .texts = {TextSource("text.txt")}, .windows = windows, .window_tok = window_tok, .choice = choice, .seed = seed};
}

// The first id of each window is its place in the text.
void ExpectNoOverlap(const TokenWindows& cut, int64_t tokens) {
  int64_t free_from = 0;
  for (const auto& window : cut.windows) {
    ASSERT_EQ(window.size(), static_cast<size_t>(cut.window_tok));
    EXPECT_GE(window.front(), free_from);
    EXPECT_EQ(window.back() - window.front(), cut.window_tok - 1);
    free_from = window.back() + 1;
  }
  EXPECT_LE(free_from, tokens);
}

TEST(Calibration, EvenReachesFromEndToEnd) {
  for (int64_t tokens : {40, 41, 97, 1000}) {
    TokenWindows cut = CutWindows(Counting(tokens), Cut(5, 8, "even"), "text.txt");
    ASSERT_EQ(cut.windows.size(), 5u);
    ExpectNoOverlap(cut, tokens);
    EXPECT_EQ(cut.windows.front().front(), 0);
    EXPECT_EQ(cut.windows.back().back(), tokens - 1);
  }
  EXPECT_EQ(CutWindows(Counting(20), Cut(1, 8, "even"), "text.txt").windows.size(), 1u);
}

TEST(Calibration, RandomIsSeededAndDoesNotOverlap) {
  TokenWindows a = CutWindows(Counting(1000), Cut(20, 16, "random", 1), "text.txt");
  TokenWindows again = CutWindows(Counting(1000), Cut(20, 16, "random", 1), "text.txt");
  TokenWindows b = CutWindows(Counting(1000), Cut(20, 16, "random", 2), "text.txt");
  ExpectNoOverlap(a, 1000);
  EXPECT_EQ(a.windows, again.windows);
  EXPECT_NE(a.windows, b.windows);
  ExpectNoOverlap(CutWindows(Counting(320), Cut(20, 16, "random", 3), "text.txt"), 320);  // takes every place there is
}

TEST(Calibration, TooShortSaysHowMuchItTakes) {
  EXPECT_ERROR(CutWindows(Counting(39), Cut(5, 8, "even"), "text.txt"),
               "text.txt: has 39 tokens, but 5 windows of 8 need 40; give a longer text");
  EXPECT_ERROR(CutWindows({}, Cut(1, 8, "random"), "text.txt"), "text.txt: has 0 tokens");
}

TEST(Calibration, ReadsTheTextWithTheModelsTokenizer) {
  TempDir dir;
  WriteTinyCheckpoint(dir / "model");
  Checkpoint model = Checkpoint::Open(dir / "model");
  std::ofstream(dir / "text.txt") << std::string(400, 'x');
  CalibrationOptions options = Cut(2, 16, "even");
  options.texts = {TextSource(dir / "text.txt")};
  EXPECT_EQ(ReadCalibration(options, model).windows.windows.size(), 2u);

  options.window_tok = 1024;
  EXPECT_ERROR(ReadCalibration(options, model), "calibration.window_tok: 1024 is more than the 512 positions");
  options.texts.clear();
  EXPECT_ERROR(ReadCalibration(options, model), "give --calibration FILE");
  options = Cut(2, 16, "even");
  options.texts = {TextSource(dir / "none.txt")};
  EXPECT_ERROR(ReadCalibration(options, model), "none.txt: cannot open");
}

}  // namespace
}  // namespace ecld
