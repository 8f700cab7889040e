#pragma once
// Training a whole student towards its teacher's predictions: what distill.logits and distill.quantized share.
//
// Texts that are not trained on judge the student before the first step and from then on, as it would be read back
// from the file. The best state is what is written; when none is better than the first, the input is, bit for bit, and
// the report says so. From each judgement a killed run goes on, to the same bytes.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "distill/student.h"
#include "distill/vocabulary_loss.h"
#include "model/pass.h"

namespace ecld {

class Options;

struct TrainingOptions {
  int64_t epochs = 1;         // times each window is seen
  int64_t batch_windows = 8;  // windows of one step
  LearningRates rates;
  double warm_up = 0.05;     // share of the steps in which rates rise; then they fall as a cosine, to zero
  int64_t evaluations = 10;  // after the first
  std::vector<std::string> held_out_texts;  // files; none: the last windows of the calibration text
  int64_t held_out_windows = 8;             // of each file
  double held_out = 0.1;                    // share of the calibration windows, where no file is named
  LossOptions loss;
  std::string curve;  // a CSV file, where it is to be kept; empty: none
};

void ReadTraining(Options& options, TrainingOptions& training);

// THROWS Error for what cannot be.
Planned PlanTraining(const TrainingOptions& options, const PlanInput& input);

// begun_as: as Student. THROWS Error: what Teacher and ReadHeldOut throw; a loss that is not a number, with its step.
void RunTraining(std::string_view label, const TrainingOptions& options, const Checkpoint* begun_as,
                 const Checkpoint& in, CheckpointWriter& out, PassContext& context);

}  // namespace ecld
