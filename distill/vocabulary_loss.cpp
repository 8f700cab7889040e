#include "distill/vocabulary_loss.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "core/options.h"
#include "model/embedding.h"

namespace ecld {
namespace {

constexpr int64_t kCachedLogits = int64_t{1} << 20;  // of a model, gone through at a time: they stay in the cache

double Sum(const at::Tensor& values) { return values.sum(at::kDouble).item<double>(); }

// Sum over q of q * values, for each token.
at::Tensor Mean(const at::Tensor& q, const at::Tensor& values) { return (q * values).sum(1, /*keepdim=*/true); }

// log p and log q become the divergence and, in place of log q, its gradient by the student's logits at temperature 1.
double DivergenceAndGradient(Distance divergence, const at::Tensor& log_q, const at::Tensor& log_p) {
  if (divergence == Distance::kForward) {
    const at::Tensor difference = log_p - log_q, p = log_p.exp_();
    log_q.exp_().sub_(p);
    return Sum(difference.mul_(p));
  }
  if (divergence == Distance::kReverse) {
    at::Tensor difference = log_q - log_p;
    const at::Tensor q = log_q.exp_(), of_tokens = Mean(q, difference);
    q.mul_(difference.sub_(of_tokens));
    return Sum(of_tokens);
  }
  // log(p / m) = -log((1 + q / p) / 2), exactly zero where p = q. Beyond the bounds one of them is nothing.
  const auto above_mean = [](const at::Tensor& log_ratio) { return log_ratio.expm1().div_(2).log1p_().neg_(); };
  const at::Tensor log_ratio = (log_q - log_p).clamp_(-80, 80);
  const at::Tensor above_p = above_mean(log_ratio), p = log_p.exp_();
  at::Tensor above_q = above_mean(log_ratio.neg());
  const at::Tensor q = log_q.exp_(), of_tokens = Mean(q, above_q);
  const double both = Sum(of_tokens) + Sum(Mean(p, above_p));
  q.mul_(above_q.sub_(of_tokens)).mul_(0.5);
  return both / 2;
}

// -log q(next), summed; the gradient by the logits is added to `gradient` once the logits are of no more use.
struct CrossEntropy {
  CrossEntropy(const at::Tensor& logits, const at::Tensor& next) {
    const at::Tensor log_q = at::log_softmax(logits, 1), known = (next >= 0).to(logits.scalar_type()).unsqueeze(1);
    const at::Tensor places = next.clamp_min(0).unsqueeze(1);
    loss = -Sum(log_q.gather(1, places) * known);
    gradient = log_q.exp() * known;
    gradient.scatter_add_(1, places, -known);
  }
  double loss = 0;
  at::Tensor gradient;
};

}  // namespace

double LossOfLogits(const LossOptions& options, const at::Tensor& student, const at::Tensor& teacher,
                    const at::Tensor& next, double scale) {
  std::optional<CrossEntropy> text;
  if (options.cross_entropy > 0) text.emplace(student, next);
  const double temperature = options.temperature;
  if (temperature != 1) {
    student.div_(temperature);
    teacher.div_(temperature);
  }
  const at::Tensor log_p = at::log_softmax(teacher, 1);
  student.copy_(at::log_softmax(student, 1));
  double loss = temperature * temperature * DivergenceAndGradient(options.divergence, student, log_p);
  student.mul_(temperature * scale);
  if (text) {
    loss += options.cross_entropy * text->loss;
    student.add_(text->gradient, options.cross_entropy * scale);
  }
  return loss;
}

double VocabularyLoss(const LossOptions& options, BlockKernels& kernels, const Predicting& student,
                      const Predicting& teacher, const at::Tensor& next, const PredictingGradient* gradient,
                      int64_t logits_at_once) {
  at::NoGradGuard no_grad;
  const int64_t tokens = student.states.size(0), vocab = student.head.size(0);
  const int64_t at_once = std::clamp<int64_t>(logits_at_once / vocab, 1, tokens);
  const int64_t cached = std::clamp<int64_t>(kCachedLogits / vocab, 1, (at_once + 1) / 2);
  const at::Tensor of_student = at::empty({at_once, vocab}), of_teacher = at::empty({at_once, vocab});
  double loss = 0;
  for (int64_t first = 0; first < tokens; first += at_once) {
    const int64_t count = std::min(at_once, tokens - first);
    const at::Tensor states = student.states.narrow(0, first, count), logits = of_student.narrow(0, 0, count);
    kernels.ProductInto(states, student.head, logits);
    const at::Tensor wanted = of_teacher.narrow(0, 0, count);
    kernels.ProductInto(teacher.states.narrow(0, first, count), teacher.head, wanted);
    for (int64_t row = 0; row < count; row += cached) {
      const int64_t rows = std::min(cached, count - row);
      loss += LossOfLogits(options, logits.narrow(0, row, rows), wanted.narrow(0, row, rows),
                           next.narrow(0, first + row, rows), gradient ? gradient->scale : 1);
    }
    if (!gradient) continue;
    const at::Tensor of_states = gradient->states.narrow(0, first, count), factors = states.to(gradient->products);
    for (int64_t row = 0; row < vocab; row += kHeadRows) {
      const int64_t rows = std::min(kHeadRows, vocab - row);
      const at::Tensor of_logits = logits.narrow(1, row, rows).to(gradient->products);
      of_states.add_(at::mm(of_logits, student.head.narrow(0, row, rows).to(gradient->products)));
      gradient->head.narrow(0, row, rows).add_(at::mm(of_logits.t(), factors));
    }
  }
  return loss;
}

at::Tensor NextTokens(const at::Tensor& ids) {
  const int64_t tokens = ids.size(1);
  return at::cat({ids.narrow(1, 1, tokens - 1), at::full({ids.size(0), 1}, -1, ids.options())}, 1).flatten();
}

uint64_t VocabularyLossBytes(int64_t vocab_size) {
  const int64_t logits = std::max(kLogitsAtOnce, vocab_size), cached = std::max(kCachedLogits, vocab_size);
  return static_cast<uint64_t>(4 * (2 * logits + 4 * cached));
}

LossOptions ReadLoss(Options& options) {
  LossOptions loss;
  const std::string divergence = options.Choice("divergence", "forward", {"forward", "reverse", "js"},
                                                "KL from the teacher, KL to the teacher, or Jensen-Shannon");
  if (divergence == "reverse") loss.divergence = Distance::kReverse;
  if (divergence == "js") loss.divergence = Distance::kJensenShannon;
  loss.temperature =
      options.Number("temperature", loss.temperature, 0.01, 100, "that both models' logits are divided by");
  loss.cross_entropy = options.Number("cross_entropy", loss.cross_entropy, 0, 1e3,
                                      "weight of the text's own next tokens beside the teacher's predictions");
  return loss;
}

}  // namespace ecld
