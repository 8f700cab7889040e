#pragma once
// The plan of a whole recipe: every stage planned from facts, the config threaded through, before a weight is read.
// A recipe that cannot work fails here, in milliseconds; `--dry-run` shows the plan and stops.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/json.h"
#include "model/pass.h"
#include "recipes/calibration.h"
#include "recipes/recipe.h"

namespace ecld {

// A stage made ready: its options are read and checked.
struct PreparedStage {
  std::string pass;   // "quantize.round"
  std::string where;  // "recipe.yaml:14: stages[2]"
  std::unique_ptr<Pass> object;
};

struct PlannedStage {
  std::string pass;
  uint64_t input_B = 0;  // weight bytes
  Planned planned;
};

struct RunPlan {
  std::vector<PlannedStage> stages;
  std::vector<CalibrationFile> calibration;  // filled in by whoever reads the texts
  Json quantized_already;                    // null, or what becomes of an input that is (Translation::ToJson)
  uint64_t process_B = 0;        // measured: this process before any work, which is a part of every stage's memory
  uint64_t peak_memory_B = 0;    // of the hungriest stage
  uint64_t memory_budget_B = 0;  // given, or what the machine has free
  uint64_t disk_B = 0;           // most that outputs, stages and scratch take at one time
  uint64_t free_disk_B = 0;
  double seconds = 0;  // 0: some pass cannot say
};

struct PlanRequest {
  const Checkpoint* input = nullptr;
  const Checkpoint* teacher = nullptr;  // null: the input
  const CalibrationOptions* calibration = nullptr;
  MachineRates* rates = nullptr;
  std::filesystem::path out;
  uint64_t memory_budget_B = 0;  // 0: what the machine has free
  uint64_t disk_in_use_B = 0;    // already taken by an unfinished run that is resumed
  bool keep_stages = false;
};

bool NeedsCalibration(const std::vector<PreparedStage>& stages);
bool NeedsTexts(const std::vector<PreparedStage>& stages);
bool NeedsTeacher(const std::vector<PreparedStage>& stages);

// What stage `index` may know, when its input has this config.
PlanInput InputOf(const PreparedStage& stage, const ModelConfig& config, const PlanRequest& request);

// THROWS Error: whatever a pass refuses; more memory than the budget; more disk than is free (with numbers).
RunPlan PlanRun(const std::vector<PreparedStage>& stages, const PlanRequest& request);

// schema "ecld.plan", version 1.
Json ToJson(const RunPlan& plan);

}  // namespace ecld
