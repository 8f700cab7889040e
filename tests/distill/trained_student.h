#pragma once
// A tiny teacher, students of it that are worse, and how far a written checkpoint is from the teacher: what the tests
// of distillation share.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "distill/training.h"
#include "tests/quantize/model_logits.h"
#include "tests/testing/run_pass.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {

// A student that is the teacher with noise on every matrix of its blocks.
inline void WriteNoisy(const std::filesystem::path& from, const std::filesystem::path& to) {
  const Checkpoint teacher = Checkpoint::Open(from);
  CheckpointWriter writer(to, teacher.config());
  Random random(5);
  for (const auto& spec : teacher.table()) {
    std::vector<float> values = teacher.ReadFloats(spec);
    if (spec.layer >= 0 && spec.matrix())
      for (auto& value : values) value *= static_cast<float>(1 + 0.3 * random.Normal());
    writer.WriteFloats(spec, values);
  }
  writer.Finish(from);
}

class TrainedStudent : public testing::Test {
 protected:
  void WriteTeacher(const TinyOptions& options) {
    for (const char* made : {"teacher", "student"}) std::filesystem::remove_all(directory_ / made);
    config_ = WriteTinyCheckpoint(directory_ / "teacher", options);
    windows_ = RandomWindows(20, 16, config_.vocab_size);
  }
  void WriteNoisyStudent() const { WriteNoisy(directory_ / "teacher", directory_ / "student"); }
  Json Run(const Pass& pass, const char* student, const char* out, const char* teacher = "teacher") const {
    const Checkpoint its_teacher = Checkpoint::Open(directory_ / teacher);
    std::filesystem::create_directories((directory_ / out).string() + ".scratch");
    return RunPass(pass, directory_ / student, directory_ / out, windows_, &its_teacher);
  }
  // KL of the teacher to a checkpoint in nats per token, by its definition, on the windows that a run without held-out
  // texts keeps back: the last tenth.
  double HeldOutKl(const char* student) const {
    const TokenWindows held_out{windows_.window_tok, {windows_.windows.end() - 2, windows_.windows.end()}};
    const auto log_p = [&](const char* model) {
      return at::log_softmax(ModelLogits(Checkpoint::Open(directory_ / model), held_out).to(at::kDouble), -1);
    };
    const at::Tensor before = log_p("teacher");
    return (before.exp() * (before - log_p(student))).sum(-1).mean().item<double>();
  }

  // Twenty steps, each of a quarter of the windows that train.
  static TrainingOptions Options(LearningRates rates) {
    TrainingOptions options;
    options.epochs = 5;
    options.batch_windows = 5;
    options.rates = rates;
    options.evaluations = 4;
    return options;
  }

  TempDir directory_;
  ModelConfig config_;
  TokenWindows windows_;
};

}  // namespace ecld
