// What recipes leave alone is stored and sent once: four variants of one model from `compress`, by `inspect` to a
// scenario that asks what a server keeps, and its page.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/files.h"
#include "core/json.h"
#include "tests/cli/program.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using testing::HasSubstr;

class OffloadCache : public testing::Test {
 protected:
  void SetUp() override {
    WriteTinyCheckpoint(dir_ / "dense", {.dtype = DType::kBF16, .tied = true});
    std::string text;
    for (int i = 0; i < 300; ++i) text += fmt::format("the other line {} of the text\n", i * i);
    WriteFileAtomically(dir_ / "text.txt", text);
    const std::string cut = "\n  - {pass: prune.vocab, tokens: 272, multiple_of: 8}";
    const auto rounded = [](int bits) {
      return fmt::format("\n  - {{pass: quantize.round, bits: {}, group_size: 32}}", bits);
    };
    Compress("w8", rounded(8));
    Compress("vocab", cut);
    Compress("vocab-w8", cut + rounded(8));
    for (const char* name : kNames) {
      const Outcome inspected = RunToEnd({"ecld-device", "inspect", Path(name), "--json", Path(name) + ".json"});
      ASSERT_EQ(inspected.status, 0) << inspected.err;
    }
  }

  std::string Path(const std::string& name) const { return (dir_ / name).string(); }
  void Compress(const char* name, const std::string& stages) const {
    WriteFileAtomically(dir_ / "recipe.yaml",
                        "version: 1\ncalibration: {windows: 4, window_tok: 64}\nstages:" + stages + "\n");
    const Outcome done = RunToEnd({"ecld", "compress", Path("recipe.yaml"), "--model", Path("dense"), "--out",
                                   Path(name), "--calibration", Path("text.txt")});
    ASSERT_EQ(done.status, 0) << done.err;
  }
  // Of each block by its name.
  std::map<std::string, std::string> Hashes(const std::string& name) const {
    std::map<std::string, std::string> hashes;
    const Json inspected = ReadJsonFile(Path(name) + ".json");
    for (const Json& block : inspected["blocks"]) hashes[block["name"]] = block["sha256"];
    return hashes;
  }

  static constexpr const char* kNames[] = {"dense", "w8", "vocab", "vocab-w8"};
  TempDir dir_;
};

TEST_F(OffloadCache, VariantsShareWhatTheirRecipesLeftAlone) {
  auto dense = Hashes("dense"), w8 = Hashes("w8"), vocab = Hashes("vocab"), both = Hashes("vocab-w8");
  EXPECT_EQ(dense["embedding"], w8["embedding"]);
  EXPECT_EQ(vocab["embedding"], both["embedding"]);
  EXPECT_NE(dense["embedding"], vocab["embedding"]);
  EXPECT_EQ(dense["layers.1"], vocab["layers.1"]);
  EXPECT_EQ(w8["layers.1"], both["layers.1"]);
  EXPECT_NE(dense["layers.1"], w8["layers.1"]);
  EXPECT_EQ(dense["head"], both["head"]) << "the final norm";

  std::string scenario = "version: 1\nquestion: cache\nname: tiny\nreplications: 3\nhorizon_s: 2000\nvariants:\n";
  for (const char* name : kNames) scenario += fmt::format("  - {{name: {}, inspect: {}.json}}\n", name, Path(name));
  scenario +=
      "server: {storage_MB: 0.3, backhaul_Mbps: 1}\ndevices: {storage_MB: 1, rate_per_s: 0.1}\n"
      "network: {kind: constant, up_Mbps: 1, down_Mbps: 1, rtt_ms: 10}\n";
  WriteFileAtomically(dir_ / "cache.yaml", scenario);
  const Outcome compared =
      RunToEnd({"ecld-device", "offload", "compare", Path("cache.yaml"), "--json", Path("compared.json")});
  ASSERT_EQ(compared.status, 0) << compared.err;
  uint64_t separate = 0;
  for (const char* name : kNames) separate += ReadJsonFile(Path(name) + ".json")["weights_B"].get<uint64_t>();
  const std::string found = ReadJsonFile(Path("compared.json"))["findings"][0];
  EXPECT_THAT(found, HasSubstr(fmt::format("4 variants of {:.1f} kB one by one", static_cast<double>(separate) / 1e3)));
  const Outcome swept = RunToEnd({"ecld-device", "offload", "sweep", Path("cache.yaml"), "--over", "server.storage_MB",
                                  "--values", "0.1,0.2,0.4", "--json", Path("swept.json")});
  ASSERT_EQ(swept.status, 0) << swept.err;
  const Outcome reported =
      RunToEnd({"ecld-device", "report", Path("compared.json"), Path("swept.json"), "--out", Path("page.html")});
  ASSERT_EQ(reported.status, 0) << reported.err;
  const std::string html = ReadFile(Path("page.html"));
  for (const char* title : {"time to deliver against share of hits: tiny", "hits over server.storage_MB: tiny",
                            "hits expected over the server&#39;s storage: tiny", "4 variants of"})
    EXPECT_THAT(html, HasSubstr(title));
}

}  // namespace
}  // namespace ecld
