#include "profile/format/profile.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/files.h"
#include "core/hash.h"
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

TEST(DeviceProfile, ATableWithoutRowsStaysAbsent) {
  DeviceProfile profile;
  profile.Add(Table(FindTableSchema("phase", "test")));
  EXPECT_TRUE(profile.tables.empty());
  profile.Add(SmallProfile().At("phase"));
  EXPECT_TRUE(profile.At("phase") == SmallProfile().At("phase"));
  EXPECT_EQ(profile.tables.at("phase").status, TableStatus::kComplete);
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

}  // namespace
}  // namespace ecld
