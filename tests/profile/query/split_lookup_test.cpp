#include "profile/query/split_lookup.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/profile/small_profile.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

// A model of two layers whose time is bilinear in the logarithms, so that what is between the points is exact.
double LayerMs(double weight, double length, double batch) {
  return weight * (1 + std::log(length)) * (1 + std::log(batch));
}

void AddLayerTimes(const char* layer, double weight, Table* layers) {
  for (int64_t batch : {1, 4})
    for (int64_t length : {16, 256})
      for (const char* phase : {"prefill", "decode"}) {
        const bool prefill = phase[0] == 'p';
        layers->AddRow();
        layers->Set("layer", std::string(layer));
        layers->Set("phase", std::string(phase));
        layers->Set("batch", batch);
        layers->Set("tok", prefill ? length : int64_t{1});
        layers->Set("ctx_tok", prefill ? int64_t{0} : length);
        layers->Set("ms", LayerMs(prefill ? weight : weight / 8, double(length), double(batch)));
        layers->Set("src", std::string("m"));
        layers->Set("n", int64_t{3});
      }
}

DeviceProfile TwoLayers() {
  Table layers(FindTableSchema("layers", "test"));
  AddLayerTimes("embed", 0.5, &layers);
  AddLayerTimes("0", 3, &layers);
  AddLayerTimes("1", 4, &layers);
  AddLayerTimes("head", 2, &layers);
  return With(SmallProfile(), layers);
}

TEST(LookUpLayer, IsBilinearAndKnowsThePhases) {
  const DeviceProfile profile = TwoLayers();
  const Table& layers = profile.At("layers");
  const Estimate point = LookUpLayer(layers, "ms", "0", Phase::kPrefill, 16, 4);
  EXPECT_EQ(point.value, LayerMs(3, 16, 4));
  EXPECT_EQ(point.src, 'm');
  const Estimate between = LookUpLayer(layers, "ms", "1", Phase::kDecode, 64, 2);
  EXPECT_TRUE(Near(std::array{between.value}, std::array{LayerMs(0.5, 64, 2)}, Relative(1e-12)));
  EXPECT_EQ(between.src, 'i');
  EXPECT_FALSE(LookUpLayer(layers, "ms", "0", Phase::kPrefill, 512, 1).in_range);
  EXPECT_FALSE(LookUpLayer(layers, "ms", "7", Phase::kPrefill, 16, 1).in_range);
  EXPECT_FALSE(LookUpLayer(layers, "J", "0", Phase::kPrefill, 16, 1).in_range) << "not measured";
  EXPECT_ERROR(LookUpLayer(layers, "time", "0", Phase::kPrefill, 16, 1), "has no column of numbers \"time\"");
  EXPECT_ERROR(LookUpLayer(layers, "ms", "0", Phase::kPrefill, 0.5, 1), "must be numbers of 1 or more");
}

TEST(LookUpPart, TheTwoSidesOfEveryCutAreTheWhole) {
  const DeviceProfile profile = TwoLayers();
  const auto part = [&](int64_t from, int64_t to) {
    return LookUpPart(profile, "ms", from, to, Phase::kPrefill, 100, 3).value;
  };
  for (int64_t cut = 0; cut <= 2; ++cut)
    EXPECT_TRUE(
        Near(std::array{part(0, cut) + part(cut, 2)}, std::array{LayerMs(0.5 + 3 + 4 + 2, 100, 3)}, Relative(1e-12)));
  EXPECT_TRUE(Near(std::array{part(0, 1)}, std::array{LayerMs(0.5 + 3, 100, 3)}, Relative(1e-12)));
  EXPECT_EQ(part(1, 1), 0);
  const Estimate beyond = LookUpPart(profile, "ms", 0, 2, Phase::kPrefill, 1e4, 1);
  EXPECT_FALSE(beyond.in_range);
  EXPECT_TRUE(std::isnan(beyond.value));
  EXPECT_ERROR(part(2, 1), "cuts 2 and 1 must lie in order between 0 and 2");
  EXPECT_ERROR(part(0, 3), "cuts 0 and 3 must lie in order between 0 and 2");
}

TEST(LookUpCut, IsExactForWhatIsCounted) {
  Table cuts(FindTableSchema("cuts", "test"));
  for (const auto& [cut, dtype, row_B] :
       {std::tuple{int64_t{0}, "", 4}, {int64_t{1}, "f16", 16}, {int64_t{1}, "f32", 32}})
    for (int64_t batch : {1, 8})
      for (int64_t tok : {1, 512}) {
        cuts.AddRow();
        cuts.Set("cut", cut);
        cuts.Set("batch", batch);
        cuts.Set("tok", tok);
        if (*dtype != '\0') cuts.Set("dtype", std::string(dtype));
        cuts.Set("up_B", batch * tok * row_B);
        cuts.Set("src", std::string("r"));
        cuts.Set("n", int64_t{1});
      }
  EXPECT_DOUBLE_EQ(LookUpCut(cuts, "up_B", 1, "f16", 100, 3).value, 3 * 100 * 16);
  EXPECT_DOUBLE_EQ(LookUpCut(cuts, "up_B", 1, "f32", 7, 8).value, 7 * 8 * 32);
  EXPECT_DOUBLE_EQ(LookUpCut(cuts, "up_B", 0, "f16", 100, 3).value, 3 * 100 * 4) << "ids have no type";
  EXPECT_EQ(LookUpCut(cuts, "up_B", 1, "f16", 512, 8).src, 'r');
  EXPECT_FALSE(LookUpCut(cuts, "up_B", 1, "bf16", 100, 3).in_range);
  EXPECT_FALSE(LookUpCut(cuts, "up_B", 2, "f16", 100, 3).in_range);
}

TEST(LookUpSplitQuality, IsLinearBetweenCutsAndLevels) {
  Table split(FindTableSchema("split_quality", "test"));
  for (int64_t cut : {1, 5})
    for (double level : {0.1, 0.3}) {
      split.AddRow();
      split.Set("cut", cut);
      split.Set("corruption", std::string("dropout"));
      split.Set("level", level);
      split.Set("ppl", 10.0);
      split.Set("ppl_ratio", 1 + double(cut) * level);
      split.Set("src", std::string("m"));
      split.Set("n", int64_t{9});
    }
  EXPECT_DOUBLE_EQ(LookUpSplitQuality(split, "ppl_ratio", 2, "dropout", 0.15).value, 1 + 2 * 0.15);
  EXPECT_EQ(LookUpSplitQuality(split, "ppl_ratio", 5, "dropout", 0.3).src, 'm');
  EXPECT_FALSE(LookUpSplitQuality(split, "ppl_ratio", 6, "dropout", 0.15).in_range);
  EXPECT_FALSE(LookUpSplitQuality(split, "ppl_ratio", 2, "awgn", 0.15).in_range);
}

}  // namespace
}  // namespace ecld
