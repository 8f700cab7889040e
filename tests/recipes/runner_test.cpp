// The runner with passes that copy, fail and damage: what it refuses, what it leaves behind, what it resumes.

#include "recipes/runner.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "core/files.h"
#include "recipes/run_files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// Copies the checkpoint and calls `on_layer` before each layer; plans what it is told to.
class CopyPass : public Pass {
 public:
  std::function<void(int64_t layer, CheckpointWriter& out, PassContext& context)> on_layer;
  PassNeeds needs;
  uint64_t peak_memory_B = 1000;
  uint64_t scratch_disk_B = 0;
  std::string refusal;
  int run = 1;  // as the rows of the report say it

  PassNeeds Needs() const override { return needs; }
  Planned Plan(const PlanInput& input) const override {
    if (!refusal.empty()) throw Error(input.where + ".bits", refusal);
    Planned planned;
    planned.config = input.config;
    planned.output_B = WeightFileBytes(input.config);
    planned.peak_memory_B = peak_memory_B;
    planned.scratch_disk_B = scratch_disk_B;
    planned.notes = {"copies"};
    return planned;
  }
  void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const override {
    for (int64_t layer = -1; layer < in.config().num_layers; ++layer) {
      if (out.LayerWritten(layer)) continue;
      if (on_layer) on_layer(layer, out, context);
      Json row = {{"layer", layer}, {"run", run}};
      if (layer == 0) row["degraded"] = "copied, not compressed";
      context.rows.Add(std::to_string(layer), std::move(row));
      for (const TensorSpec& spec : out.table())
        if (spec.layer == layer) out.CopyFrom(in, spec);
      out.Commit(true);
    }
    (*context.report)["copied"] = true;
    (*context.report)["blocks"] = context.rows.All();
  }
};

class RunnerTest : public testing::Test {
 protected:
  RunnerTest() {
    WriteTinyCheckpoint(dir_ / "model");
    std::ofstream(dir_ / "text.txt") << std::string(4000, 'x');
    request_ = {.model = dir_ / "model", .out = dir_ / "out"};
  }

  // Appends a stage.
  CopyPass& Add() {
    auto pass = std::make_unique<CopyPass>();
    CopyPass& added = *pass;
    const size_t index = stages_.size();
    stages_.push_back({"test.copy", fmt::format("recipe.yaml:{}: stages[{}]", index + 3, index), std::move(pass)});
    return added;
  }

  Recipe MakeRecipe(const std::string& extra = "") {
    std::string text = "version: 1\nstages:\n";
    for (size_t i = 0; i < stages_.size(); ++i) text += "  - pass: test.copy\n";
    return ParseRecipe(text + extra, "recipe.yaml");
  }

  RunResult Run(const std::string& extra = "") {
    const Recipe recipe = MakeRecipe(extra);
    return RunRecipe(recipe, stages_, request_);
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir_.path())) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  void ExpectSameWeights() const {
    const Checkpoint in = Checkpoint::Open(dir_ / "model"), out = Checkpoint::Open(dir_ / "out");
    for (const StoredTensor& tensor : StoredTensors(in.config())) {
      auto a = in.Tensor(tensor.name).bytes, b = out.Tensor(tensor.name).bytes;
      EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << tensor.name;
    }
  }

  TempDir dir_;
  RunRequest request_;
  std::vector<PreparedStage> stages_;
};

using NameList = std::vector<std::string>;

TEST_F(RunnerTest, PublishesTheResultAndNothingElse) {
  Add();
  Add();
  RunResult result = Run();
  EXPECT_FALSE(result.was_finished);
  EXPECT_EQ(Names(), (NameList{"model", "out", "text.txt"}));
  ExpectSameWeights();
  EXPECT_TRUE(fs::exists(dir_ / "out" / "tokenizer.json"));
  EXPECT_EQ(ReadTextFile(dir_ / "out" / "recipe.yaml"), MakeRecipe().Resolved());

  const Json report = ReadJsonFile(dir_ / "out" / "report.json");
  EXPECT_EQ(report, result.report);
  EXPECT_EQ(report["schema"], "ecld.report");
  ASSERT_EQ(report["stages"].size(), 2u);
  EXPECT_EQ(report["stages"][1]["pass"], "test.copy");
  EXPECT_EQ(report["stages"][1]["details"]["copied"], true);
  EXPECT_EQ(report["stages"][1]["resumed"], false);
  EXPECT_GT(report["stages"][1]["time_s"].get<double>(), 0);
  EXPECT_GT(report["stages"][1]["peak_memory_B"].get<uint64_t>(), 0u);
  EXPECT_EQ(report["output"]["weights_sha256"], Json(WeightFileHashes(dir_ / "out")));
  EXPECT_EQ(report["degraded"], Json::parse(R"([{"name": "0", "what": "copied, not compressed", "stage": 0},
                                                {"name": "0", "what": "copied, not compressed", "stage": 1}])"));
}

TEST_F(RunnerTest, ReportSaysWhatWasPassedOverAndLeftOut) {
  Json config = ReadJsonFile(dir_ / "model/config.json");
  config["favourite_colour"] = "blue";
  WriteJsonFile(dir_ / "model/config.json", config);
  for (const char* name : {"LICENSE", "README.md", "pytorch_model.bin"})
    WriteFileAtomically(dir_ / "model" / name, name);
  Add();
  Add();
  const Json report = Run().report;
  EXPECT_EQ(report["input"]["notes"],
            Json::parse(R"(["config.json: fields that are not known and passed over: favourite_colour"])"));
  EXPECT_EQ(report["left_out"],
            Json::parse(R"([{"name": "README.md", "why": "it describes the model before"}, {"name": "pytorch_model.bin",
                             "why": "weights or a training state, which are not read"}])"));
  EXPECT_TRUE(fs::exists(dir_ / "out/LICENSE"));
  EXPECT_FALSE(fs::exists(dir_ / "out/README.md"));
  EXPECT_EQ(ReadJsonFile(dir_ / "out/config.json")["favourite_colour"], "blue");
}

TEST_F(RunnerTest, PlanTouchesNothing) {
  Add();
  Add().scratch_disk_B = 12345;
  const Recipe recipe = MakeRecipe();
  RunPlan plan = PlanRecipe(recipe, stages_, request_);
  const uint64_t bytes = Checkpoint::Open(dir_ / "model").WeightBytes();
  EXPECT_EQ(plan.disk_B, 2 * bytes + 12345);
  EXPECT_GT(plan.process_B, 1'000'000u) << "this very process";
  EXPECT_EQ(plan.peak_memory_B, plan.process_B + 1000);
  EXPECT_EQ(ToJson(plan)["stages"][0]["notes"][0], "copies");
  EXPECT_EQ(Names(), (NameList{"model", "text.txt"}));
}

TEST_F(RunnerTest, RefusesBeforeAnyWork) {
  CopyPass& pass = Add();
  pass.on_layer = [](int64_t, CheckpointWriter&, PassContext&) { FAIL() << "ran"; };

  pass.refusal = "96 does not divide 64";
  EXPECT_ERROR(Run(), "recipe.yaml:3: stages[0].bits: 96 does not divide 64");
  pass.refusal = "";
  pass.peak_memory_B = 2'000'000'000;
  request_.memory_budget_B = 1'000'000'000;
  EXPECT_ERROR(Run(), "recipe.yaml:3: stages[0]: test.copy needs 2.");
  EXPECT_ERROR(Run(), "GB of memory, the budget is 1.0 GB");
  request_.memory_budget_B = 0;
  pass.peak_memory_B = 1ull << 60;
  EXPECT_ERROR(Run(), "--memory-budget overrides this");
  pass.peak_memory_B = 0;
  pass.scratch_disk_B = 1ull << 60;
  EXPECT_ERROR(Run(), "of disk");
  pass.scratch_disk_B = 0;
  pass.needs.calibration = true;
  EXPECT_ERROR(Run(), "give --calibration FILE");
  EXPECT_ERROR(Run(fmt::format("calibration: {{text: {}, windows: 999}}\n", (dir_ / "text.txt").string())),
               "999 windows of 512 need 511488");
  EXPECT_EQ(Names(), (NameList{"model", "text.txt"}));
}

TEST_F(RunnerTest, RefusesPathsThatOverlap) {
  Add();
  request_.out = dir_ / "model";
  EXPECT_ERROR(Run(), "output and input are the same directory");
  request_.out = dir_ / "model" / "out";
  EXPECT_ERROR(Run(), "output lies inside the input directory");
  request_.out = dir_.path();
  EXPECT_ERROR(Run(), "output contains the input directory");
  request_.out = dir_ / "text.txt";
  EXPECT_ERROR(Run(), "text.txt: exists and is not a directory");
  request_.out = dir_ / "text.txt" / "out";
  EXPECT_ERROR(Run(), "text.txt");
  request_.out = dir_ / "out";
  request_.model = dir_ / "none";
  EXPECT_ERROR(Run(), "none: is not a checkpoint directory");
  EXPECT_EQ(Names(), (NameList{"model", "text.txt"}));
}

TEST_F(RunnerTest, ExistingOutputsAreKept) {
  Add();
  Run();
  EXPECT_TRUE(Run().was_finished);
  EXPECT_ERROR(Run("seed: 3\n"), "out: exists; choose another output, or --overwrite");
  request_.overwrite = true;
  EXPECT_FALSE(Run("seed: 3\n").was_finished);
  EXPECT_EQ(Names(), (NameList{"model", "out", "text.txt"}));

  fs::create_directories(dir_ / "precious");
  std::ofstream(dir_ / "precious" / "thesis.txt") << "x";
  request_.out = dir_ / "precious";
  EXPECT_ERROR(Run(), "is not a checkpoint directory, so --overwrite does not replace it");
  EXPECT_TRUE(fs::exists(dir_ / "precious" / "thesis.txt"));
}

TEST_F(RunnerTest, ABusyOutputIsRefused) {
  Add();
  const DirectoryLock lock(dir_ / "out");
  EXPECT_ERROR(Run(), "is in use by another run");
}

TEST_F(RunnerTest, ResumesWhereItStopped) {
  std::vector<std::string> seen;
  bool fail = true;
  for (int stage : {0, 1, 2})
    Add().on_layer = [&, stage](int64_t layer, CheckpointWriter&, PassContext& context) {
      if (stage == 1 && layer == 1 && fail) throw Error("", "power cut");
      EXPECT_EQ(fs::exists(context.scratch / "kept"), layer != -1);
      std::ofstream(context.scratch / "kept") << "x";
      seen.push_back(fmt::format("{}.{}", stage, layer));
    };
  EXPECT_ERROR(Run(), "power cut");
  EXPECT_FALSE(fs::exists(dir_ / "out"));
  EXPECT_TRUE(fs::exists(dir_ / "out.work" / "stage-0"));
  EXPECT_ERROR(Run("seed: 3\n"), "out.work: holds an unfinished run, and since then the recipe changed");
  fail = false;
  static_cast<CopyPass&>(*stages_[1].object).run = 2;
  RunResult result = Run();
  EXPECT_EQ(seen, (NameList{"0.-1", "0.0", "0.1", "1.-1", "1.0", "1.1", "2.-1", "2.0", "2.1"}));
  EXPECT_EQ(result.report["stages"][0]["resumed"], false);
  EXPECT_EQ(result.report["stages"][1]["resumed"], true);
  // The rows of the blocks that were done before the kill are those of that run.
  EXPECT_EQ(result.report["stages"][1]["details"]["blocks"], Json::parse(R"([{"layer": -1, "run": 1},
                            {"layer": 0, "run": 1, "degraded": "copied, not compressed"},
                            {"layer": 1, "run": 2}])"));
  EXPECT_EQ(Names(), (NameList{"model", "out", "text.txt"}));
  ExpectSameWeights();
}

TEST_F(RunnerTest, WhatTheDataDecideStandsInTheConfig) {
  bool fail = true;
  Add().on_layer = [&](int64_t, CheckpointWriter&, PassContext& context) {
    (*context.decided)["initializer_range"] = 0.25;
  };
  Add().on_layer = [&](int64_t layer, CheckpointWriter&, PassContext&) {
    EXPECT_EQ(ReadJsonFile(dir_ / "out.work/stage-0/config.json")["initializer_range"], 0.25);
    if (layer == 1 && fail) throw Error("", "power cut");
  };
  EXPECT_ERROR(Run(), "power cut");
  fail = false;
  Run();
  EXPECT_EQ(ReadJsonFile(dir_ / "out/config.json")["initializer_range"], 0.25);
  ExpectSameWeights();
}

TEST_F(RunnerTest, RestartStartsOver) {
  std::vector<int64_t> seen;
  bool fail = true;
  Add().on_layer = [&](int64_t layer, CheckpointWriter&, PassContext&) {
    if (layer == 1 && fail) throw Error("", "power cut");
    seen.push_back(layer);
  };
  EXPECT_ERROR(Run(), "power cut");
  fail = false;
  request_.restart = true;
  Run("seed: 3\n");
  EXPECT_EQ(seen, (std::vector<int64_t>{-1, 0, -1, 0, 1}));
}

TEST_F(RunnerTest, AnotherInputOrTextIsNoticed) {
  CopyPass& pass = Add();
  pass.needs.calibration = true;
  pass.on_layer = [&](int64_t, CheckpointWriter&, PassContext&) { throw Error("", "power cut"); };
  const std::string calibration =
      fmt::format("calibration: {{text: {}, windows: 2, window_tok: 16}}\n", (dir_ / "text.txt").string());
  EXPECT_ERROR(Run(calibration), "power cut");
  std::ofstream(dir_ / "text.txt") << std::string(4000, 'y');
  EXPECT_ERROR(Run(calibration), "since then the calibration text changed");
  std::ofstream(dir_ / "text.txt") << std::string(4000, 'x');
  fs::remove_all(dir_ / "model");
  WriteTinyCheckpoint(dir_ / "model", {.seed = 2});
  EXPECT_ERROR(Run(calibration), "since then the input model changed");
}

TEST_F(RunnerTest, ADamagedStageIsDroppedAndRunAgain) {
  bool damage = true;
  Add();
  Add().on_layer = [&](int64_t layer, CheckpointWriter& out, PassContext& context) {
    if (layer != 1 || !damage) return;
    // What a faulty disk does: the bytes on disk are not those that were written.
    out.Commit(true);
    const fs::path staging = context.scratch.parent_path() / "stage-1.staging";
    for (const auto& entry : fs::directory_iterator(staging))
      if (entry.path().extension() == ".safetensors") {
        std::fstream stream(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        stream.seekp(static_cast<std::streamoff>(fs::file_size(entry.path()) / 10));
        stream.write("\xff\xff\xff\xff\xff\xff\xff\xff", 8);  // a NaN, wherever a float begins
      }
  };
  EXPECT_ERROR(Run(), "recipe.yaml:4: stages[1]: the output of test.copy did not pass verification");
  EXPECT_FALSE(fs::exists(dir_ / "out"));
  EXPECT_FALSE(fs::exists(dir_ / "out.work" / "stage-1.staging"));
  damage = false;
  Run();
  ExpectSameWeights();
}

TEST_F(RunnerTest, KeepsStagesWhenAsked) {
  Add();
  Add();
  request_.keep_stages = true;
  Run();
  EXPECT_EQ(Names(), (NameList{"model", "out", "out.stages", "text.txt"}));
  EXPECT_EQ(Checkpoint::Open(dir_ / "out.stages" / "stage-0").WeightBytes(),
            Checkpoint::Open(dir_ / "out").WeightBytes());
  EXPECT_TRUE(Run().was_finished);
}

TEST_F(RunnerTest, KeptStagesAreReplacedOnlyWhenAsked) {
  Add();
  Add();
  request_.keep_stages = true;
  Run();
  fs::remove_all(dir_ / "out");
  EXPECT_ERROR(Run(), "out.stages: exists; remove it, or --overwrite to replace it");
  request_.overwrite = true;
  EXPECT_FALSE(Run().was_finished);
  EXPECT_TRUE(fs::exists(dir_ / "out.stages" / "stage-0"));

  std::ofstream(dir_ / "out.stages" / "thesis.txt") << "x";
  EXPECT_ERROR(Run(), "out.stages: is where the stages would be kept, but holds something that no run left");
  EXPECT_TRUE(fs::exists(dir_ / "out.stages" / "thesis.txt"));
}

TEST_F(RunnerTest, AWorkDirectoryOfSomebodyElseIsLeftAlone) {
  Add();
  fs::create_directories(dir_ / "out.work");
  std::ofstream(dir_ / "out.work" / "thesis.txt") << "x";
  request_.restart = true;
  EXPECT_ERROR(Run(), "out.work: is needed as work directory, but holds something that no run left");
  EXPECT_TRUE(fs::exists(dir_ / "out.work" / "thesis.txt"));
}

}  // namespace
}  // namespace ecld
