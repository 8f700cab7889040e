// Every verb of both programs, on a tiny checkpoint: exit status, what goes to stdout, what goes to stderr.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/files.h"
#include "core/json.h"
#include "core/version.h"
#include "kernels/cuda/device.h"
#include "tests/checkpoint/gguf/tiny_gguf.h"
#include "tests/cli/program.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class Verbs : public testing::Test {
 protected:
  Verbs() {
    WriteTinyCheckpoint(dir_ / "model", {.vocab_size = kTinyTokens});
    std::ofstream text(dir_ / "text.txt");
    for (int i = 0; i < 300; ++i) text << "line " << i * i << " of the text\n";
  }

  std::string Path(const std::string& name) const { return (dir_ / name).string(); }

  TempDir dir_;
};

TEST(CommandLine, HelpAndVersion) {
  for (const char* program : {"ecld", "ecld-device"}) {
    Outcome version = RunToEnd({program, "--version"});
    EXPECT_EQ(version.status, 0);
    EXPECT_EQ(version.out, fmt::format("{} {}\n", program, kProgramVersion));
    Outcome help = RunToEnd({program, "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_THAT(help.out, HasSubstr("inspect"));
  }
  for (const char* verb :
       {"import", "compress", "export", "validate", "passes", "run", "eval", "profile", "scores", "bench", "inspect"}) {
    Outcome help = RunToEnd({"ecld", verb, "--help"});
    EXPECT_EQ(help.status, 0) << verb;
    EXPECT_THAT(help.out, HasSubstr("Example")) << verb;
    EXPECT_THAT(help.out, HasSubstr("--json")) << verb;
    EXPECT_THAT(help.err, IsEmpty()) << verb;
  }
}

TEST(CommandLine, WhatIsNotUnderstoodIsStatus2) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"ecld"},
           {"ecld", "compres"},
           {"ecld", "inspect"},
           {"ecld", "inspect", "a", "--no-such-flag"},
           {"ecld", "compress", "w4", "--model", "a", "--out", "b", "--memory-budget", "much"}}) {
    Outcome outcome = RunToEnd(arguments);
    EXPECT_EQ(outcome.status, 2) << arguments.back();
    EXPECT_THAT(outcome.err, StartsWith("ecld: error: ")) << arguments.back();
    EXPECT_THAT(outcome.out, IsEmpty());
  }
  EXPECT_EQ(RunToEnd({"ecld-device", "compress"}).status, 2);
}

TEST(CommandLine, TheDeviceProgramHasNoTorch) {
  const std::string program = ReadFile(ProgramPath("ecld-device"));
  EXPECT_EQ(program.find("libtorch"), std::string::npos);
  EXPECT_EQ(program.find("libc10"), std::string::npos);
}

TEST_F(Verbs, ErrorsAreStatus1) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"ecld-device", "inspect", Path("none")},
           {"ecld-device", "eval", Path("model"), "--text", Path("none")},
           {"ecld-device", "run", Path("none"), "--prompt", "x"},
           {"ecld-device", "profile", Path("none"), "--out", Path("profile")},
           {"ecld-device", "bench", Path("none")},
           {"ecld-device", "inspect", Path("model"), "--json", Path("none/x.json")}}) {
    Outcome outcome = RunToEnd(arguments);
    EXPECT_EQ(outcome.status, 1) << arguments[1];
    EXPECT_THAT(outcome.err, StartsWith("ecld-device: error: ")) << arguments[1];
    EXPECT_THAT(outcome.err, HasSubstr("none")) << arguments[1];
    EXPECT_THAT(outcome.out, IsEmpty()) << arguments[1];
  }
  EXPECT_EQ(RunToEnd({"ecld", "import", Path("none.gguf"), "--out", Path("imported")}).status, 1);
  Outcome outcome = RunToEnd({"ecld", "import", Path("none.gguf"), "--out", Path("model")});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("model: exists; choose another output, or --overwrite to replace it"));
}

TEST_F(Verbs, InspectListsWhatIsPassedOverOnce) {
  const std::filesystem::path config = Path("model") + "/config.json";
  const std::string before = ReadTextFile(config);
  Json json = ParseJson(before, "config.json");
  json["favourite_colour"] = "blue";
  WriteJsonFile(config, json);
  const std::string note = "config.json: fields that are not known and passed over: favourite_colour";
  Outcome text = RunToEnd({"ecld-device", "inspect", Path("model"), "--brief"});
  EXPECT_THAT(text.out, HasSubstr("note, " + note + "\n"));
  EXPECT_EQ(text.err.find(note), text.err.rfind(note));
  EXPECT_THAT(text.err, HasSubstr(note));
  Outcome outcome = RunToEnd({"ecld-device", "inspect", Path("model"), "--json", "-"});
  EXPECT_EQ(ParseJson(outcome.out, "stdout")["notes"], Json::array({note}));
  WriteFileAtomically(config, before);
}

TEST_F(Verbs, Inspect) {
  Outcome outcome = RunToEnd({"ecld-device", "inspect", Path("model"), "--json", "-"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json result = ParseJson(outcome.out, "stdout");
  EXPECT_EQ(result["config"]["hidden_size"], 64);
  uint64_t bytes = 0;
  for (const Json& tensor : result["tensors"]) bytes += tensor["bytes"].get<uint64_t>();
  EXPECT_EQ(result["weights_B"], bytes);
  EXPECT_EQ(result["weights_B"], 4 * result["params"].get<uint64_t>());
  uint64_t block_bytes = 0;
  for (const Json& block : result["blocks"]) block_bytes += block["bytes"].get<uint64_t>();
  EXPECT_EQ(block_bytes, bytes);
  EXPECT_EQ(result["blocks"][1]["name"], "layers.0");
  EXPECT_EQ(result["blocks"][1]["sha256"].get<std::string>().size(), 64u);

  Outcome table = RunToEnd({"ecld-device", "inspect", Path("model")});
  EXPECT_THAT(table.out, HasSubstr("model.layers.1.mlp.down_proj.weight"));
  EXPECT_THAT(table.out, HasSubstr("64 x 96"));
  Outcome brief = RunToEnd({"ecld-device", "inspect", Path("model"), "--brief"});
  EXPECT_THAT(brief.out, testing::Not(HasSubstr("down_proj")));
}

TEST_F(Verbs, RunIsRepeatable) {
  const std::vector<std::string> run = {"ecld-device",  "run", Path("model"),   "--plain", "--prompt", "line 1",
                                        "--max-tokens", "12",  "--temperature", "0.9",     "--seed",   "5"};
  Outcome first = RunToEnd(run), second = RunToEnd(run);
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(first.out, second.out);

  Outcome chat = RunToEnd({"ecld-device", "run", Path("model"), "--prompt", "hi", "-n", "4", "--json", "-"});
  ASSERT_EQ(chat.status, 0) << chat.err;
  const Json result = ParseJson(chat.out, "stdout");
  EXPECT_LE(result["tokens"].size(), 4u);
  EXPECT_GT(result["prompt_tok"].get<int64_t>(), 2) << "the chat template adds to the prompt";
  EXPECT_THAT(RunToEnd({"ecld-device", "run", Path("model"), "--top-p", "2", "--prompt", "x"}).err, HasSubstr("top_p"));
  EXPECT_THAT(RunToEnd({"ecld-device", "run", Path("model")}).err, HasSubstr("--prompt: is empty"));
}

TEST_F(Verbs, EvalOfAModelAgainstItself) {
  Outcome outcome = RunToEnd({"ecld-device", "eval", Path("model"), "--text", Path("text.txt"), "--reference",
                              Path("model"), "--window", "64", "--windows", "4", "--json", Path("result.json")});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("perplexity"));
  EXPECT_THAT(outcome.out, HasSubstr("KL to reference"));
  const Json result = ReadJsonFile(dir_ / "result.json");
  EXPECT_EQ(result["schema"], "ecld.eval");
}

TEST_F(Verbs, ImportMakesACheckpoint) {
  TinyGguf().File().Write(dir_ / "tiny.gguf");
  Outcome outcome = RunToEnd({"ecld", "import", Path("tiny.gguf"), "--out", Path("imported"), "--json", "-"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json result = ParseJson(outcome.out, "stdout");
  EXPECT_EQ(result["directory"], Path("imported"));
  EXPECT_EQ(result["weights_B"], 2 * result["params"].get<uint64_t>()) << "bf16";
  Outcome again =
      RunToEnd({"ecld", "import", Path("tiny.gguf"), "--out", Path("imported"), "--dtype", "f32", "--overwrite"});
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(again.out, Path("imported") + "\n");
  EXPECT_THAT(RunToEnd({"ecld-device", "inspect", Path("imported")}).out, HasSubstr("F32"));
}

TEST_F(Verbs, ProfileWritesItsTables) {
  const std::vector<std::string> profile = {"ecld-device", "profile", Path("model"), "--out",         Path("profile"),
                                            "--budget",    "0.2",     "--device-id", "a-small-device"};
  Outcome outcome = RunToEnd(profile);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("phase"));
  EXPECT_THAT(outcome.out, HasSubstr(Path("profile")));
  EXPECT_EQ(ReadJsonFile(dir_ / "profile" / "profile.json")["device"]["id"], "a-small-device");
  EXPECT_TRUE(fs::exists(dir_ / "profile" / "ops.csv"));
  EXPECT_EQ(RunToEnd(profile).status, 0) << "an earlier profile is replaced";
}

TEST_F(Verbs, BenchHasTheTableOfItsPeerAndJson) {
  const std::vector<std::string> bench = {"ecld-device", "bench", Path("model"), "--prompt", "8",  "--generate", "2",
                                          "--depth",     "0,4",   "--batch",     "1,2",      "-r", "1"};
  Outcome table = RunToEnd(bench);
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("| backend | threads |"));
  EXPECT_THAT(table.out, HasSubstr("model (llama, F32)"));
  EXPECT_THAT(table.out, HasSubstr("tg2 B2 @ d4"));
  EXPECT_THAT(table.out, HasSubstr("% of the rate that memory is read at"));
  std::vector<std::string> as_json = bench;
  as_json.insert(as_json.end(), {"--json", "-"});
  Outcome json = RunToEnd(as_json);
  ASSERT_EQ(json.status, 0) << json.err;
  EXPECT_EQ(ParseJson(json.out, "stdout")["models"][0]["tests"].size(), 8u);

  EXPECT_THAT(RunToEnd({"ecld-device", "bench"}).err, HasSubstr("names no checkpoint directory"));
  Outcome long_prompt = RunToEnd({"ecld-device", "bench", Path("model"), "--prompt", "513"});
  EXPECT_EQ(long_prompt.status, 1);
  EXPECT_THAT(long_prompt.err, HasSubstr("test pp513 needs 513 positions, the model has 512"));
  EXPECT_EQ(RunToEnd({"ecld-device", "bench", Path("model"), "--batch", "one"}).status, 2);
}

TEST_F(Verbs, WithoutAGpuNothingRunsOnOne) {
  for (const std::string verb : {"run", "bench"}) {
    Outcome exact = RunToEnd({"ecld-device", verb, Path("model"), "--device", "cuda", "--precision", "exact"});
    EXPECT_EQ(exact.status, 1);
    EXPECT_THAT(exact.err, HasSubstr("--precision: exact is the processor's"));
    Outcome kernel = RunToEnd({"ecld-device", verb, Path("model"), "--device", "cuda", "--kernel", "portable"});
    EXPECT_THAT(kernel.err, HasSubstr("--kernel: names the processor's products; --device cuda has its own"));
    EXPECT_EQ(RunToEnd({"ecld-device", verb, Path("model"), "--device", "tpu"}).status, 2);
    if (FindCudaDevice()) continue;
    Outcome none = RunToEnd({"ecld-device", verb, Path("model"), "--device", "cuda"});
    EXPECT_EQ(none.status, 1);
    EXPECT_THAT(none.err, HasSubstr("cuda: there is no GPU to run on: "));
    EXPECT_THAT(none.out, IsEmpty());
  }
}

TEST_F(Verbs, PassesListsTheTable) {
  Outcome all = RunToEnd({"ecld", "passes"});
  EXPECT_THAT(all.out, HasSubstr("prune.ffn"));
  Outcome one = RunToEnd({"ecld", "passes", "quantize.round"});
  EXPECT_THAT(one.out, HasSubstr("group_size"));
  EXPECT_THAT(one.out, HasSubstr("one of minmax, mse (default minmax)"));
  const Json passes = ParseJson(RunToEnd({"ecld", "passes", "--json", "-"}).out, "stdout")["passes"];
  for (const Json& pass : passes)
    for (const Json& option : pass["options"])
      EXPECT_GT(option["help"].get<std::string>().size(), 10u) << pass["name"] << " " << option["key"];
  EXPECT_THAT(RunToEnd({"ecld", "passes", "quantize.gtpq"}).err, HasSubstr("there is no pass \"quantize.gtpq\""));
}

TEST_F(Verbs, ValidateRecipes) {
  Outcome shipped = RunToEnd({"ecld", "validate", "quickstart"});
  EXPECT_EQ(shipped.status, 0) << shipped.err;
  EXPECT_THAT(shipped.out, HasSubstr("pass: prune.ffn"));
  std::ofstream(dir_ / "bad.yaml") << "version: 1\nstages:\n  - pass: quantize.round\n    bit: 4\n";
  Outcome bad = RunToEnd({"ecld", "validate", Path("bad.yaml")});
  EXPECT_EQ(bad.status, 1);
  EXPECT_THAT(bad.err, HasSubstr("bad.yaml:4: stages[0]: unknown key \"bit\" (did you mean bits?)"));
}

TEST_F(Verbs, ValidateCheckpoints) {
  Outcome good = RunToEnd({"ecld", "validate", Path("model"), "--json", "-"});
  ASSERT_EQ(good.status, 0) << good.err;
  EXPECT_EQ(ParseJson(good.out, "stdout")["kind"], "checkpoint");

  Json index = ReadJsonFile(dir_ / "model" / "model.safetensors.index.json");
  const std::string shard = index["weight_map"]["model.norm.weight"];
  fs::remove(dir_ / "model" / shard);
  Outcome missing = RunToEnd({"ecld", "validate", Path("model")});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.err, HasSubstr(shard));
  EXPECT_THAT(missing.err, HasSubstr("shard is missing"));
}

TEST_F(Verbs, DryRunPlansAndTouchesNothing) {
  Outcome outcome = RunToEnd({"ecld", "compress", "w4", "--model", Path("model"), "--out", Path("out"), "--set",
                              "stages.0.group_size=32", "--dry-run", "--json", "-"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json plan = ParseJson(outcome.out, "stdout");
  EXPECT_EQ(plan["schema"], "ecld.plan");
  EXPECT_LT(plan["stages"][0]["output_B"], plan["stages"][0]["input_B"]);
  EXPECT_FALSE(fs::exists(dir_ / "out"));
  EXPECT_FALSE(fs::exists(dir_ / "out.work"));
  EXPECT_FALSE(fs::exists(dir_ / "out.lock"));

  Outcome wrong = RunToEnd({"ecld", "compress", "w4", "--model", Path("model"), "--out", Path("out"), "--set",
                            "stages.0.bits=five", "--dry-run"});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.err, HasSubstr("--set: stages[0].bits: expected a whole number"));
}

}  // namespace
}  // namespace ecld
