#include "distill/training.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <span>

#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/progress.h"
#include "distill/curve.h"
#include "distill/held_out.h"
#include "distill/saved_state.h"
#include "distill/student_gradient.h"
#include "distill/teacher.h"
#include "model/block_training.h"
#include "model/block_walker.h"

namespace ecld {
namespace {

constexpr const char *kLast = "last.state", *kBest = "best.state";
constexpr uint64_t kKeptBytes = uint64_t{1} << 30;  // of a block's graph, until that of the next is made

using Windows = std::vector<std::vector<int32_t>>;

// What trains, and what only judges.
struct Split {
  Windows trained;
  std::vector<HeldOutText> held_out;
};

Split SplitWindows(const TrainingOptions& options, const Checkpoint& in, const TokenWindows& calibration) {
  if (!options.held_out_texts.empty())
    return {calibration.windows,
            ReadHeldOut(options.held_out_texts, options.held_out_windows, calibration.window_tok, in)};
  const int64_t held_out = HeldOutWindows(std::ssize(calibration.windows), options.held_out);
  const auto middle = calibration.windows.end() - held_out;
  HeldOutText last{"calibration", Windows(middle, calibration.windows.end())};
  return {Windows(calibration.windows.begin(), middle), {std::move(last)}};
}

// Of all that a saved state depends on but the options: a run of other options does not find this scratch directory.
std::string KeyOf(const Checkpoint& in, const Checkpoint& teacher, const Split& split) {
  Sha256 hash;
  hash.Update(in.QuickIdentity() + teacher.QuickIdentity());
  const auto add = [&](const Windows& windows) {
    for (const auto& window : windows) hash.Update(std::as_bytes(std::span(window)));
  };
  add(split.trained);
  for (const HeldOutText& text : split.held_out) add(text.windows);
  return hash.HexDigest();
}

class Training {
 public:
  Training(std::string_view label, const TrainingOptions& options, const Checkpoint* begun_as, const Checkpoint& in,
           PassContext& context)
      : Training(label, options, begun_as, in, context, SplitWindows(options, in, *context.calibration)) {}

  void Run();
  void Finish(CheckpointWriter& out);

 private:
  Training(std::string_view label, const TrainingOptions& options, const Checkpoint* begun_as, const Checkpoint& in,
           PassContext& context, Split split);

  Windows WindowsOf(int64_t step) const;
  int64_t TokensBefore(int64_t step) const;
  double Step();
  void Judge(double train_loss, double seconds);
  std::vector<at::Tensor> State() const;

  std::string label_;
  const TrainingOptions& options_;
  const Checkpoint& in_;
  PassContext& context_;
  Windows windows_;
  int64_t window_tok_, steps_of_epoch_, steps_;
  Teacher teacher_;
  HeldOut held_out_;
  Student student_;
  StudentGradient gradient_;
  SavedState saved_;
  int64_t step_ = 0;  // taken
  Curve curve_;
};

Training::Training(std::string_view label, const TrainingOptions& options, const Checkpoint* begun_as,
                   const Checkpoint& in, PassContext& context, Split split)
    : label_(label),
      options_(options),
      in_(in),
      context_(context),
      windows_(split.trained),
      window_tok_(context.calibration->window_tok),
      steps_of_epoch_((std::ssize(windows_) + options.batch_windows - 1) / options.batch_windows),
      steps_(options.epochs * steps_of_epoch_),
      teacher_(*context.teacher, in, *context.pool),
      held_out_(split.held_out, teacher_),
      student_(in, begun_as, *context.pool),
      gradient_(student_, options.loss, *context.pool),
      saved_(context.scratch, KeyOf(in, *context.teacher, split), *context.pool),
      curve_(held_out_.Names(), std::min(options.evaluations, steps_) + 1) {}

std::vector<at::Tensor> Training::State() const {
  std::vector<at::Tensor> state = student_.parameters().State(/*with_moments=*/true);
  state.push_back(curve_.table());
  return state;
}

void Training::Run() {
  using Clock = std::chrono::steady_clock;
  KeepFreeMemory(kKeptBytes);
  if (saved_.Load(kLast, State())) {
    student_.parameters().Refresh();
    step_ = curve_.back().step;
    LogInfo("{}: goes on after step {} of {}", label_, step_, steps_);
  } else {
    Judge(std::numeric_limits<double>::quiet_NaN(), 0);
  }
  Progress progress(label_, TokensBefore(steps_), "tokens", TokensBefore(step_));
  double loss = 0;
  int64_t of_steps = 0;
  auto since = Clock::now();
  while (step_ < steps_) {
    const double of_step = Step();
    loss += of_step;
    ++of_steps;
    progress.Advance(TokensBefore(step_) - TokensBefore(step_ - 1),
                     fmt::format("step {}, loss {:.4f}", step_, of_step));
    const int64_t points = curve_.capacity() - 1;
    if (step_ * points / steps_ == (step_ - 1) * points / steps_) continue;
    const auto now = Clock::now();
    Judge(loss / static_cast<double>(of_steps), std::chrono::duration<double>(now - since).count());
    saved_.Save(kLast, State());
    loss = 0;
    of_steps = 0;
    since = Clock::now();
  }
  KeepFreeMemory();
  ReturnFreeMemory();
}

Windows Training::WindowsOf(int64_t step) const {
  const int64_t epoch = step / steps_of_epoch_, first = step % steps_of_epoch_ * options_.batch_windows;
  Random random(context_.seed + static_cast<uint64_t>(epoch));
  const std::vector<int64_t> order = ShuffledIndices(std::ssize(windows_), random);
  Windows batch;
  for (int64_t i = first; i < std::min(first + options_.batch_windows, std::ssize(windows_)); ++i)
    batch.push_back(windows_[static_cast<size_t>(order[static_cast<size_t>(i)])]);
  return batch;
}

int64_t Training::TokensBefore(int64_t step) const {
  const int64_t windows =
      step / steps_of_epoch_ * std::ssize(windows_) + step % steps_of_epoch_ * options_.batch_windows;
  return windows * window_tok_;
}

// Returns its mean loss.
double Training::Step() {
  const Windows windows = WindowsOf(step_);
  const at::Tensor ids = IdTensor(windows), wanted = teacher_.States(windows);
  const auto tokens = static_cast<double>(ids.numel());
  double loss = 0;
  ForWindowBatches(ids.size(0), window_tok_, [&](int64_t first, int64_t count) {
    const Predicting teacher{wanted.narrow(0, first * window_tok_, count * window_tok_), teacher_.head()};
    loss += gradient_.Add(ids.narrow(0, first, count), teacher, 1 / tokens);
  });
  if (!std::isfinite(loss))
    Fail(label_,
         "the loss of step {} of {} is not a number, and was one until then: the learning rate may be too high; "
         "the best state so far is that of step {}",
         step_ + 1, steps_, curve_.best().step);
  student_.parameters().Step(options_.rates, RateAt(step_, steps_, options_.warm_up));
  ++step_;
  return loss / tokens;
}

void Training::Judge(double train_loss, double seconds) {
  Curve::Point point{.step = step_,
                     .tokens = TokensBefore(step_),
                     .rate = step_ < steps_ ? RateAt(step_, steps_, options_.warm_up) : 0,
                     .train_loss = train_loss,
                     .seconds = seconds,
                     .held_out = held_out_.Losses(options_.loss, student_, *context_.pool)};
  for (const double loss : point.held_out)
    if (!std::isfinite(loss))
      Fail(label_, "a held-out loss after step {} of {} is not a number: the learning rate may be too high", step_,
           steps_);
  const bool best = curve_.Add(point);
  if (best && step_ > 0) saved_.Save(kBest, student_.parameters().State(/*with_moments=*/false));
  LogInfo("{}: step {} of {}: {}", label_, step_, steps_, curve_.Describe());
  if (!options_.curve.empty()) WriteFileAtomically(options_.curve, curve_.Csv());
}

void Training::Finish(CheckpointWriter& out) {
  const bool helped = curve_.best().step > 0;
  if (helped) {
    if (!saved_.Load(kBest, student_.parameters().State(/*with_moments=*/false)))
      Fail((context_.scratch / kBest).string(), "is gone or damaged; --restart starts the run over");
    student_.parameters().Refresh();
    student_.parameters().Write(out);
  } else {
    for (const TensorSpec& spec : out.table())
      if (!out.IsWritten(spec)) out.CopyFrom(in_, spec);
  }
  Json& report = *context_.report;
  report["steps"] = steps_;
  report["best_step"] = curve_.best().step;
  report["trained"] = helped;
  report["curve"] = curve_.ToJson();
  curve_.AddRows(context_.rows, helped);
  report["held_out"] = context_.rows.All();
  if (!helped) LogWarning("{}: training did not help; the model stays as it was", label_);
}

}  // namespace

void RunTraining(std::string_view label, const TrainingOptions& options, const Checkpoint* begun_as,
                 const Checkpoint& in, CheckpointWriter& out, PassContext& context) {
  Training training(label, options, begun_as, in, context);
  training.Run();
  training.Finish(out);
}

}  // namespace ecld
