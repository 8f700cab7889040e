// Windows of calibration tokens: where they are cut, and what is refused.

#include "recipes/calibration.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <set>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/hash.h"
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

std::vector<int64_t> Shares(const std::vector<double>& weights, int64_t windows) {
  std::vector<TextSource> sources;
  for (const double weight : weights) sources.emplace_back("text-" + std::to_string(sources.size())).weight = weight;
  return SharesOf(sources, windows);
}

TEST(Calibration, WeightsAreSharesOfTheWindows) {
  using Numbers = std::vector<int64_t>;
  EXPECT_EQ(Shares({1}, 7), Numbers{7});
  EXPECT_EQ(Shares({1, 1}, 7), (Numbers{4, 3}));  // of equal remainders the first
  EXPECT_EQ(Shares({1, 2}, 9), (Numbers{3, 6}));
  EXPECT_EQ(Shares({0.5, 0.25, 0.25}, 10), (Numbers{5, 3, 2}));
  EXPECT_EQ(Shares({3, 3, 1}, 10), (Numbers{4, 4, 2}));  // 4.29, 4.29, 1.43
  EXPECT_ERROR(Shares({100, 1}, 10), "text-1: gives none of the 10 windows; set calibration.windows or its weight");
}

// A model, and files of texts whose characters are their tokens.
class CalibrationFiles : public testing::Test {
 protected:
  CalibrationFiles() {
    WriteTinyCheckpoint(dir_ / "model");
    Write("x.txt", std::string(400, 'x'));
    Write("y.jsonl", "{\"body\": \"" + std::string(100, 'y') + "\"}\n{\"body\": \"" + std::string(99, 'z') + "\"}\n");
  }
  void Write(const std::string& name, const std::string& content) const { std::ofstream(dir_ / name) << content; }
  TextSource Source(const std::string& name, double weight, const std::string& field = "") const {
    TextSource source(dir_ / name);
    source.weight = weight;
    source.field = field;
    return source;
  }
  // "xyyx": the first character of each window.
  std::string Firsts(const CalibrationOptions& options) const {
    const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::Open(dir_ / "model");
    std::string firsts;
    for (const auto& window : ReadCalibration(options, Model()).windows.windows)
      firsts += tokenizer->Decode(window, false).front();
    return firsts;
  }
  Checkpoint Model() const { return Checkpoint::Open(dir_ / "model"); }

  TempDir dir_;
};

TEST_F(CalibrationFiles, EachFileGivesItsWindowsAllAlong) {
  CalibrationOptions options = Cut(6, 16, "even");
  options.texts = {Source("x.txt", 1), Source("y.jsonl", 2, "body")};
  EXPECT_EQ(Firsts(options), "yxyzxz");
  const Calibration read = ReadCalibration(options, Model());
  ASSERT_EQ(read.files.size(), 2u);
  EXPECT_EQ(read.files[0].content, "text");
  EXPECT_EQ(read.files[0].windows, 2);
  EXPECT_EQ(read.files[0].tokens, 400);
  EXPECT_EQ(read.files[1].content, "2 documents in field body");
  EXPECT_EQ(read.files[1].tokens, 201) << "an end token each";
  EXPECT_EQ(ToJson(read.files)[1]["windows"], 4);
  EXPECT_EQ(ReadCalibration(options, Model()).windows.windows, read.windows.windows);
  options.choice = "random";
  const auto drawn = ReadCalibration(options, Model()).windows.windows;
  EXPECT_EQ(ReadCalibration(options, Model()).windows.windows, drawn);

  options.texts[1].weight = 5;
  options.windows = 30;
  EXPECT_ERROR(ReadCalibration(options, Model()),
               "y.jsonl: has 201 tokens, but 25 windows of 16 need 400; give a longer text, lower its weight, or set");
}

TEST_F(CalibrationFiles, OnePlainTextIsCutAsEver) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += std::to_string(i * i) + " ";
  Write("plain.txt", text);
  Write("wide.txt", "\xef\xbb\xbf" + text);
  CalibrationOptions options = Cut(6, 16, "random", 3);
  options.texts = {Source("plain.txt", 4)};
  const auto cut = CutWindows(Tokenizer::Open(dir_ / "model")->Encode(text, false), options, "plain.txt").windows;
  EXPECT_EQ(ReadCalibration(options, Model()).windows.windows, cut);
  options.texts = {Source("wide.txt", 1)};
  EXPECT_EQ(ReadCalibration(options, Model()).windows.windows, cut) << "the mark is no text";
}

TEST_F(CalibrationFiles, TheIdentityIsOfEveryFile) {
  CalibrationOptions options;
  options.texts = {Source("x.txt", 1)};
  const std::string one = CalibrationSha256(options);
  EXPECT_EQ(one, Sha256HexOfFile(dir_ / "x.txt"));
  options.texts.push_back(Source("y.jsonl", 1));
  const std::string two = CalibrationSha256(options);
  Write("y.jsonl", "{\"text\": \"other\"}\n");
  EXPECT_NE(CalibrationSha256(options), two);
  EXPECT_NE(two, one);
}

}  // namespace
}  // namespace ecld
