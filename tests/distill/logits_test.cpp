#include "distill/logits.h"

#include <fstream>

#include "core/json.h"
#include "tests/distill/trained_student.h"
#include "tests/testing/cut_tiny.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

class DistillLogits : public TrainedStudent {};

TEST_F(DistillLogits, LowersTheHeldOutLossToThatOfTheFile) {
  for (const bool tied : {false, true}) {
    WriteTeacher({.family = Family::kQwen2, .tied = tied});
    WriteNoisyStudent();
    const std::string out = tied ? "tied" : "untied";
    const Json report = Run(DistillLogitsPass(Options({.weights = 3e-3})), "student", out.c_str());
    ASSERT_EQ(report["held_out"].size(), 1u);
    const Json& row = report["held_out"][0];
    EXPECT_TRUE(report["trained"].get<bool>());
    EXPECT_LT(row["after"].get<double>(), 0.92 * row["before"].get<double>()) << report.dump();
    EXPECT_NEAR(row["before"].get<double>(), HeldOutKl("student"), 1e-5);
    EXPECT_NEAR(row["after"].get<double>(), HeldOutKl(out.c_str()), 1e-5);
    EXPECT_EQ(report["curve"].size(), 5u);
    EXPECT_EQ(report["curve"].back()["step"], 20);
    EXPECT_EQ(report["curve"].back()["tokens"], 5 * 18 * 16);
  }
}

TEST_F(DistillLogits, AStudentThatIsItsTeacherStaysPut) {
  for (const Family family : {Family::kLlama, Family::kGemma3}) {
    WriteTeacher({.family = family, .dtype = DType::kBF16, .tied = family == Family::kGemma3});
    std::filesystem::remove_all(directory_ / "out");
    std::filesystem::remove_all(directory_ / "out.scratch");
    const Json report = Run(DistillLogitsPass(Options({.weights = 1e-2})), "teacher", "out");
    for (const Json& point : report["curve"]) EXPECT_EQ(point["held_out"][0], 0.0);
    const Checkpoint before = Checkpoint::Open(directory_ / "teacher"), after = Checkpoint::Open(directory_ / "out");
    for (const TensorSpec& spec : before.table())
      EXPECT_TRUE(Near(after.ReadFloats(spec), before.ReadFloats(spec), Exact())) << spec.name;
  }
}

TEST_F(DistillLogits, ARunThatDoesNotHelpWritesItsInputAndSaysSo) {
  WriteTeacher({});
  WriteNoisyStudent();
  const Json report = Run(DistillLogitsPass(Options({.weights = 1})), "student", "out");
  EXPECT_FALSE(report["trained"].get<bool>());
  EXPECT_EQ(report["best_step"], 0);
  EXPECT_EQ(report["held_out"][0]["after"], report["held_out"][0]["before"]);
  EXPECT_NE(report["held_out"][0]["degraded"].get<std::string>().find("not trained"), std::string::npos);
  EXPECT_TRUE(CheckpointBytes(directory_ / "out") == CheckpointBytes(directory_ / "student"));
}

TEST_F(DistillLogits, ALossThatIsNoNumberStopsWithItsStep) {
  WriteTeacher({});
  WriteNoisyStudent();
  EXPECT_ERROR(Run(DistillLogitsPass(Options({.weights = 1e30})), "student", "out"),
               "distill.logits: the loss of step 2 of 20 is not a number");
}

TEST_F(DistillLogits, SameSeedGivesTheSameBytesAlsoWhenItGoesOn) {
  WriteTeacher({.dtype = DType::kBF16});
  WriteNoisyStudent();
  const DistillLogitsPass pass(Options({.weights = 3e-3}));
  Run(pass, "student", "whole");
  Run(pass, "student", "again");
  EXPECT_TRUE(CheckpointBytes(directory_ / "again") == CheckpointBytes(directory_ / "whole"));
  // Killed while it wrote: the states are there, a part of the weights is.
  std::filesystem::copy(directory_ / "whole.scratch", directory_ / "resumed.scratch");
  const Checkpoint whole = Checkpoint::Open(directory_ / "whole");
  {
    CheckpointWriter writer(directory_ / "resumed", whole.config());
    for (const auto& spec : writer.table())
      if (spec.layer < 1) writer.CopyFrom(whole, spec);
    writer.Commit(true);
  }
  const Json report = Run(pass, "student", "resumed");
  EXPECT_TRUE(CheckpointBytes(directory_ / "resumed") == CheckpointBytes(directory_ / "whole"));
  EXPECT_EQ(report["curve"].back()["step"], 20);
}

TEST_F(DistillLogits, ATeacherOfOtherTokensIsRefusedByTheirIds) {
  WriteTeacher({});
  WriteNoisyStudent();
  std::filesystem::copy(directory_ / "teacher", directory_ / "other");
  Json tokenizer = ReadJsonFile(directory_ / "other" / "tokenizer.json");
  Json& vocab = tokenizer["model"]["vocab"];
  std::swap(vocab["a"], vocab["b"]);
  WriteJsonFile(directory_ / "other" / "tokenizer.json", tokenizer);
  EXPECT_ERROR(Run(DistillLogitsPass(Options({.weights = 1e-3})), "student", "out", "other"),
               "has another vocabulary than");
  EXPECT_ERROR(Run(DistillLogitsPass(Options({.weights = 1e-3})), "student", "out", "other"),
               fmt::format("2 of {} ids differ (id {} is ", config_.vocab_size,
                           std::min(vocab["a"].get<int64_t>(), vocab["b"].get<int64_t>())));
}

// A student whose vocabulary was cut sees the teacher's distribution over its own tokens.
TEST_F(DistillLogits, ATeacherMayHaveMoreTokens) {
  WriteTeacher({.tied = true});
  CutTinyCheckpoint(directory_ / "teacher", directory_ / "student", {270, 282, 290});
  windows_ = RandomWindows(20, 16, config_.vocab_size - 3);
  const Json report = Run(DistillLogitsPass(Options({.weights = 1e-3})), "student", "out");
  EXPECT_NEAR(report["held_out"][0]["before"].get<double>(), 0, 1e-9);
}

TEST_F(DistillLogits, TextsThatAreNamedJudge) {
  WriteTeacher({});
  WriteNoisyStudent();
  TrainingOptions options = Options({.weights = 3e-3});
  for (const char* name : {"one.txt", "two.txt"}) {
    std::ofstream(directory_ / name) << name << std::string(200, name[0]);
    options.held_out_texts.push_back((directory_ / name).string());
  }
  options.held_out_windows = 2;
  options.curve = (directory_ / "curve.csv").string();
  const Json report = Run(DistillLogitsPass(options), "student", "out");
  ASSERT_EQ(report["held_out"].size(), 2u);
  EXPECT_EQ(report["held_out"][1]["text"], "two.txt");
  EXPECT_EQ(report["curve"].back()["tokens"], 5 * 20 * 16);  // all windows train
  EXPECT_TRUE(ReadFile(directory_ / "curve.csv")
                  .starts_with("step,tokens,rate,train_loss,seconds,\"one.txt\",\"two.txt\"\n0,0,"));
  options.held_out_windows = 100;
  EXPECT_ERROR(Run(DistillLogitsPass(options), "student", "other"), "one.txt: has ");
}

TEST_F(DistillLogits, PlansAndRefusesWhatCannotBe) {
  WriteTeacher({});
  const Checkpoint model = Checkpoint::Open(directory_ / "teacher");
  PlanInput input = PlanInputOf(model, windows_, &model);
  MachineRates rates(1e9, 1e9);
  input.rates = &rates;
  const auto plan = [&](const TrainingOptions& options) { return DistillLogitsPass(options).Plan(input); };
  const TrainingOptions good = Options({.weights = 1e-3});
  EXPECT_GT(plan(good).seconds, 0);
  EXPECT_GT(plan(good).scratch_disk_B, 24 * ParameterCount(model.config()));
  EXPECT_ERROR(plan(Options({})), "stages[0].learning_rate: 0 is not above 0");
  TrainingOptions wrong = good;
  wrong.held_out_texts = {"/nowhere/at/all"};
  EXPECT_ERROR(plan(wrong), "stages[0].held_out_texts: /nowhere/at/all is not there");
  input.calibration_windows = 1;
  EXPECT_ERROR(plan(good), "1 calibration windows leave none to train on");
  input.calibration_windows = 8;
  input.config.vocab_size += 64;
  EXPECT_ERROR(plan(good), "which must have all of its tokens");
  input.teacher.reset();
  EXPECT_ERROR(plan(good), "needs a teacher");
}

TEST(Training, RatesRiseAndFallAsACosine) {
  EXPECT_DOUBLE_EQ(RateAt(0, 100, 0.05), 0.2);
  EXPECT_DOUBLE_EQ(RateAt(4, 100, 0.05), 1);
  EXPECT_DOUBLE_EQ(RateAt(5, 100, 0.05), 1);
  EXPECT_NEAR(RateAt(52, 100, 0.05), 0.5, 0.01);
  EXPECT_LT(RateAt(99, 100, 0.05), 0.001);
  EXPECT_EQ(RateAt(0, 1, 0.05), 1);
}

}  // namespace
}  // namespace ecld
