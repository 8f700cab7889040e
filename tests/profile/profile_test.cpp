#include "profile/profile.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "core/files.h"
#include "core/hash.h"
#include "profile/checks.h"
#include "tests/profile/small_profile.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

std::map<std::string, std::string> Files(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(directory))
    files[entry.path().filename().string()] = ReadTextFile(entry.path());
  return files;
}

void Replace(const fs::path& path, std::string_view from, std::string_view to) {
  std::string text = ReadTextFile(path);
  size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  WriteFileAtomically(path, text.replace(at, from.size(), to));
}

class Written : public testing::Test {
 protected:
  Written() { WriteProfile(directory_, SmallProfile()); }
  fs::path Manifest() const { return directory_ / "profile.json"; }

  TempDir temp_;
  fs::path directory_ = temp_ / "profile";
};

TEST_F(Written, ReadsBackTheSameAndIsWrittenToTheSameBytes) {
  DeviceProfile read = ReadProfile(directory_);
  EXPECT_TRUE(read.At("phase") == SmallProfile().At("phase"));
  EXPECT_TRUE(read.At("layers") == SmallProfile().At("layers"));
  EXPECT_EQ(read.tables.at("layers").status, TableStatus::kComplete);
  EXPECT_EQ(read.variant, SmallProfile().variant);
  WriteProfile(temp_ / "again", read);
  EXPECT_EQ(Files(directory_), Files(temp_ / "again"));
}

TEST_F(Written, AbsentTablesAreNamedAndHaveNoFile) {
  Json json = ReadJsonFile(Manifest());
  EXPECT_EQ(json["tables"]["ops"]["status"], "absent");
  EXPECT_FALSE(fs::exists(directory_ / "ops.csv"));
  EXPECT_ERROR(ReadProfile(directory_).At("ops"), "has no table \"ops\"");
}

TEST_F(Written, ReplacesAnEarlierProfileWhole) {
  DeviceProfile less = SmallProfile();
  less.tables.erase("layers");
  WriteProfile(directory_, less);
  EXPECT_FALSE(fs::exists(directory_ / "layers.csv"));
  EXPECT_FALSE(fs::exists(fs::path(directory_) += ".partial"));
}

TEST_F(Written, UnknownKeysSurvive) {
  Replace(Manifest(), "\"role\": \"ue\"", "\"role\": \"ue\", \"shelf\": 3");
  EXPECT_EQ(ReadProfile(directory_).device["shelf"], 3);
}

TEST_F(Written, AnotherMinorVersionIsReadAnotherMajorIsNot) {
  Replace(Manifest(), "1.3.0", "1.7.2");
  EXPECT_NO_THROW(ReadProfile(directory_));
  Replace(Manifest(), "1.7.2", "2.0.0");
  EXPECT_ERROR(ReadProfile(directory_), "schema_version: version \"2.0.0\" is not known here; 1.x is");
  Replace(Manifest(), "2.0.0", "11.0.0");
  EXPECT_ERROR(ReadProfile(directory_), "version \"11.0.0\" is not known");
}

TEST_F(Written, AnyChangedByteOfATableIsFound) {
  std::string text = ReadTextFile(directory_ / "phase.csv");
  for (size_t at = 0; at < text.size(); at += 29) {
    std::string changed = text;
    changed[at] ^= 1;
    WriteFileAtomically(directory_ / "phase.csv", changed);
    EXPECT_ERROR(ReadProfile(directory_), "phase.csv: its sha256 is");
  }
  WriteFileAtomically(directory_ / "phase.csv", text.substr(0, text.rfind('\n', text.size() - 2) + 1));
  EXPECT_ERROR(ReadProfile(directory_), "phase.csv: its sha256 is");
  fs::remove(directory_ / "phase.csv");
  EXPECT_ERROR(ReadProfile(directory_), "phase.csv");
}

TEST_F(Written, BadManifestsAreRefusedWithTheKey) {
  const std::string good = ReadTextFile(Manifest());
  struct Case {
    std::string from, to, message;
  };
  const Case cases[] = {
      {"ecld.device_profile", "ecld.eval", "profile.json: schema: expected \"ecld.device_profile\""},
      {"\"schema_version\"", "\"version\"", "key \"schema_version\" is missing"},
      {"\"created_utc\"", "\"created\"", "key \"created_utc\" is missing"},
      {"\"mem_capacity_B\": 1000000", "\"mem_capacity_B\": -1",
       "device.mem_capacity_B: expected an integer, 0 or more"},
      {"\"mem_capacity_B\": 1000000", "\"mem_capacity_B\": null", "device.mem_capacity_B: expected an integer"},
      {"\"locked\": false", "\"locked\": \"no\"", "device.clock_state.locked: expected true or false"},
      {"\"n_layers\": 2", "\"n_layers\": 3", "variant.arch.n_head: has 2 elements, one for each of the 3 layers"},
      {"\"n_layers\": 2", "\"n_layers\": -2", "variant.arch"},
      {"\"group\": 32", "\"group\": 1.5", "variant.quant.group: expected an integer"},
      {"\"datasets\": []", "\"datasets\": 1", "provenance.datasets: expected an array"},
      {"\"file\": \"phase.csv\"", "\"file\": \"../phase.csv\"", "tables.phase.file: expected \"phase.csv\""},
      {"\"status\": \"complete\"", "\"status\": \"done\"",
       "status: expected complete, partial or absent, found \"done\""},
      {"\"rows\": 4", "\"rows\": 5", "rows: says 5, "},
      {"\"phase\": {", "\"phases\": {", "no table of this schema is called \"phases\" (did you mean phase?)"},
  };
  for (const Case& bad : cases) {
    WriteFileAtomically(Manifest(), good);
    Replace(Manifest(), bad.from, bad.to);
    EXPECT_ERROR(ReadProfile(directory_), bad.message) << bad.to;
  }
  WriteFileAtomically(Manifest(), good.substr(0, good.size() / 2));
  EXPECT_ERROR(ReadProfile(directory_), "not valid JSON");
}

TEST(WriteProfile, RefusesWhatItWouldNotRead) {
  TempDir temp;
  DeviceProfile profile = SmallProfile();
  profile.device["mem_bw_Bps"] = std::numeric_limits<double>::infinity();
  EXPECT_ERROR(WriteProfile(temp / "p", profile), "device.mem_bw_Bps: expected a finite number");
  profile = SmallProfile();
  profile.variant.erase("params");
  EXPECT_ERROR(WriteProfile(temp / "p", profile), "\"params\" is missing");
  EXPECT_FALSE(fs::exists(temp / "p"));
}

// --- the rules between tables

TEST(CheckProfile, AcceptsTheGoodOne) {
  DeviceProfile profile = SmallProfile();
  CheckProfile(profile);
  EXPECT_EQ(profile.tables.at("layers").status, TableStatus::kComplete);
}

// The four layer rows with these times and weights in place of the good ones.
DeviceProfile WithLayers(double block_ms, int64_t head_weight_B, int64_t kv_B_per_tok) {
  DeviceProfile profile = SmallProfile();
  Table layers(FindTableSchema("layers", "test"));
  AddLayer(layers, "embed", 0.5, 400, 0);
  AddLayer(layers, "0", block_ms, 320, kv_B_per_tok);
  AddLayer(layers, "1", block_ms, 270, kv_B_per_tok);
  AddLayer(layers, "head", 1.25, head_weight_B, 0);
  profile.tables.at("layers").table = layers;
  return profile;
}

TEST(CheckProfile, LayersThatDoNotSumToThePrefillArePartial) {
  // The prefill took 10 ms; embed and head together take 1.75.
  for (auto [block_ms, status] : {std::pair{4.6, TableStatus::kComplete},
                                  {4.7, TableStatus::kPartial},
                                  {3.65, TableStatus::kComplete},
                                  {3.6, TableStatus::kPartial}}) {
    DeviceProfile profile = WithLayers(block_ms, 10, kSmallKvBytesPerTok);
    CheckProfile(profile);
    EXPECT_EQ(profile.tables.at("layers").status, status) << block_ms;
  }
}

TEST(CheckProfile, WeightsAndCacheMustAddUp) {
  DeviceProfile profile = WithLayers(4, 11, kSmallKvBytesPerTok);
  EXPECT_ERROR(CheckProfile(profile),
               "weight_B of the layers (prefill, batch 1, 16 tokens) sums to 1001, "
               "variant.file_B is 1000");
  profile = WithLayers(4, 10, kSmallKvBytesPerTok + 1);
  EXPECT_ERROR(CheckProfile(profile), "phase.csv: row 1: kv_B is 2560, by the layers' kv_B_per_tok it is 2600");
  profile = WithLayers(4, std::numeric_limits<int64_t>::max(), kSmallKvBytesPerTok);
  EXPECT_ERROR(CheckProfile(profile), "does not fit 63 bits");
}

TEST(CheckProfile, AnIncompleteSetOfLayersSaysNothing) {
  DeviceProfile profile = SmallProfile();
  Table layers(FindTableSchema("layers", "test"));
  AddLayer(layers, "0", 100, 1, 1);
  profile.tables.at("layers") = {TableStatus::kPartial, layers};
  EXPECT_NO_THROW(CheckProfile(profile));
}

TEST(CheckProfile, ATableWithoutRowsIsAbsent) {
  DeviceProfile profile = SmallProfile();
  profile.tables.emplace("ops", ProfileTable{TableStatus::kComplete, Table(FindTableSchema("ops", "test"))});
  EXPECT_ERROR(CheckProfile(profile), "ops.csv: has no rows");
  profile = SmallProfile();
  profile.tables.at("phase").status = TableStatus::kAbsent;
  EXPECT_ERROR(CheckProfile(profile), "phase.csv: has rows, and its status is absent");
}

TEST(CheckProfile, QualityLiesInItsInterval) {
  for (double value : {19.9, 22.1}) {
    Table quality(FindTableSchema("quality", "test"));
    quality.AddRow();
    quality.Set("metric", std::string("ppl"));
    quality.Set("value", value);
    quality.Set("ci_lo", 20.0);
    quality.Set("ci_hi", 22.0);
    quality.Set("src", std::string("m"));
    quality.Set("n", int64_t{100});
    DeviceProfile profile = With(SmallProfile(), quality);
    EXPECT_ERROR(CheckProfile(profile), "quality.csv: row 1: value");
  }
}

TEST(CheckProfile, BinsHoldEveryAnswerOnce) {
  Table bins = SmallProfile().At("uncertainty");
  AddBin(bins, 0.5, 0.6, 1, 0.5);
  DeviceProfile profile = With(SmallProfile(), bins);
  EXPECT_ERROR(CheckProfile(profile),
               "uncertainty.csv: the bins of quiz, mean, hold 4 answers, uncertainty_items.csv has 3");
  Table items = SmallProfile().At("uncertainty_items");
  AddItem(items, "other quiz/1", 0.5);
  profile = With(SmallProfile(), items);
  EXPECT_NO_THROW(CheckProfile(profile)) << "an answer to another task";
}

TEST(CheckProfile, TheAccuracyOfABinLiesInItsInterval) {
  for (double accuracy : {0.2, 0.96}) {
    Table bins(FindTableSchema("uncertainty", "test"));
    AddBin(bins, 0, 1, 3, accuracy);
    DeviceProfile profile = With(SmallProfile(), bins);
    EXPECT_ERROR(CheckProfile(profile), "uncertainty.csv: row 1: acc");
  }
}

TEST(CheckProfile, SharesAreAtMostOne) {
  Table items = SmallProfile().At("uncertainty_items");
  AddItem(items, "quiz/3", 1.5);
  DeviceProfile profile = With(SmallProfile(), items);
  EXPECT_ERROR(CheckProfile(profile), "uncertainty_items.csv: row 4: a_mean is 1.5, a share is at most 1");
  Table bins = SmallProfile().At("uncertainty");
  bins.Set("halluc_rate", 1.25);
  profile = With(SmallProfile(), bins);
  EXPECT_ERROR(CheckProfile(profile), "uncertainty.csv: row 2: halluc_rate is 1.25");
  Table planner(FindTableSchema("planner", "test"));
  planner.AddRow();
  planner.Set("acc", 2.0);
  profile = With(SmallProfile(), planner);
  EXPECT_ERROR(CheckProfile(profile), "planner.csv: row 1: acc is 2");
}

TEST(CheckProfile, ACutSendsWhatItsShapeSays) {
  struct Case {
    int64_t cut;
    const char* dtype;
    int64_t up_B;
    std::string message;
  };
  for (const Case& bad : {Case{0, "f16", 25, "up_B is 25, by its shape it is 24"},
                          {1, "f16", 192, "up_B is 192, by its shape it is 96"},
                          {2, "f32", 4, "up_B is 4, by its shape it is 0"},
                          {3, "f32", 0, "cut: one of 0 to 2, the layers"}}) {
    Table cuts = SmallProfile().At("cuts");
    AddCut(cuts, bad.cut, bad.dtype, bad.up_B);
    DeviceProfile profile = With(SmallProfile(), cuts);
    EXPECT_ERROR(CheckProfile(profile), "cuts.csv: row 5: " + bad.message);
  }
  Table cuts = SmallProfile().At("cuts");
  AddCut(cuts, 1, "f32", 7);
  cuts.Set("quant_scheme", std::string("int8 with a scale per row"));
  DeviceProfile profile = With(SmallProfile(), cuts);
  EXPECT_NO_THROW(CheckProfile(profile)) << "scales have no formula here";
}

TEST(CheckProfile, DamageIsDoneBetweenTwoBlocks) {
  const auto with = [](int64_t cut, double level, double ratio, double acc) {
    Table splits(FindTableSchema("split_quality", "test"));
    splits.AddRow();
    splits.Set("cut", cut);
    splits.Set("corruption", std::string("dropout"));
    splits.Set("level", level);
    splits.Set("ppl_ratio", ratio);
    splits.Set("ci_lo", 1.1);
    splits.Set("ci_hi", 1.3);
    splits.Set("acc", acc);
    splits.Set("n", int64_t{10});
    splits.Set("src", std::string("m"));
    return With(SmallProfile(), splits);
  };
  DeviceProfile profile = with(1, 0.1, 1.2, 0.5);
  EXPECT_NO_THROW(CheckProfile(profile));
  for (int64_t cut : {0, 2}) {
    profile = with(cut, 0.1, 1.2, 0.5);
    EXPECT_ERROR(CheckProfile(profile), fmt::format("split_quality.csv: row 1: cut is {}; blocks stand on both", cut));
  }
  profile = with(1, 1.5, 1.2, 0.5);
  EXPECT_ERROR(CheckProfile(profile), "split_quality.csv: row 1: level is 1.5, a probability is at most 1");
  profile = with(1, 0.1, 1.4, 0.5);
  EXPECT_ERROR(CheckProfile(profile), "split_quality.csv: row 1: ppl_ratio 1.4 lies outside its interval");
  profile = with(1, 0.1, 1.2, 1.5);
  EXPECT_ERROR(CheckProfile(profile), "split_quality.csv: row 1: acc is 1.5");
}

TEST(CheckProfile, EnergyIsPowerTimesTime) {
  const auto with = [](double prefill_J, int64_t idle_sub_J) {
    Table phase = SmallProfile().At("phase");  // the last row: batch 4, 4 tokens generated
    phase.Set("e2e_ms", 500.0);
    phase.Set("avg_W", 10.0);  // 5 J
    phase.Set("prefill_J", prefill_J);
    phase.Set("decode_J_per_tok", 0.25);  // 4 J
    phase.Set("idle_sub_J", idle_sub_J);
    return With(SmallProfile(), phase);
  };
  for (double prefill_J : {1.0, 1.24, 0.76}) {
    DeviceProfile profile = with(prefill_J, 0);
    EXPECT_NO_THROW(CheckProfile(profile));
  }
  for (double prefill_J : {1.26, 0.74}) {
    DeviceProfile profile = with(prefill_J, 0);
    EXPECT_ERROR(CheckProfile(profile), "phase.csv: row 4: prefill and decoding take");
    profile = with(prefill_J, 1);
    EXPECT_NO_THROW(CheckProfile(profile)) << "idle power was taken off";
  }
}

TEST(CheckProfile, NothingWasMeasuredWhereMemoryRanOut) {
  DeviceProfile profile = SmallProfile();  // most tokens: 4 * (64 + 4)
  profile.limits["oom_at"] = 273;
  EXPECT_NO_THROW(CheckProfile(profile));
  profile.limits["oom_at"] = 272;
  EXPECT_ERROR(CheckProfile(profile), "phase.csv: row 4: keeps 272 tokens, and memory ran out at limits.oom_at = 272");
}

}  // namespace
}  // namespace ecld
