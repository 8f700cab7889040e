#include "quantize/allocate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/progress.h"
#include "model/block_walker.h"
#include "quantize/round.h"

namespace ecld {
namespace {

struct Problem {
  ModelConfig dense;  // without an allocation
  AllocationSpace space;
  uint64_t budget_B = 0;
  size_t anchor = 0;
};

uint64_t UniformBytes(const AllocationSpace& space, size_t format) {
  uint64_t bytes = space.fixed_B;
  for (const auto& unit : space.bytes) bytes += unit[format];
  return bytes;
}

// The packing format that comes nearest to filling the budget when all matrices have it: errors are measured where the
// choice will lie.
size_t AnchorOf(const AllocationSpace& space, uint64_t budget_B) {
  size_t best = 0;
  double best_distance = INFINITY;
  for (size_t i = 0; i < space.formats.size(); ++i) {
    const double distance =
        std::abs(std::log(static_cast<double>(UniformBytes(space, i)) / static_cast<double>(budget_B)));
    if (!space.formats[i] || distance >= best_distance) continue;
    best = i;
    best_distance = distance;
  }
  return best;
}

Problem ProblemOf(const AllocateOptions& options, const ModelConfig& config, const std::string& where) {
  Problem problem{.dense = config};
  problem.dense.allocation.reset();
  if ((options.budget_MB > 0) == (options.bits_per_weight > 0))
    Fail(where, "give budget_MB or bits_per_weight, one of them; found {} and {}", options.budget_MB,
         options.bits_per_weight);
  problem.budget_B = static_cast<uint64_t>(options.budget_MB > 0 ? std::round(options.budget_MB * 1e6)
                                                                 : options.bits_per_weight *
                                                                       static_cast<double>(ParameterCount(config)) / 8);
  for (const auto& format : options.formats)
    if (format) CheckFormat(*format, where + ".formats");
  problem.space = SpaceOf(problem.dense, options.formats, options.fuse, options.embeddings, options.lm_head);
  uint64_t least_B = problem.space.fixed_B;
  for (const auto& unit : problem.space.bytes) least_B += *std::min_element(unit.begin(), unit.end());
  if (least_B > problem.budget_B)
    Fail(where, "the budget of {} bytes is below the {} that the smallest formats take ({} of them stay dense)",
         problem.budget_B, least_B, problem.space.fixed_B);
  problem.anchor = AnchorOf(problem.space, problem.budget_B);
  return problem;
}

std::vector<size_t> Choose(const Problem& problem, const std::vector<std::vector<double>>& costs) {
  std::vector<KnapsackClass> classes;
  for (size_t i = 0; i < costs.size(); ++i) {
    KnapsackClass& choices = classes.emplace_back();
    for (size_t f = 0; f < costs[i].size(); ++f) choices.push_back({problem.space.bytes[i][f], costs[i][f]});
  }
  return SolveKnapsack(classes, problem.budget_B - problem.space.fixed_B);
}

// Before anything was measured: an error falls fourfold with each bit, and all weights matter alike.
std::vector<std::vector<double>> GuessedCosts(const AllocationSpace& space) {
  std::vector<std::vector<double>> costs;
  for (const AllocationUnit& unit : space.units) {
    double elements = 0;
    for (const TensorSpec& member : unit.members) elements += static_cast<double>(member.Elements());
    auto& row = costs.emplace_back();
    for (const auto& format : space.formats) row.push_back(format ? elements * std::exp2(-2 * format->bits) : 0);
  }
  return costs;
}

std::string FormatName(const std::optional<PackedFormat>& format, const ModelConfig& config) {
  return format ? format->Name() : std::string(Name(config.dtype));
}

}  // namespace

Planned AllocatePass::Plan(const PlanInput& input) const {
  RequireDenseAndCalibrated(input);
  const Problem problem = ProblemOf(options_, input.config, input.where);
  Planned planned;
  planned.config = problem.dense;
  planned.config.allocation =
      AllocationOf(problem.dense, problem.space, Choose(problem, GuessedCosts(problem.space)), input.where);
  planned.output_B = WeightFileBytes(problem.dense);
  SensitivityOptions sensitivity = options_.sensitivity;
  sensitivity.anchor = problem.anchor;
  const SensitivityCost cost =
      CostOfSensitivity(problem.dense, input.window_tok, input.calibration_windows, problem.space, sensitivity);
  planned.peak_memory_B = cost.peak_memory_B;
  if (input.gemm_flops > 0) planned.seconds = cost.flops / input.gemm_flops;
  planned.notes.push_back(
      fmt::format("{} matrices or groups of them get one of {} formats each, within {}; which, the measurement decides",
                  problem.space.units.size(), problem.space.formats.size(), FormatBytes(problem.budget_B)));
  return planned;
}

void AllocatePass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  const std::string where = "quantize.allocate";
  const Problem problem = ProblemOf(options_, in.config(), where);
  SensitivityOptions sensitivity = options_.sensitivity;
  sensitivity.anchor = problem.anchor;
  const auto costs = MeasureSensitivity(in, *context.calibration, problem.space, sensitivity, context.rows);
  const std::vector<size_t> chosen = Choose(problem, costs);
  const Allocation allocation = AllocationOf(problem.dense, problem.space, chosen, where);

  ModelConfig decided = problem.dense;
  decided.allocation = allocation;
  (*context.decided)[kAllocationKey] = ToJson(decided).at(kAllocationKey);
  Json& report = *context.report;
  double total = 0;
  Json units = context.rows.All(), names = Json::array();
  for (const auto& format : problem.space.formats) names.push_back(FormatName(format, problem.dense));
  for (size_t i = 0; i < chosen.size(); ++i) {
    total += costs[i][chosen[i]];
    for (Json& row : units) {
      if (row.at("name") != problem.space.units[i].name) continue;
      row["format"] = names[chosen[i]];
      row["bytes"] = problem.space.bytes[i];
    }
  }
  report["formats"] = names;
  report["anchor"] = options_.sensitivity.exact ? Json(nullptr) : names[problem.anchor];
  report["budget_B"] = problem.budget_B;
  report["allocated_B"] = allocation.weights_B;
  report["sum_of_kl_nats"] = total;
  report["units"] = std::move(units);

  for (const TensorSpec& spec : out.table()) {
    if (!out.IsWritten(spec)) out.CopyFrom(in, spec);
    out.Commit();
  }
}

}  // namespace ecld
