#include "distill/vocabulary_loss.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/testing/near.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

std::vector<LossOptions> AllLosses() {
  std::vector<LossOptions> all;
  for (const Distance divergence : {Distance::kForward, Distance::kReverse, Distance::kJensenShannon})
    for (const double temperature : {1.0, 2.0})
      for (const double cross_entropy : {0.0, 0.5}) all.push_back({divergence, temperature, cross_entropy});
  return all;
}

std::string Say(const LossOptions& options) {
  return fmt::format("divergence {}, temperature {}, cross entropy {}", static_cast<int>(options.divergence),
                     options.temperature, options.cross_entropy);
}

// The same by its definition, in double and by autograd's operations.
at::Tensor Defined(const LossOptions& options, const at::Tensor& student, const at::Tensor& teacher,
                   const at::Tensor& next) {
  const double temperature = options.temperature;
  const at::Tensor p = at::softmax(teacher / temperature, 1), q = at::softmax(student / temperature, 1);
  const auto kl = [](const at::Tensor& a, const at::Tensor& b) { return (a * (a.log() - b.log())).sum(); };
  at::Tensor loss = kl(p, q);
  if (options.divergence == Distance::kReverse) loss = kl(q, p);
  if (options.divergence == Distance::kJensenShannon) loss = (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2;
  loss = loss * temperature * temperature;
  for (int64_t token = 0; token < next.size(0); ++token)
    if (const auto id = next[token].item<int64_t>(); id >= 0)
      loss = loss - options.cross_entropy * at::log_softmax(student, 1)[token][id];
  return loss;
}

std::vector<float> Floats(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kFloat).flatten().contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

double LossOf(const LossOptions& options, const at::Tensor& student, const at::Tensor& teacher,
              const at::Tensor& next) {
  return LossOfLogits(options, student.clone(), teacher.clone(), next, 1);
}

TEST(VocabularyLoss, EqualLogitsAreNoLossAndGiveNoGradient) {
  at::manual_seed(1);
  const at::Tensor logits = 5 * at::randn({4, 100}), next = at::full({4}, -1, at::kLong);
  for (LossOptions options : AllLosses()) {
    options.cross_entropy = 0;
    const at::Tensor gradient = logits.clone();
    EXPECT_EQ(LossOfLogits(options, gradient, logits.clone(), next, 1), 0) << Say(options);
    EXPECT_EQ(gradient.abs().max().item<float>(), 0) << Say(options);
  }
}

TEST(VocabularyLoss, IsWhatItsDefinitionSaysAndItsGradientsAreFiniteDifferences) {
  at::manual_seed(2);
  const at::Tensor student = 2 * at::randn({3, 7}, at::kDouble), teacher = 2 * at::randn({3, 7}, at::kDouble);
  const at::Tensor next = at::tensor(std::vector<int64_t>{4, -1, 0});
  constexpr double kStep = 1e-5, kScale = 0.25;
  for (const LossOptions& options : AllLosses()) {
    const double loss = LossOf(options, student, teacher, next);
    EXPECT_NEAR(loss, Defined(options, student, teacher, next).item<double>(), 1e-10) << Say(options);
    const at::Tensor gradient = student.clone();
    LossOfLogits(options, gradient, teacher.clone(), next, kScale);
    for (int64_t token = 0; token < 3; ++token)
      for (int64_t id = 0; id < 7; ++id) {
        at::Tensor up = student.clone(), down = student.clone();
        up[token][id] += kStep;
        down[token][id] -= kStep;
        const double slope = (LossOf(options, up, teacher, next) - LossOf(options, down, teacher, next)) / (2 * kStep);
        EXPECT_NEAR(gradient[token][id].item<double>(), kScale * slope, 1e-8) << Say(options);
      }
  }
}

TEST(VocabularyLoss, InPiecesIsTheWhole) {
  at::manual_seed(3);
  ThreadPool pool(1);
  BlockKernels kernels(ParseConfig(TinyConfigJson({}), "config.json"), pool);
  const at::Tensor states = at::randn({23, 16}), head = at::randn({50, 16});
  const at::Tensor its_states = at::randn({23, 24}), its_head = at::randn({50, 24});  // a teacher of another width
  const at::Tensor next = at::randint(50, {23}, at::kLong);
  for (const LossOptions& options : AllLosses()) {
    const at::Tensor x = states.to(at::kDouble).requires_grad_(), w = head.to(at::kDouble).requires_grad_();
    const at::Tensor whole = Defined(options, at::linear(x, w), at::linear(its_states, its_head).to(at::kDouble), next);
    (0.5 * whole).backward();
    const PredictingGradient gradient{at::zeros_like(states), at::zeros_like(head), 0.5};
    const double loss = VocabularyLoss(options, kernels, {states, head}, {its_states, its_head}, next, &gradient,
                                       /*logits_at_once=*/250);
    EXPECT_NEAR(loss, whole.item<double>(), 1e-4) << Say(options);
    EXPECT_TRUE(Near(Floats(gradient.states), Floats(x.grad()), Relative(1e-5))) << Say(options);
    EXPECT_TRUE(Near(Floats(gradient.head), Floats(w.grad()), Relative(1e-5))) << Say(options);
    EXPECT_EQ(VocabularyLoss(options, kernels, {states, head}, {its_states, its_head}, next, nullptr, 250), loss);
  }
}

TEST(VocabularyLoss, TheLastTokenOfAWindowHasNoNext) {
  const at::Tensor ids = at::tensor(std::vector<int64_t>{1, 2, 3, 4, 5, 6}).view({2, 3});
  EXPECT_TRUE(NextTokens(ids).equal(at::tensor(std::vector<int64_t>{2, 3, -1, 5, 6, -1})));
}

}  // namespace
}  // namespace ecld
