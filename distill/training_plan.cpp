#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "core/options.h"
#include "distill/teacher.h"
#include "distill/training.h"
#include "model/block_training.h"
#include "model/block_walker.h"

namespace ecld {
namespace {

// Of a run of one token, forward.
struct TokenFlops {
  double blocks = 0, head = 0;
};

TokenFlops FlopsOf(const ModelConfig& config, const PlanInput& input) {
  PlanInput one = input;
  one.calibration_windows = 1;
  return {(WalkFlops(config, one) + AttentionFlops(config, one)) / static_cast<double>(input.window_tok),
          2.0 * static_cast<double>(config.hidden_size) * static_cast<double>(input.config.vocab_size)};
}

// What differs from a product at full speed, measured: everything between the products, on the way back.
constexpr double kBackwardSlower = 1.0;

}  // namespace

Planned PlanTraining(const TrainingOptions& options, const PlanInput& input) {
  if (!input.teacher) Fail(input.where, "needs a teacher");
  RequireCalibrated(input);
  if (options.epochs < 1) Fail(input.where + ".epochs", "{} is below 1", options.epochs);
  if (options.batch_windows < 1) Fail(input.where + ".batch_windows", "{} is below 1", options.batch_windows);
  const ModelConfig &student = input.config, &teacher = *input.teacher;
  RequireRoomForTokens(input);
  const auto texts = std::ssize(options.held_out_texts);
  if (texts == 0) RequireWindowsToTrainOn(input, options.batch_windows, options.held_out);
  for (const std::string& text : options.held_out_texts)
    if (!std::filesystem::exists(ParseTextSource(text, true).path))
      Fail(input.where + ".held_out_texts", "{} is not there", text);

  const int64_t held_out =
      texts > 0 ? texts * options.held_out_windows : HeldOutWindows(input.calibration_windows, options.held_out);
  const int64_t windows = input.calibration_windows - (texts > 0 ? 0 : held_out);
  const auto window_tok = static_cast<double>(input.window_tok);
  const double trained = static_cast<double>(options.epochs * windows) * window_tok;
  const double judged = static_cast<double>(held_out) * window_tok;

  Planned planned;
  planned.config = student;
  planned.output_B = WeightFileBytes(student);
  const WalkMemory own = MemoryOfWalk(student, input), its = MemoryOfWalk(teacher, input);
  const auto batch_tok = static_cast<uint64_t>(std::max(kWalkBatchTok, input.window_tok));
  const auto entering_B = 4 * batch_tok * static_cast<uint64_t>(student.hidden_size * (student.num_layers + 2));
  const auto step_tok = static_cast<uint64_t>(options.batch_windows) * static_cast<uint64_t>(input.window_tok);
  const auto wanted_B = 4 * (step_tok + static_cast<uint64_t>(judged)) * static_cast<uint64_t>(teacher.hidden_size);
  const auto heads_B = static_cast<uint64_t>(6 * student.vocab_size * teacher.hidden_size);
  planned.peak_memory_B = Student::Bytes(student) + wanted_B + heads_B + entering_B + its.block_B +
                          std::max(5 * own.batch_B / 2, VocabularyLossBytes(student.vocab_size));
  // Parameters and moments, old and new; and the best parameters, old and new.
  planned.scratch_disk_B = 2 * Student::Bytes(student);

  const double steps = static_cast<double>(options.epochs) *
                       static_cast<double>((windows + options.batch_windows - 1) / options.batch_windows);
  planned.notes.push_back(fmt::format("{:.0f} steps of {} tokens, {:.0f} in all; judged {} times by {:.0f} tokens",
                                      steps, step_tok, trained, options.evaluations + 1, judged));
  if (input.rates) {
    const TokenFlops mine = FlopsOf(student, input), theirs = FlopsOf(teacher, input);
    const double forward = mine.blocks + mine.head + theirs.blocks + theirs.head;
    const double back = kBackwardSlower * (3 * mine.blocks + 2 * mine.head);
    const double judging = mine.blocks + mine.head + theirs.head;
    const double kernels = input.rates->KernelFlops();
    const double torch = student.dtype == DType::kBF16 ? kernels : input.rates->GemmFlops();
    planned.seconds = trained * (forward / kernels + back / torch) +
                      judged * (static_cast<double>(options.evaluations + 1) * judging + theirs.blocks) / kernels;
  }
  return planned;
}

void ReadTraining(Options& options, TrainingOptions& training) {
  training.epochs = options.Int("epochs", training.epochs, 1, 10'000, "times the student sees each window");
  training.batch_windows = options.Int("batch_windows", training.batch_windows, 1, 1 << 16, "windows of one step");
  training.rates.weight_decay = options.Number("weight_decay", training.rates.weight_decay, 0, 1,
                                               "of AdamW: how much of dense matrices each step takes away");
  training.warm_up = options.Number("warm_up", training.warm_up, 0, 1,
                                    "share of the steps in which the rates rise; then they fall to zero");
  training.evaluations =
      options.Int("evaluations", training.evaluations, 1, 10'000,
                  "times that the held-out texts judge, after the first; a killed run goes on there");
  training.held_out_texts =
      options.Strings("held_out_texts", training.held_out_texts,
                      "files that judge, best of two domains; none: a part of the calibration text");
  training.held_out_windows =
      options.Int("held_out_windows", training.held_out_windows, 1, 1 << 20, "of each text that judges");
  training.held_out = options.Number("held_out", training.held_out, 0, 0.9,
                                     "where no held_out_texts are named: share of the windows that only judge");
  training.loss = ReadLoss(options);
  training.curve = options.String("curve", training.curve, "a CSV file for the curve; none where empty");
}

}  // namespace ecld
