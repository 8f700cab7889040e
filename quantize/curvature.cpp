#include "quantize/curvature.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "core/hash.h"
#include "core/json.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/progress.h"
#include "model/block_walker.h"
#include "model/embedding.h"
#include "model/statistics.h"
#include "quantize/hessian.h"
#include "quantize/nearest.h"

namespace ecld {
namespace {

class Curvature {
 public:
  Curvature(const Checkpoint& in, const AllocationSpace& space, const CurvatureOptions& options, PassContext& context)
      : in_(in),
        space_(space),
        options_(options),
        context_(context),
        statistics_(in, context),
        kernels_(in.config(), *context.pool),
        tokens_(static_cast<double>(context.calibration->windows.size()) *
                static_cast<double>(context.calibration->window_tok)) {}

  void Run() {
    if (TakeKept()) return;
    Progress progress("quantize.allocate", in_.config().num_layers + 1, "blocks");
    at::Tensor states = Embed(in_, context_.calibration->windows);
    for (int64_t layer = 0; layer < in_.config().num_layers; ++layer) {
      const Block block = Block::Load(in_, layer);
      in_.DropPages(layer);
      OfBlock(block, states);
      progress.Advance();
    }
    for (const AllocationUnit& unit : space_.units)
      if (unit.layer < 0 && !context_.rows.Find(unit.name)) OfEnd(unit, states);
    progress.Advance();
    Keep();
  }

 private:
  using Costs = std::vector<double>;  // by format

  // All that costs depend on beside model, text and seed, which the directory stands for.
  Json Question() const {
    Json units = Json::array(), formats = Json::array();
    for (const AllocationUnit& unit : space_.units) units.push_back(unit.name);
    for (const auto& format : space_.formats) formats.push_back(format ? Json(format->Name()) : Json());
    return {{"version", 1},
            {"units", units},
            {"formats", formats},
            {"clip", static_cast<int>(options_.clip)},
            {"damping", options_.hessian.damping},
            {"activation_order", options_.hessian.activation_order},
            {"output_damping", options_.output_damping}};
  }

  std::filesystem::path KeptFile() const {
    return statistics_.directory() / fmt::format("costs-{}.json", Sha256Hex(Question().dump()).substr(0, 16));
  }

  // Costs do not depend on the budget: another run with these statistics has them already.
  bool TakeKept() {
    const std::filesystem::path file = KeptFile();
    if (!std::filesystem::exists(file)) return false;
    const Json kept = ReadJsonFile(file);
    if (kept.at("question") != Question()) return false;
    for (const AllocationUnit& unit : space_.units) Record(unit, kept.at("kl_nats").at(unit.name).get<Costs>());
    LogInfo("quantize.allocate: costs are those of an earlier run with these statistics, {}", file.string());
    return true;
  }

  void Keep() const {
    Json costs = Json::object();
    for (const AllocationUnit& unit : space_.units) costs[unit.name] = context_.rows.Find(unit.name)->at("kl_nats");
    WriteJsonFile(KeptFile(), {{"question", Question()}, {"kl_nats", costs}});
  }

  // Leaves the states that leave the block in states.
  void OfBlock(const Block& block, at::Tensor& states) {
    std::vector<const AllocationUnit*> units;
    for (const AllocationUnit& unit : space_.units)
      if (unit.layer == block.layer() && !context_.rows.Find(unit.name)) units.push_back(&unit);
    if (units.empty()) return AdvanceStates(kernels_, block, states);
    const auto pivots = InputPivots(block, states);
    for (const AllocationUnit* unit : units) {
      Costs costs(space_.formats.size());
      for (const TensorSpec& member : unit->members) AddCosts(block, member, pivots[GroupIndex(member.role)], costs);
      Record(*unit, costs);
    }
  }

  // Of the inputs of each group; runs the states through the block.
  std::array<at::Tensor, kLinearGroups.size()> InputPivots(const Block& block, at::Tensor& states) {
    std::array<at::Tensor, kLinearGroups.size()> grams, shares, pivots;
    for (size_t i = 0; i < grams.size(); ++i)
      shares[i] = statistics_.TokenWeights(kLinearGroups[i].linears.front(), block.layer()).sqrt().unsqueeze(-1);
    const TorchOnOneThread one_thread;
    ForWindowBatches(states.size(0), states.size(1), [&](int64_t first, int64_t count) {
      BlockInputs inputs;
      at::Tensor part = states.narrow(0, first, count);
      part.copy_(block.Forward(kernels_, part, &inputs));
      for (size_t i = 0; i < grams.size(); ++i) {
        const at::Tensor& input = inputs.groups[i];
        if (!grams[i].defined()) grams[i] = at::zeros({input.size(2), input.size(2)}, at::kFloat);
        kernels_.AddGram(input * shares[i].narrow(0, first, count), grams[i]);
      }
    });
    for (size_t i = 0; i < grams.size(); ++i) pivots[i] = InputPivot(grams[i]);
    return pivots;
  }

  void AddCosts(const Block& block, const TensorSpec& linear, const at::Tensor& columns, Costs& costs) {
    const at::Tensor& weights = block.Parameter(linear.role);
    const int64_t rows = weights.size(0), step = MomentRows(rows);
    for (int64_t first = 0; first < rows; first += step) {
      const HessianRoot outputs = RootOf(statistics_.Moments(linear, first), options_.output_damping,
                                         options_.hessian.activation_order, *context_.pool);
      AddCosts(ViewOf(weights), first, std::min(step, rows - first), columns, PivotCosts(outputs), costs);
    }
  }

  // Takes the gram of one input, whose lower triangle is there.
  at::Tensor InputPivot(at::Tensor& gram) {
    Symmetrize(gram);
    return PivotCosts(
        RootOf(gram.div_(tokens_), options_.hessian.damping, options_.hessian.activation_order, *context_.pool));
  }

  void OfEnd(const AllocationUnit& unit, const at::Tensor& states) {
    const TensorSpec& target = unit.members.front();
    const bool input = target.role == Role::kEmbedding, head = !input || in_.config().tie_embeddings;
    const int64_t size = in_.config().hidden_size;
    at::Tensor gram = at::zeros({size, size}, at::kFloat);
    if (head) gram = FinalGram(in_, states, kernels_).div_(tokens_);
    if (input) gram += EmbeddingCurvature(statistics_, in_.config());
    const at::Tensor pivots =
        PivotCosts(RootOf(gram, options_.hessian.damping, options_.hessian.activation_order, *context_.pool));
    const at::Tensor probabilities = statistics_.TokenProbabilities();
    const WeightView weight = in_.Weight(Find(in_.table(), target.role));
    Costs costs(space_.formats.size());
    for (int64_t first = 0; first < weight.out_features; first += ChunkRows(size)) {
      const int64_t count = std::min(ChunkRows(size), weight.out_features - first);
      AddCosts(weight, first, count, pivots, probabilities.narrow(0, first, count), costs);
    }
    in_.DropPages(-1);
    Record(unit, costs);
  }

  // Of rows [first, first + count), by what an error of each column and of each of these rows costs.
  void AddCosts(const WeightView& weight, int64_t first, int64_t count, const at::Tensor& columns,
                const at::Tensor& rows, Costs& costs) {
    const at::Tensor dense = RowsOf(weight, first, count);
    for (size_t format = 0; format < costs.size(); ++format) {
      if (!space_.formats[format]) continue;
      const at::Tensor error = RoundRows(weight, first, count, *space_.formats[format], options_.clip,
                                         in_.config().dtype, *context_.pool, in_.directory().string())
                                   .Values(*context_.pool)
                                   .sub_(dense);
      costs[format] += error.square_().mv(columns).dot(rows).item<double>() / 2;
    }
  }

  void Record(const AllocationUnit& unit, const Costs& costs) {
    context_.rows.Add(unit.name, {{"name", unit.name}, {"kl_nats", costs}});
  }

  const Checkpoint& in_;
  const AllocationSpace& space_;
  const CurvatureOptions& options_;
  PassContext& context_;
  const OutputStatistics statistics_;
  BlockKernels kernels_;
  const double tokens_;
};

}  // namespace

void MeasureCurvature(const Checkpoint& in, const AllocationSpace& space, const CurvatureOptions& options,
                      PassContext& context) {
  at::NoGradGuard no_grad;
  Curvature(in, space, options, context).Run();
}

CurvatureCost CostOfCurvature(const PlanInput& input, const AllocationSpace& space, const CurvatureOptions& options) {
  const GradientWalkCost statistics = CostOfStatistics(input.config, input);
  const WalkMemory memory = MemoryOfWalk(input.config, input);
  std::vector<uint64_t> grams_B(static_cast<size_t>(input.config.num_layers));
  double kernel_flops = WalkFlops(input.config, input), weights = 0;
  const double tokens = static_cast<double>(input.calibration_windows * input.window_tok);
  for (const TensorSpec& spec : TensorTable(input.config)) {
    if (!spec.matrix()) continue;
    weights += static_cast<double>(spec.Elements());
    if (spec.layer < 0 || SharesInput(spec.role)) continue;
    kernel_flops += tokens * static_cast<double>(spec.shape[1] * spec.shape[1]);
    grams_B[static_cast<size_t>(spec.layer)] += 4 * static_cast<uint64_t>(spec.shape[1] * spec.shape[1]);
  }
  CurvatureCost cost;
  cost.peak_memory_B =
      std::max(statistics.memory_B, memory.block_B + memory.states_B + memory.batch_B + 3 * std::ranges::max(grams_B)) +
      kKeptFreeBytes;
  cost.scratch_B = statistics.scratch_B;
  if (!input.rates) return cost;
  cost.seconds = statistics.flops / input.rates->GemmFlops() + kernel_flops / input.rates->KernelFlops();
  for (const auto& format : space.formats)
    if (format) cost.seconds += weights / MeasureRoundRate(*format, options.clip, input.rates->pool());
  return cost;
}

}  // namespace ecld
