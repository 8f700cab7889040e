#include "quantize/sensitivity.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/memory.h"
#include "core/progress.h"
#include "model/block_walker.h"
#include "model/embedding.h"
#include "model/streamed_kl.h"
#include "quantize/nearest.h"

namespace ecld {
namespace {

// Final states of a model that differs from the original in one unit; head: the format of its head, when that differs.
struct Variant {
  at::Tensor states;
  std::optional<PackedFormat> head;
};

class Sensitivity {
 public:
  Sensitivity(const Checkpoint& in, const AllocationSpace& space, const SensitivityOptions& options,
              PassContext& context)
      : in_(in), space_(space), options_(options), rows_(context.rows), pool_(*context.pool) {
    const TokenWindows& calibration = *context.calibration;
    const int64_t windows = SampleWindows(options.sample_tok, calibration.window_tok, std::ssize(calibration.windows));
    ids_.assign(calibration.windows.begin(), calibration.windows.begin() + windows);
  }

  void Run() {
    KeepFreeMemory();
    Progress progress("quantize.allocate", in_.config().num_layers + 2, "blocks");
    at::Tensor states = Embed(in_, ids_);
    reference_ = states.clone();
    ReadBlocks(in_, 0, {&reference_});
    progress.Advance();
    MeasureEnds();
    progress.Advance();
    ReadBlocks(in_, 0, {&states}, [&](const Block& block) {
      MeasureBlock(block, states);
      progress.Advance();
    });
  }

 private:
  std::vector<double> DivergencesOf(const std::vector<Variant>& variants) {
    const WeightView head = in_.Head();
    std::vector<at::Tensor> states;
    states.reserve(variants.size());
    for (const Variant& variant : variants) states.push_back(variant.states);
    return Divergences(in_, reference_, states, [&](size_t i, int64_t first, const at::Tensor& rows) {
      return variants[i].head ? Rounded(head, first, rows.size(0), *variants[i].head) : rows;
    });
  }

  // Rows [first, first + rows) of a dense matrix with the values that quantize.round would give them.
  at::Tensor Rounded(const WeightView& weight, int64_t first, int64_t rows, const PackedFormat& format) const {
    return RoundRows(weight, first, rows, format, options_.clip, in_.config().dtype, pool_, in_.directory().string())
        .Values(pool_);
  }

  // The states that enter the first block when the embedding has this format.
  at::Tensor EmbedRounded(const PackedFormat& format) {
    const WeightView embedding = in_.Weight(Find(in_.table(), Role::kEmbedding));
    at::Tensor states = Embed(in_, ids_);
    for (int64_t first = 0; first < embedding.out_features; first += kHeadRows) {
      const int64_t rows = std::min(kHeadRows, embedding.out_features - first);
      const at::Tensor values = Rounded(embedding, first, rows, format) * in_.config().embedding_scale;
      for (size_t window = 0; window < ids_.size(); ++window)
        for (size_t token = 0; token < ids_[window].size(); ++token)
          if (const int64_t row = ids_[window][token] - first; row >= 0 && row < rows)
            states[static_cast<int64_t>(window)][static_cast<int64_t>(token)].copy_(values[row]);
    }
    return states;
  }

  void MeasureEnds() {
    for (const AllocationUnit& unit : space_.units) {
      if (unit.layer >= 0 || rows_.Find(unit.name)) continue;
      const bool embedding = unit.members.front().role == Role::kEmbedding;
      std::vector<double> kl;
      for (const auto& format : space_.formats) {  // one at a time: states of a whole run
        if (!format) {
          kl.push_back(0);
          continue;
        }
        Variant variant{reference_, std::nullopt};
        if (embedding) {
          variant.states = EmbedRounded(*format);
          ReadBlocks(in_, 0, {&variant.states});
        }
        if (!embedding || in_.config().tie_embeddings) variant.head = format;
        kl.push_back(DivergencesOf({variant})[0]);
      }
      Record(unit, kl, {});
    }
  }

  void MeasureBlock(const Block& block, const at::Tensor& states) {
    std::vector<const AllocationUnit*> units;
    for (const AllocationUnit& unit : space_.units)
      if (unit.layer == block.layer() && !rows_.Find(unit.name)) units.push_back(&unit);
    if (units.empty()) return;
    std::vector<Variant> variants;
    std::vector<std::vector<double>> errors(units.size());  // [unit][format], squared, of the outputs
    for (size_t format = 0; format < space_.formats.size(); ++format) {
      std::map<Role, at::Tensor> rounded;
      for (const AllocationUnit* unit : units)
        for (const TensorSpec& member : unit->members)
          if (space_.formats[format])
            rounded[member.role] = RoundedParameter(block, member.role, *space_.formats[format]);
      const auto squared = OutputErrors(block, states, rounded);
      for (size_t i = 0; i < units.size(); ++i) {
        errors[i].push_back(0);
        for (const TensorSpec& member : units[i]->members)
          if (auto found = squared.find(member.role); found != squared.end()) errors[i].back() += found->second;
        if (space_.formats[format] && (options_.exact || format == options_.anchor))
          variants.push_back({After(block, *units[i], rounded, states), std::nullopt});
      }
    }
    std::vector<at::Tensor*> walking;
    walking.reserve(variants.size());
    for (Variant& variant : variants) walking.push_back(&variant.states);
    ReadBlocks(in_, block.layer() + 1, walking);
    const std::vector<double> measured = DivergencesOf(variants);
    for (size_t i = 0; i < units.size(); ++i) {
      std::vector<double> kl;
      size_t next = i;  // variants are in the order [format][unit]
      for (size_t format = 0; format < space_.formats.size(); ++format) {
        if (!space_.formats[format]) {
          kl.push_back(0);
        } else if (options_.exact) {
          kl.push_back(measured[next]);
          next += units.size();
        } else {
          const double anchor = errors[i][options_.anchor];
          kl.push_back(anchor > 0 ? measured[i] * errors[i][format] / anchor : 0);
        }
      }
      Record(*units[i], kl, errors[i]);
    }
  }

  at::Tensor RoundedParameter(const Block& block, Role role, const PackedFormat& format) {
    const at::Tensor& weights = block.Parameter(role);
    return Rounded(ViewOf(weights), 0, weights.size(0), format);
  }

  // Sums over the tokens of the squared error of each linear's outputs, all its inputs being the original's.
  static std::map<Role, double> OutputErrors(const Block& block, const at::Tensor& states,
                                             const std::map<Role, at::Tensor>& rounded) {
    std::map<Role, double> squared;
    if (rounded.empty()) return squared;
    ForWindowBatches(states.size(0), states.size(1), [&](int64_t first, int64_t count) {
      BlockInputs inputs;
      block.Forward(TorchOps(), states.narrow(0, first, count), &inputs);
      for (const auto& [role, weights] : rounded) {
        const at::Tensor error = at::linear(inputs[role], weights - block.Parameter(role));
        squared[role] += error.square().sum(at::kDouble).item<double>();
      }
    });
    return squared;
  }

  // The states that leave the block when the unit has the values in rounded.
  static at::Tensor After(const Block& block, const AllocationUnit& unit, const std::map<Role, at::Tensor>& rounded,
                          const at::Tensor& states) {
    Block changed = block.Clone();
    for (const TensorSpec& member : unit.members) changed.Parameter(member.role) = rounded.at(member.role);
    at::Tensor after = states.clone();
    AdvanceStates(TorchOps(), changed, after);
    return after;
  }

  void Record(const AllocationUnit& unit, const std::vector<double>& kl, const std::vector<double>& errors) {
    Json row = {{"name", unit.name}, {"kl_nats", kl}};
    if (!errors.empty()) row["squared_output_error"] = errors;
    rows_.Add(unit.name, std::move(row));
  }

  const Checkpoint& in_;
  const AllocationSpace& space_;
  const SensitivityOptions& options_;
  ReportRows& rows_;
  ThreadPool& pool_;
  std::vector<std::vector<int32_t>> ids_;
  at::Tensor reference_;  // states that leave the last block of the original
};

}  // namespace

void MeasureSensitivity(const Checkpoint& in, const AllocationSpace& space, const SensitivityOptions& options,
                        PassContext& context) {
  at::NoGradGuard no_grad;
  Sensitivity(in, space, options, context).Run();
}

SensitivityCost CostOfSensitivity(const ModelConfig& config, int64_t window_tok, int64_t windows,
                                  const AllocationSpace& space, const SensitivityOptions& options) {
  PlanInput sample;
  sample.calibration_windows = SampleWindows(options.sample_tok, window_tok, windows);
  sample.window_tok = window_tok;
  const auto packing = static_cast<double>(
      std::count_if(space.formats.begin(), space.formats.end(), [](const auto& format) { return format.has_value(); }));
  const double tokens = static_cast<double>(sample.calibration_windows * window_tok);
  const double head = 2 * tokens * static_cast<double>(config.vocab_size) * static_cast<double>(config.hidden_size);
  const double walk = WalkFlops(config, sample), block = walk / static_cast<double>(config.num_layers);
  SensitivityCost cost{.flops = 2 * walk};  // the reference, and the states that enter each block
  uint64_t most_variants = 1;
  std::map<int64_t, double> variants;  // by layer
  for (const AllocationUnit& unit : space.units) variants[unit.layer] += unit.layer < 0 || options.exact ? packing : 1;
  for (const auto& [layer, count] : variants) {
    const double blocks = static_cast<double>(config.num_layers - std::max<int64_t>(layer, 0));
    cost.flops += count * (blocks * block + head) + head;
    if (layer < 0) continue;
    cost.flops += 2 * packing * block;  // errors of the outputs
    most_variants = std::max(most_variants, static_cast<uint64_t>(count));
  }
  const WalkMemory memory = MemoryOfWalk(config, sample);
  // While a block is measured: it, rounded, and a copy for the unit.
  cost.peak_memory_B = (4 + 2 * most_variants) * memory.states_B +
                       std::max(3 * memory.block_B + memory.batch_B,
                                memory.block_B + DivergenceBytes(config, sample.calibration_windows * window_tok)) +
                       kKeptFreeBytes;
  return cost;
}

}  // namespace ecld
