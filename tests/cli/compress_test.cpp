// `ecld compress` as a user meets it: killed, interrupted, started twice, out of disk. The weights it ends with are
// always the same.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <fstream>
#include <map>

#include "core/files.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/random.h"
#include "tests/cli/program.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

// One of each pass; long enough to be hit in every stage.
constexpr char kRecipe[] = R"(version: 1
calibration: {windows: 8, window_tok: 64}
stages:
  - {pass: prune.vocab, tokens: 270, multiple_of: 2}
  - {pass: prune.heads, kv_heads: 1}
  - {pass: distill.blocks, epochs: 2, batch_windows: 2}
  - {pass: prune.layers, remove: 1}
  - {pass: prune.ffn, ratio: 0.25, multiple_of: 32, ratios: chosen, rounds: 1}
  - {pass: distill.logits, epochs: 4, batch_windows: 2}
  - {pass: quantize.allocate, bits_per_weight: 8}
  - {pass: quantize.gptq, output: kl}
  - {pass: distill.quantized, epochs: 4, batch_windows: 2}
)";

class Compress : public testing::Test {
 protected:
  Compress() {
    WriteTinyCheckpoint(dir_ / "model", {.intermediate_size = 256, .num_layers = 4});
    std::ofstream(dir_ / "recipe.yaml") << kRecipe;
    std::ofstream text(dir_ / "text.txt");
    for (int i = 0; i < 2000; ++i) text << "line " << i * i << " of the text\n";
  }

  std::vector<std::string> Command(const fs::path& out) const {
    return {
        "ecld",       "compress",      (dir_ / "recipe.yaml").string(), "--model", (dir_ / "model").string(), "--out",
        out.string(), "--calibration", (dir_ / "text.txt").string()};
  }

  // What a kill may not change: every file but the report, which holds times.
  static std::map<std::string, std::string> Hashes(const fs::path& out) {
    std::map<std::string, std::string> hashes;
    for (const auto& entry : fs::directory_iterator(out))
      if (entry.path().filename() != "report.json") hashes[entry.path().filename()] = Sha256HexOfFile(entry.path());
    return hashes;
  }

  TempDir dir_;
};

TEST_F(Compress, KilledAtTenRandomPointsItEndsInTheSameWeights) {
  const auto start = Clock::now();
  Outcome whole = RunToEnd(Command(dir_ / "whole"));
  ASSERT_EQ(whole.status, 0) << whole.err;
  const double whole_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  const auto expected = Hashes(dir_ / "whole");
  ASSERT_GT(expected.size(), 4u);

  Random random(42);
  int killed = 0;
  for (int point = 0; point < 10; ++point) {
    const fs::path out = dir_ / fmt::format("killed-{}", point);
    {
      Program run(Command(out));
      std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(random.Uniform() * whole_ms));
      run.Signal(SIGKILL);
      if (run.Wait().status == 128 + SIGKILL) ++killed;
    }
    Outcome resumed = RunToEnd(Command(out));
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(Hashes(out), expected) << "killed at point " << point;
    EXPECT_FALSE(fs::exists(out.string() + ".work"));
    fs::remove_all(out);
  }
  EXPECT_GT(killed, 0) << "no kill came before the end";
}

TEST_F(Compress, AKillBeforeTheFirstJournalIsNoObstacle) {
  fs::create_directories(dir_ / "out.work");
  std::ofstream(dir_ / "out.work" / "journal.json.tmp") << "{\"sche";
  Outcome outcome = RunToEnd(Command(dir_ / "out"));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_FALSE(fs::exists(dir_ / "out.work"));
}

TEST_F(Compress, InterruptedItSaysHowToGoOn) {
  Program run(Command(dir_ / "out"));
  AwaitFile(dir_ / "out.work" / "journal.json");
  run.Signal(SIGINT);
  Outcome interrupted = run.Wait();
  EXPECT_EQ(interrupted.status, 130);
  EXPECT_THAT(interrupted.err, HasSubstr("interrupted; the same command resumes"));
  EXPECT_FALSE(fs::exists(dir_ / "out"));

  std::ofstream(dir_ / "recipe.yaml") << kRecipe << "seed: 8\n";
  Outcome changed = RunToEnd(Command(dir_ / "out"));
  EXPECT_EQ(changed.status, 1);
  EXPECT_THAT(changed.err, HasSubstr("holds an unfinished run, and since then the recipe changed"));

  std::ofstream(dir_ / "recipe.yaml") << kRecipe;
  Outcome resumed = RunToEnd(Command(dir_ / "out"));
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("resuming"));
  Outcome again = RunToEnd(Command(dir_ / "out"));
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("was finished already"));
}

TEST_F(Compress, ASecondRunOnABusyOutputIsRefused) {
  Program run(Command(dir_ / "out"));
  AwaitFile(dir_ / "out.work" / "journal.json");
  run.Signal(SIGSTOP);
  Outcome second = RunToEnd(Command(dir_ / "out"));
  run.Signal(SIGCONT);
  EXPECT_EQ(second.status, 1);
  EXPECT_THAT(second.err, HasSubstr("is in use by another run"));
  EXPECT_EQ(run.Wait().status, 0);
}

TEST_F(Compress, StatisticsAreKeptWhereTheUserSaysAndNowhereElse) {
  std::ofstream(dir_ / "recipe.yaml") << "version: 1\ncalibration: {windows: 4, window_tok: 32}\n"
                                         "stages: [{pass: quantize.gptq, bits: 3, group_size: 32, output: kl}]\n";
  std::vector<std::string> command = Command(dir_ / "out");
  const Outcome without = RunToEnd(command);
  ASSERT_EQ(without.status, 0) << without.err;
  EXPECT_THAT(without.err, HasSubstr("gradients: "));
  const auto expected = Hashes(dir_ / "out");
  command.insert(command.end(), {"--statistics", (dir_ / "kept").string(), "--overwrite", "--restart"});
  for (const char* out : {"first", "second"}) {
    command[6] = (dir_ / out).string();
    const Outcome outcome = RunToEnd(command);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(Hashes(dir_ / out), expected);
    EXPECT_EQ(outcome.err.find("gradients: ") == std::string::npos, std::string(out) == "second") << outcome.err;
    EXPECT_FALSE(fs::exists(dir_ / (std::string(out) + ".work")));
  }
  EXPECT_FALSE(fs::is_empty(dir_ / "kept"));
  std::vector<std::string> staged = Command(dir_ / "staged");
  staged.emplace_back("--keep-stages");
  ASSERT_EQ(RunToEnd(staged).status, 0);
  for (const auto& entry : fs::directory_iterator(dir_ / "staged.stages"))
    EXPECT_TRUE(fs::exists(entry.path() / "config.json")) << entry.path();
  EXPECT_FALSE(fs::exists(dir_ / "model" / "statistics"));
}

// The weights say what was calibrated on.
TEST_F(Compress, CalibrationTakesTextsOfSeveralFormsAndEncodings) {
  std::ofstream(dir_ / "recipe.yaml") << "version: 1\ncalibration: {windows: 4, window_tok: 32}\n"
                                         "stages: [{pass: quantize.gptq, bits: 4, group_size: 32}]\n";
  const auto run = [&](const std::string& out, const std::vector<std::string>& calibration, bool dry = false) {
    std::vector<std::string> command = {
        "ecld",  "compress",           (dir_ / "recipe.yaml").string(), "--model", (dir_ / "model").string(),
        "--out", (dir_ / out).string()};
    for (const std::string& file : calibration)
      command.insert(command.end(), {"--calibration", (dir_ / file).string()});
    if (dry) command.push_back("--dry-run");
    return RunToEnd(command);
  };
  const std::string text = ReadFile(dir_ / "text.txt");
  std::string wide = "\xfe\xff";
  for (const char c : text) wide += {'\0', c};
  std::ofstream(dir_ / "wide.txt", std::ios::binary) << wide;
  std::ofstream chats(dir_ / "chats.jsonl");
  for (int i = 0; i < 40; ++i)
    chats << R"({"messages": [{"role": "user", "content": "And )" << i
          << R"(?"}, {"role": "assistant", "content": "It is )" << i * i << "\"}]}\n";
  chats.close();

  ASSERT_EQ(run("plain", {"text.txt"}).status, 0);
  ASSERT_EQ(run("wide", {"wide.txt"}).status, 0);
  EXPECT_EQ(Hashes(dir_ / "wide").at("model.safetensors"), Hashes(dir_ / "plain").at("model.safetensors"));

  const Outcome twice = RunToEnd({"ecld", "compress", (dir_ / "recipe.yaml").string(), "--model",
                                  (dir_ / "model").string(), "--out", (dir_ / "twice").string(), "--calibration",
                                  (dir_ / "text.txt").string(), "--set", "calibration.text=wide.txt"});
  EXPECT_EQ(twice.status, 1);
  EXPECT_THAT(twice.err, HasSubstr("--calibration: names the texts, and so does --set calibration.text=wide.txt"));

  const std::vector<std::string> both = {"text.txt", "chats.jsonl:field=messages,weight=3"};
  const Outcome planned = run("both", both, true);
  ASSERT_EQ(planned.status, 0) << planned.err;
  EXPECT_THAT(planned.out, HasSubstr("chats.jsonl: 40 chats in field messages, 3 windows from"));
  const Outcome done = run("both", both);
  ASSERT_EQ(done.status, 0) << done.err;
  EXPECT_NE(Hashes(dir_ / "both").at("model.safetensors"), Hashes(dir_ / "plain").at("model.safetensors"));
  EXPECT_THAT(ReadFile(dir_ / "both" / "recipe.yaml"), HasSubstr("field: messages"));
  const Json report = ReadJsonFile(dir_ / "both" / "report.json");
  EXPECT_EQ(report["calibration"][0]["windows"], 1);
  EXPECT_EQ(report["calibration"][1]["windows"], 3);
  EXPECT_THAT(run("both", both).out, HasSubstr("was finished already"));

  std::ofstream(dir_ / "packed.txt", std::ios::binary) << std::string("\x1f\x8b\x08\0", 4);
  EXPECT_THAT(run("none", {"packed.txt"}).err,
              HasSubstr("packed.txt: is no plain text; it seems to be compressed by gzip"));
  EXPECT_THAT(run("none", {"chats.jsonl:field=text"}).err,
              HasSubstr("chats.jsonl:1: has no field \"text\"; it has messages"));
}

TEST_F(Compress, AFileSizeLimitIsAnError) {
  Program run(Command(dir_ / "out"), {.file_limit_B = 100'000});
  Outcome outcome = run.Wait();
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("File too large"));
  EXPECT_FALSE(fs::exists(dir_ / "out"));
  EXPECT_EQ(RunToEnd(Command(dir_ / "out")).status, 0) << "with room again, the same command resumes";
}

TEST_F(Compress, AFullDiskIsAnErrorBeforeAnyWork) {
  fs::create_directories(dir_ / "small");
  if (::mount("tmpfs", (dir_ / "small").c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "needs the right to mount a small tmpfs";
  Outcome outcome = RunToEnd(Command(dir_ / "small" / "out"));
  const bool untouched = !fs::exists(dir_ / "small" / "out.work");
  ::umount((dir_ / "small").c_str());
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("of disk"));
  EXPECT_TRUE(untouched);
}

}  // namespace
}  // namespace ecld
