#include "quantize/allocate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/progress.h"
#include "model/block_walker.h"
#include "model/tensor_walker.h"
#include "quantize/scheme_options.h"

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

// Nats per token of every unit in every format, [unit][format]. Those that a killed run has found are in its rows.
std::vector<std::vector<double>> CostsOf(const AllocateOptions& options, const Problem& problem, const Checkpoint& in,
                                         PassContext& context) {
  const std::vector<AllocationUnit>& units = problem.space.units;
  const ReportRows& rows = context.rows;
  if (!std::all_of(units.begin(), units.end(), [&](const auto& unit) { return rows.Find(unit.name) != nullptr; })) {
    if (options.measured) {
      SensitivityOptions sensitivity = options.sensitivity;
      sensitivity.anchor = problem.anchor;
      MeasureSensitivity(in, problem.space, sensitivity, context);
    } else {
      MeasureCurvature(in, problem.space, options.curvature, context);
    }
  }
  std::vector<std::vector<double>> costs;
  for (const AllocationUnit& unit : units)
    costs.push_back(rows.Find(unit.name)->at("kl_nats").get<std::vector<double>>());
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
  if (options_.measured) {
    SensitivityOptions sensitivity = options_.sensitivity;
    sensitivity.anchor = problem.anchor;
    const SensitivityCost cost =
        CostOfSensitivity(problem.dense, input.window_tok, input.calibration_windows, problem.space, sensitivity);
    planned.peak_memory_B = cost.peak_memory_B;
    if (input.rates) planned.seconds = cost.flops / input.rates->GemmFlops();
  } else {
    const CurvatureCost cost = CostOfCurvature(input, problem.space, options_.curvature);
    planned.peak_memory_B = cost.peak_memory_B;
    planned.scratch_disk_B = cost.scratch_B;
    planned.seconds = cost.seconds;
  }
  planned.notes.push_back(
      fmt::format("{} matrices or groups of them get one of {} formats each, within {}; which, the measurement decides",
                  problem.space.units.size(), problem.space.formats.size(), FormatBytes(problem.budget_B)));
  return planned;
}

void AllocatePass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  const std::string where = "quantize.allocate";
  const Problem problem = ProblemOf(options_, in.config(), where);
  const auto costs = CostsOf(options_, problem, in, context);
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
  report["anchor"] = !options_.measured || options_.sensitivity.exact ? Json(nullptr) : names[problem.anchor];
  report["budget_B"] = problem.budget_B;
  report["allocated_B"] = allocation.weights_B;
  report["sum_of_kl_nats"] = total;
  report["units"] = std::move(units);

  const auto copy = [&](const TensorSpec& spec) -> Json {
    out.CopyFrom(in, spec);
    return nullptr;
  };
  WalkTensors(in, out, context, {.label = where, .write = copy, .lost_row = nullptr});
}

std::unique_ptr<Pass> MakeAllocate(Options& options) {
  AllocateOptions allocate;
  allocate.budget_MB = options.Number("budget_MB", 0, 0, 1e9,
                                      "of all weights of the result, in millions of bytes; 0: bits_per_weight says it");
  allocate.bits_per_weight = options.Number("bits_per_weight", 0, 0, 32,
                                            "the same as a mean over all parameters, scales and dense ones included");
  PackedFormat fallback{.bits = 4, .group_size = 32, .symmetric = false};
  for (Options item : options.List("formats",
                                   "what a matrix may become: mappings of bits, group_size, symmetric; "
                                   "without it 2 to 6 and 8 bits, asymmetric, in groups of 32, 64 and 128")) {
    allocate.formats.emplace_back(ReadFormat(item, fallback));
    item.Finish();
  }
  if (allocate.formats.empty())
    for (int bits : {2, 3, 4, 5, 6, 8})
      for (int64_t group_size : {32, 64, 128}) allocate.formats.emplace_back(PackedFormat{bits, group_size, false});
  if (options.Bool("dense", false, "a matrix may also stay as it is")) allocate.formats.emplace_back(std::nullopt);
  allocate.fuse = options.Bool("fuse", allocate.fuse, "q, k, v of a block share a format, and gate, up");
  allocate.embeddings = options.Bool("embeddings", allocate.embeddings, "the embedding may be packed");
  allocate.lm_head = options.Bool("lm_head", allocate.lm_head, "a head that is not tied may be packed");
  allocate.measured = options.Choice("costs", "curvature", {"curvature", "measured"},
                                     "of a format: by the curvature of KL, for gptq with output: kl after it; or "
                                     "measured, of rounding to nearest") == "measured";
  allocate.sensitivity.exact =
      options.Bool("exact", allocate.sensitivity.exact,
                   "with costs: measured, run each matrix in every format; otherwise in one, and the others by "
                   "their output errors");
  allocate.sensitivity.sample_tok =
      options.Int("sample_tok", allocate.sensitivity.sample_tok, 1, 1 << 24,
                  "with costs: measured, tokens of the calibration text that are looked at");
  allocate.sensitivity.clip = allocate.curvature.clip = ReadClip(options, "mse");
  return std::make_unique<AllocatePass>(std::move(allocate));
}

}  // namespace ecld
