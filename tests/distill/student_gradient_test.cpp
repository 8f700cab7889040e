#include "distill/student_gradient.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "tests/testing/run_pass.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

constexpr int64_t kWindows = 2, kTokens = 10;

// A tiny student, and some teacher.
struct Case {
  explicit Case(const TinyOptions& options) {
    config = WriteTinyCheckpoint(dir / "student", options);
    const Checkpoint in = Checkpoint::Open(dir / "student");
    student.emplace(in, nullptr, pool);
    ids = IdTensor(RandomWindows(kWindows, kTokens, config.vocab_size).windows);
    at::manual_seed(1);
    teacher = {at::randn({kWindows * kTokens, 8}), at::randn({config.vocab_size, 8})};
  }

  // By central differences along the direction of the gradient itself, where they are largest: |gradient|.
  double Slope(const Student::Parameter& parameter, const at::Tensor& direction, StudentGradient& gradient) {
    at::NoGradGuard no_grad;
    constexpr double kStep = 1e-2;
    const auto loss_at = [&](double step) {
      parameter.value.add_(direction, step);
      const double loss = gradient.Add(ids, teacher, 1);
      parameter.value.sub_(direction, step);
      return loss;
    };
    return (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep);
  }

  TempDir dir;
  ThreadPool pool{1};
  ModelConfig config;
  std::optional<Student> student;
  at::Tensor ids;
  Predicting teacher;
};

TEST(StudentGradient, IsThatOfFiniteDifferencesForEveryParameter) {
  for (const TinyOptions& options : {TinyOptions{.family = Family::kQwen2, .num_layers = 1},
                                     TinyOptions{.family = Family::kGemma3, .tied = true, .num_layers = 1}}) {
    Case tiny(options);
    const LossOptions loss{.cross_entropy = 0.5};
    StudentGradient gradient(*tiny.student, loss, tiny.pool);
    gradient.Add(tiny.ids, tiny.teacher, 1);
    std::vector<at::Tensor> found;
    for (const Student::Parameter& parameter : tiny.student->parameters().all())
      found.push_back(parameter.gradient.clone());
    size_t i = 0;
    for (const Student::Parameter& parameter : tiny.student->parameters().all()) {
      const double size = found[i].norm().item<double>();
      EXPECT_GT(size, 0) << parameter.spec.name;
      EXPECT_NEAR(tiny.Slope(parameter, found[i++] / size, gradient) / size, 1, 0.01) << parameter.spec.name;
    }
  }
}

TEST(StudentGradient, IsScaledAndAddedUp) {
  Case tiny({});
  const LossOptions loss;
  StudentGradient gradient(*tiny.student, loss, tiny.pool);
  const double once = gradient.Add(tiny.ids, tiny.teacher, 1);
  const at::Tensor of_norm = tiny.student->final_norm().gradient.clone();
  EXPECT_EQ(gradient.Add(tiny.ids, tiny.teacher, 2), once);
  EXPECT_LT((tiny.student->final_norm().gradient - 3 * of_norm).norm().item<double>(),
            1e-4 * of_norm.norm().item<double>());
}

}  // namespace
}  // namespace ecld
