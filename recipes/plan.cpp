#include "recipes/plan.h"

#include <algorithm>

#include "checkpoint/foreign/translation.h"
#include "core/document.h"
#include "core/error.h"
#include "core/files.h"
#include "core/memory.h"
#include "core/progress.h"
#include "recipes/sampled_calibration.h"

namespace ecld {
namespace {

constexpr DocumentKind kPlanDocument{"ecld.plan", "1.0.0"};

template <class Needed>
bool AnyStage(const std::vector<PreparedStage>& stages, Needed needed) {
  return std::any_of(stages.begin(), stages.end(), [&](const auto& stage) { return needed(stage.object->Needs()); });
}

void CheckMemory(const PreparedStage& stage, const Planned& planned, const PlanRequest& request, uint64_t budget) {
  if (planned.peak_memory_B <= budget) return;
  Fail(stage.where, "{} needs {} of memory, {} {}", stage.pass, FormatBytes(planned.peak_memory_B),
       request.memory_budget_B > 0 ? "the budget is" : "the machine has free",
       FormatBytes(budget) + (request.memory_budget_B > 0 ? "" : "; --memory-budget overrides this"));
}

// Stage outputs are removed as soon as the next one is published, unless they are kept.
uint64_t PeakDisk(const std::vector<PlannedStage>& stages, bool keep_stages) {
  uint64_t peak = 0, standing = 0;
  for (const PlannedStage& stage : stages) {
    peak = std::max(peak, standing + stage.planned.output_B + stage.planned.scratch_disk_B);
    standing = keep_stages ? standing + stage.planned.output_B : stage.planned.output_B;
  }
  return peak;
}

}  // namespace

bool NeedsCalibration(const std::vector<PreparedStage>& stages) {
  return AnyStage(stages, [](const PassNeeds& needs) { return needs.calibration; });
}

bool NeedsTexts(const std::vector<PreparedStage>& stages) {
  return AnyStage(stages, [](const PassNeeds& needs) { return needs.texts; });
}

bool NeedsTeacher(const std::vector<PreparedStage>& stages) {
  return AnyStage(stages, [](const PassNeeds& needs) { return needs.teacher; });
}

PlanInput InputOf(const PreparedStage& stage, const ModelConfig& config, const PlanRequest& request) {
  PlanInput input;
  input.config = config;
  if (stage.object->Needs().teacher) input.teacher = (request.teacher ? request.teacher : request.input)->config();
  if (stage.object->Needs().calibration) {
    input.calibration_windows = request.calibration->windows;
    input.window_tok = request.calibration->window_tok;
  }
  if (stage.object->Needs().texts) input.texts = request.calibration->texts;
  input.tokenizer = request.input->directory();
  input.tokenizer_vocab_size = request.input->config().vocab_size;
  input.rates = request.rates;
  input.where = stage.where;
  return input;
}

RunPlan PlanRun(const std::vector<PreparedStage>& stages, const PlanRequest& request) {
  RunPlan plan;
  plan.memory_budget_B = request.memory_budget_B > 0 ? request.memory_budget_B : AvailableMemoryBytes();
  if (request.input->translation()) plan.quantized_already = request.input->translation()->ToJson();
  ModelConfig config = request.input->config();
  uint64_t input_B = request.input->WeightBytes();
  bool seconds_known = true;
  for (const PreparedStage& stage : stages) {
    Planned planned = stage.object->Plan(InputOf(stage, config, request));
    config = planned.config;
    plan.seconds += planned.seconds;
    seconds_known = seconds_known && planned.seconds > 0;
    plan.stages.push_back({stage.pass, input_B, std::move(planned)});
    input_B = plan.stages.back().planned.output_B;
  }
  plan.process_B = AnonymousBytes();  // with what measuring the machine has left
  for (size_t index = 0; index < stages.size(); ++index) {
    Planned& planned = plan.stages[index].planned;
    planned.peak_memory_B += plan.process_B;
    CheckMemory(stages[index], planned, request, plan.memory_budget_B);
    plan.peak_memory_B = std::max(plan.peak_memory_B, planned.peak_memory_B);
  }
  if (NeedsCalibration(stages) && request.calibration->FromModel()) {
    const SamplingCost sampling = CostOfSampling(*request.calibration, *request.input);
    plan.seconds += sampling.seconds;
    plan.peak_memory_B = std::max(plan.peak_memory_B, plan.process_B + sampling.memory_B);
  }
  if (!seconds_known) plan.seconds = 0;

  plan.disk_B = PeakDisk(plan.stages, request.keep_stages);
  plan.free_disk_B = FreeDiskBytes(request.out);
  if (plan.disk_B > plan.free_disk_B + request.disk_in_use_B)
    Fail(request.out.string(), "the run needs {} of disk, {} are free", FormatBytes(plan.disk_B),
         FormatBytes(plan.free_disk_B + request.disk_in_use_B));
  return plan;
}

Json ToJson(const RunPlan& plan) {
  auto seconds = [](double value) { return value > 0 ? Json(value) : Json(nullptr); };
  Json stages = Json::array();
  for (const PlannedStage& stage : plan.stages) {
    const Planned& planned = stage.planned;
    stages.push_back({{"pass", stage.pass},
                      {"input_B", stage.input_B},
                      {"output_B", planned.output_B},
                      {"params", ParameterCount(planned.config)},
                      {"peak_memory_B", planned.peak_memory_B},
                      {"scratch_disk_B", planned.scratch_disk_B},
                      {"time_s", seconds(planned.seconds)},
                      {"notes", planned.notes}});
  }
  Json json = NewDocument(kPlanDocument, {{"stages", stages},
                                          {"peak_memory_B", plan.peak_memory_B},
                                          {"memory_budget_B", plan.memory_budget_B},
                                          {"disk_B", plan.disk_B},
                                          {"free_disk_B", plan.free_disk_B},
                                          {"time_s", seconds(plan.seconds)}});
  if (!plan.quantized_already.is_null()) json["quantized_already"] = plan.quantized_already;
  return json;
}

}  // namespace ecld
