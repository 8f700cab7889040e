#include "profiler/split_quality.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "core/files.h"
#include "eval/perplexity.h"
#include "profiler/profile_device.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

constexpr int64_t kWidth = 1000, kRows = 20;

std::vector<float> SomeStates() {
  Random random(3);
  std::vector<float> states(kWidth * kRows);
  for (float& value : states) value = HalfToFloat(FloatToHalf(static_cast<float>(4 * random.Normal())));
  return states;
}

std::vector<float> Received(Corruption corruption, double level, uint64_t seed = 1) {
  std::vector<float> states = SomeStates();
  CorruptingChannel(corruption, level, seed).Pass(states, kWidth);
  return states;
}

TEST(CorruptingChannel, LosesElementsWithTheProbabilityGiven) {
  const std::vector<float> sent = SomeStates(), received = Received(Corruption::kDropout, 0.3);
  int64_t lost = 0;
  for (size_t i = 0; i < sent.size(); ++i) {
    lost += received[i] != sent[i];
    ASSERT_TRUE(received[i] == sent[i] || received[i] == 0) << i;
  }
  EXPECT_NEAR(static_cast<double>(lost) / static_cast<double>(sent.size()), 0.3, 0.015);
  EXPECT_EQ(Received(Corruption::kDropout, 0), sent);
  EXPECT_EQ(Received(Corruption::kDropout, 0.3), received) << "the same seed";
  EXPECT_NE(Received(Corruption::kDropout, 0.3, 2), received);
}

TEST(CorruptingChannel, NoiseIsAsLoudAsItsRow) {
  std::vector<float> states = SomeStates();
  for (size_t i = 0; i < kWidth; ++i) states[i] *= 100;  // the first row
  std::vector<float> received = states;
  CorruptingChannel(Corruption::kAwgn, 0.1, 1).Pass(received, kWidth);
  for (size_t row = 0; row < kRows; ++row) {
    double signal = 0, noise = 0;
    for (size_t i = row * kWidth; i < (row + 1) * kWidth; ++i) {
      signal += std::pow(states[i], 2);
      noise += std::pow(received[i] - states[i], 2);
    }
    EXPECT_NEAR(std::sqrt(noise / signal), 0.1, 0.015) << "row " << row;
  }
}

TEST(CorruptingChannel, TurnsBitsOfHalves) {
  const std::vector<float> sent = SomeStates(), received = Received(Corruption::kBitflip, 0.01);
  int64_t turned = 0;
  std::array<int64_t, 16> by_bit{};
  for (size_t i = 0; i < sent.size(); ++i) {
    ASSERT_TRUE(std::isfinite(received[i]));
    const int difference = FloatToHalf(sent[i]) ^ FloatToHalf(received[i]);
    if (received[i] == 0) continue;  // may stand for what was not finite
    for (size_t bit = 0; bit < 16; ++bit) by_bit[bit] += difference >> bit & 1;
    turned += std::popcount(static_cast<unsigned>(difference));
  }
  EXPECT_NEAR(static_cast<double>(turned) / (16.0 * kWidth * kRows), 0.01, 0.001);
  for (int64_t of_bit : by_bit) EXPECT_GT(of_bit, 100) << "every bit turns";
  EXPECT_EQ(Received(Corruption::kBitflip, 0), sent);
  for (float value : Received(Corruption::kBitflip, 1)) ASSERT_TRUE(std::isfinite(value));
}

TEST(CorruptingChannel, FewerBitsHaveFewValues) {
  const std::vector<float> sent = SomeStates();
  for (auto [corruption, steps] : {std::pair{Corruption::kQuant4, 7}, {Corruption::kQuant8, 127}})
    for (size_t group : {size_t{0}, size_t{32}}) {
      const std::vector<float> received = Received(corruption, static_cast<double>(group));
      const size_t size = group == 0 ? kWidth : group;
      for (size_t row = 0; row < kRows; ++row)
        for (size_t at = 0; at < kWidth; at += size) {
          float largest = 0;
          const size_t begin = row * kWidth + at, end = std::min(begin + size, (row + 1) * kWidth);
          for (size_t i = begin; i < end; ++i) largest = std::max(largest, std::abs(sent[i]));
          const float step = largest / static_cast<float>(steps);
          for (size_t i = begin; i < end; ++i) {
            ASSERT_LE(std::abs(received[i] - sent[i]), 0.501f * step) << i;
            ASSERT_NEAR(received[i] / step, std::round(received[i] / step), 1e-4) << i;
          }
        }
    }
}

TEST(SplitGrid, CutsLieBetweenBlocks) {
  EXPECT_EQ(GridOfSplits(32, false).cuts, (std::vector<int64_t>{8, 16, 24}));
  EXPECT_EQ(GridOfSplits(10, true).cuts, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(GridOfSplits(2, true).cuts, (std::vector<int64_t>{1}));
  EXPECT_TRUE(GridOfSplits(1, true).cuts.empty());
  const std::vector<Damage> damages = GridOfSplits(32, true).damages;
  EXPECT_EQ(std::ranges::count(damages, Corruption::kDropout, &Damage::corruption), 8);
  for (bool full : {true, false}) {
    std::set<Corruption> kinds;
    for (const Damage& damage : GridOfSplits(32, full).damages) kinds.insert(damage.corruption);
    EXPECT_EQ(kinds.size(), std::size(kCorruptions));
  }
}

class SplitQualityTest : public testing::Test {
 protected:
  SplitQualityTest() {
    WriteTinyCheckpoint(temp_ / "model", {.num_layers = 4, .max_position = 32});
    std::string text;
    for (int i = 0; i < 40; ++i) text += "the cat sat on the mat. ";
    WriteFileAtomically(temp_ / "text.txt", text);
  }

  TempDir temp_;
  ThreadPool pool_{2};
};

TEST_F(SplitQualityTest, DamageCostsWhatItCostsAndNoDamageNothing) {
  const RuntimeModel model(Checkpoint::Open(temp_ / "model"));
  Session session(model, pool_);
  const SplitText text = ReadSplitText(model.checkpoint(), temp_ / "text.txt", 3);
  ASSERT_EQ(text.windows.size(), 3u);
  const double clean = Perplexity(session, text.ids, text.windows).Perplexity();
  const SplitGrid grid = {.cuts = {1, 3},
                          .damages = {{Corruption::kDropout, 0}, {Corruption::kDropout, 1}, {Corruption::kAwgn, 0.3}}};
  const Table table = MeasureSplitQuality(session, text, grid, 1).table;
  ASSERT_EQ(table.rows().size(), 6u);
  for (size_t row = 0; row < 6; ++row) {
    const double ratio = *table.Number(row, "ppl_ratio");
    EXPECT_EQ(*table.Count(row, "cut"), row < 3 ? 1 : 3);
    EXPECT_NEAR(*table.Number(row, "ppl") / clean, ratio, 1e-9);
    EXPECT_LE(*table.Number(row, "ci_lo"), ratio);
    EXPECT_GE(*table.Number(row, "ci_hi"), ratio);
    if (row % 3 == 0) {
      EXPECT_NEAR(ratio, 1, 1e-6) << "nothing was lost";
    } else {
      EXPECT_GT(std::abs(ratio - 1), 1e-3);
    }
  }
  EXPECT_NEAR(Perplexity(session, text.ids, text.windows).Perplexity(), clean, 1e-9) << "the channel is gone again";
}

TEST_F(SplitQualityTest, TheChannelStandsBeforeTheBlockOfTheCut) {
  class Watcher final : public HiddenChannel {
   public:
    void Pass(std::span<float> hidden, int64_t width) override {
      seen.assign(hidden.begin(), hidden.end());
      EXPECT_EQ(width, 64);
    }
    std::vector<float> seen;
  };
  const RuntimeModel model(Checkpoint::Open(temp_ / "model"));
  Session session(model, pool_);
  const std::vector<int32_t> tokens = {5, 9, 33, 7};
  std::map<int64_t, std::vector<float>> at;
  for (int64_t cut = 0; cut < 4; ++cut) {
    Watcher watcher;
    session.set_channel(cut, &watcher);
    KvCache cache(model);
    session.Forward({{&cache, tokens}});
    at[cut] = watcher.seen;
    ASSERT_EQ(at[cut].size(), 4u * 64);
  }
  // A model of the first blocks alone hands out what stands at the cut.
  for (int64_t cut = 1; cut < 4; ++cut) {
    WriteTinyCheckpoint(temp_ / "short", {.num_layers = 4, .max_position = 32});
    Json config = ReadJsonFile(temp_ / "short" / "config.json");
    config["num_hidden_layers"] = cut;
    WriteJsonFile(temp_ / "short" / "config.json", config);
    const RuntimeModel first(Checkpoint::Open(temp_ / "short"));
    Session short_session(first, pool_);
    KvCache cache(first);
    const std::span<const float> hidden = short_session.Forward({{&cache, tokens}});
    EXPECT_EQ(std::vector<float>(hidden.begin(), hidden.end()), at[cut]) << "cut " << cut;
    std::filesystem::remove_all(temp_ / "short");
  }
}

TEST_F(SplitQualityTest, AProfileHasTheTableWhereATextIsGiven) {
  ProfileOptions options{.model = temp_ / "model", .out = temp_ / "profile"};
  options.budget_s = 0.01;
  options.split_text = temp_ / "text.txt";
  options.split_windows = 2;
  const DeviceProfile profile = MeasureProfile(options);
  const Table& splits = profile.At("split_quality");
  EXPECT_EQ(splits.rows().size(), 3u * 9);
  EXPECT_EQ(*splits.Count(0, "n"), 2 * 31);
  EXPECT_EQ(profile.provenance["split_text"]["windows"], 2);
  EXPECT_EQ(profile.provenance["split_text"]["file"], "text.txt");

  options.split_full = true;
  EXPECT_EQ(MeasureProfile(options).At("split_quality").rows().size(), 3u * 22);

  options.split_text = temp_ / "nothing.txt";
  EXPECT_ERROR(MeasureProfile(options), "nothing.txt");
  WriteTinyCheckpoint(temp_ / "one", {.num_layers = 1});
  options = {.model = temp_ / "one", .out = temp_ / "profile"};
  options.split_text = temp_ / "text.txt";
  EXPECT_ERROR(MeasureProfile(options), "one: has one block; it cannot be cut between two");
}

}  // namespace
}  // namespace ecld
