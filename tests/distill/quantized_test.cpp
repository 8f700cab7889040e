#include "distill/quantized.h"

#include "quantize/round.h"
#include "tests/distill/trained_student.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

class DistillQuantized : public TrainedStudent {
 protected:
  void WriteStudent(const Scheme& scheme) const {
    RunPass(RoundPass({scheme, Clip::kMse}), directory_ / "teacher", directory_ / "student");
  }
};

constexpr LearningRates kRates{.weights = 1e-3, .codes = 0.02, .scales = 1e-2};

TEST_F(DistillQuantized, LowersTheHeldOutLossToThatOfTheFile) {
  for (const bool tied : {false, true}) {
    WriteTeacher({.dtype = DType::kBF16, .tied = tied});
    WriteStudent({.format = {2, 32, false}, .embeddings = PackedFormat{4, 32, true}});
    const std::string out = tied ? "tied" : "untied";
    const Json report = Run(DistillQuantizedPass({Options(kRates)}), "student", out.c_str());
    const Json& row = report["held_out"][0];
    EXPECT_TRUE(report["trained"].get<bool>());
    EXPECT_LT(row["after"].get<double>(), 0.98 * row["before"].get<double>());
    // Products of the pass round their factors to bfloat16, where these do not.
    EXPECT_NEAR(row["before"].get<double>(), HeldOutKl("student"), 0.02 * HeldOutKl("student"));
    EXPECT_NEAR(row["after"].get<double>(), HeldOutKl(out.c_str()), 0.02 * HeldOutKl(out.c_str()));
    EXPECT_EQ(ReadFile(directory_ / out / "config.json"), ReadFile(directory_ / "student" / "config.json"));
  }
}

// Wherever latent codes begin, the codes are the student's.
TEST_F(DistillQuantized, BeginsAtItsInput) {
  WriteTeacher({});
  WriteStudent({.format = {3, 32, true}});
  const Json codes = Run(DistillQuantizedPass({Options(kRates), false}), "student", "codes");
  const Json teacher = Run(DistillQuantizedPass({Options(kRates), true}), "student", "teacher's");
  EXPECT_EQ(codes["held_out"][0]["before"], teacher["held_out"][0]["before"]);
  EXPECT_NE(codes["curve"].back()["held_out"], teacher["curve"].back()["held_out"]);
}

TEST_F(DistillQuantized, InFloat32TheFileGivesTheVeryLoss) {
  WriteTeacher({});
  WriteStudent({.format = {3, 32, true}});
  const Json report = Run(DistillQuantizedPass({Options(kRates)}), "student", "out");
  EXPECT_TRUE(report["trained"].get<bool>());
  EXPECT_NEAR(report["held_out"][0]["after"].get<double>(), HeldOutKl("out"), 1e-5);
}

TEST_F(DistillQuantized, ScalesAloneLeaveTheCodes) {
  WriteTeacher({});
  WriteStudent({.format = {2, 32, false}});
  Json report = Run(DistillQuantizedPass({Options({.scales = 5e-3})}), "student", "out");
  EXPECT_TRUE(report["trained"].get<bool>());
  const Checkpoint before = Checkpoint::Open(directory_ / "student"), after = Checkpoint::Open(directory_ / "out");
  const auto same = [&](const std::string& name) {
    return std::ranges::equal(before.Tensor(name).bytes, after.Tensor(name).bytes);
  };
  int changed = 0;
  for (const StoredTensor& part : StoredTensors(before.config()))
    if (!same(part.name)) {
      EXPECT_TRUE(part.name.ends_with(".weight_scale")) << part.name;
      ++changed;
    }
  EXPECT_GT(changed, 0);
}

TEST_F(DistillQuantized, ARunThatDoesNotHelpWritesItsInput) {
  WriteTeacher({});
  WriteStudent({.format = {3, 32, false}});
  const Json report = Run(DistillQuantizedPass({Options({.codes = 1, .scales = 0.9})}), "student", "out");
  EXPECT_FALSE(report["trained"].get<bool>());
  EXPECT_TRUE(CheckpointBytes(directory_ / "out") == CheckpointBytes(directory_ / "student"));
}

TEST_F(DistillQuantized, SameSeedGivesTheSameBytes) {
  WriteTeacher({.dtype = DType::kBF16, .tied = true});
  WriteStudent({.format = {3, 32, false}, .embeddings = PackedFormat{8, 32, true}});
  const DistillQuantizedPass pass({Options(kRates), true});
  Run(pass, "student", "whole");
  Run(pass, "student", "again");
  EXPECT_TRUE(CheckpointBytes(directory_ / "again") == CheckpointBytes(directory_ / "whole"));
}

TEST_F(DistillQuantized, RefusesWhatCannotBe) {
  WriteTeacher({});
  WriteStudent({.format = {3, 32, false}});
  const Checkpoint teacher = Checkpoint::Open(directory_ / "teacher"),
                   student = Checkpoint::Open(directory_ / "student");
  EXPECT_ERROR(DistillQuantizedPass({Options(kRates)}).Plan(PlanInputOf(teacher, windows_, &teacher)),
               "the model is not quantized");
  WriteTinyCheckpoint(directory_ / "wide", {.intermediate_size = 128});
  const Checkpoint wide = Checkpoint::Open(directory_ / "wide");
  EXPECT_GT(DistillQuantizedPass({Options(kRates)}).Plan(PlanInputOf(student, windows_, &wide)).peak_memory_B, 0u);
  EXPECT_ERROR(DistillQuantizedPass({Options(kRates), true}).Plan(PlanInputOf(student, windows_, &wide)),
               "stages[0].begin: model.layers.0.mlp.gate_proj.weight has another shape in the teacher");
}

}  // namespace
}  // namespace ecld
