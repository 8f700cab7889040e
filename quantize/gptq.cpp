#include "quantize/gptq.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"
#include "model/block_walker.h"
#include "model/statistics.h"
#include "quantize/descent.h"
#include "quantize/gptq_rows.h"
#include "quantize/rounding_report.h"
#include "quantize/scheme_options.h"

namespace ecld {
namespace {

// Of a run's time, at the rates that plans measure; the rest goes into grids, memory and files. Measured on two
// processors: SmolLM2-135M 0.68 and 0.73, blocks of Llama-3.1-8B 0.55 to 0.68, as the rates were that four plans
// measured.
constexpr double kShareOfProducts = 0.65;
constexpr double kDescentThreads = 2;  // that descent leaves idle, or nearly: it is one step after the other

// Rounds the linears of one block, in the order in which they run.
class BlockQuantizer {
 public:
  // hidden: the states that enter the block; Run carries them on.
  BlockQuantizer(const GptqOptions& options, CheckpointWriter& out, Block& block, BlockKernels& kernels,
                 at::Tensor& hidden, const OutputStatistics* statistics, PassContext& context)
      : options_(options),
        out_(out),
        block_(block),
        kernels_(kernels),
        hidden_(hidden),
        statistics_(statistics),
        context_(context) {}

  // Leaves the states after attention in hidden, and returns the inputs of the down projection.
  at::Tensor Run() {
    const auto of_kept = [&](const at::Tensor& kept) { return kernels_.Floats(kept); };
    Round(GroupOf(Role::kQuery), hidden_,
          [&](const at::Tensor& states) { return block_.AttentionInput(kernels_, states); });
    const at::Tensor mixed = Inputs([&](const at::Tensor& states) {
      return block_.OutputInput(kernels_, block_.AttentionInput(kernels_, states));
    });
    Round(GroupOf(Role::kOutput), mixed, of_kept);
    ForBatches(hidden_, [&](const at::Tensor& states, int64_t first) {
      states.copy_(block_.AfterAttention(kernels_, states, of_kept(mixed.narrow(0, first, states.size(0)))));
    });
    Round(GroupOf(Role::kGate), hidden_, [&](const at::Tensor& states) { return block_.MlpInput(kernels_, states); });
    at::Tensor down =
        Inputs([&](const at::Tensor& states) { return block_.DownInput(kernels_, block_.MlpInput(kernels_, states)); });
    Round(GroupOf(Role::kDown), down, of_kept);
    return down;
  }

 private:
  template <class Body>  // (states [count, tokens, features], the first of these windows)
  static void ForBatches(const at::Tensor& states, Body body) {
    const TorchOnOneThread one_thread;
    ForWindowBatches(states.size(0), states.size(1),
                     [&](int64_t first, int64_t count) { body(states.narrow(0, first, count), first); });
  }

  // What input_of makes of all states, as products take it.
  template <class InputOf>
  at::Tensor Inputs(InputOf input_of) {
    at::Tensor all;
    ForBatches(hidden_, [&](const at::Tensor& states, int64_t first) {
      const at::Tensor part = input_of(states);
      if (!all.defined()) all = kernels_.RoomFor(hidden_.size(0), hidden_.size(1), part.size(2));
      kernels_.Keep(part, first, all);
    });
    return all;
  }

  // Rounds the linears that read input_of(states).
  template <class InputOf>
  void Round(const LinearGroup& group, const at::Tensor& states, InputOf input_of) {
    std::vector<const TensorSpec*> targets;
    for (Role role : group.linears)
      if (const TensorSpec& spec = Find(out_.table(), role, block_.layer()); spec.format) targets.push_back(&spec);
    if (targets.empty()) return;
    const int64_t features = targets.front()->shape[1];
    at::Tensor hessian = at::zeros({features, features}, at::kFloat);
    at::Tensor shares;  // [windows, tokens, 1]: tokens count by the squares of these
    if (statistics_) shares = statistics_->TokenWeights(group.linears.front(), block_.layer()).sqrt().unsqueeze(-1);
    ForBatches(states, [&](const at::Tensor& batch, int64_t first) {
      at::Tensor input = input_of(batch);
      if (statistics_) input = input * shares.narrow(0, first, batch.size(0));
      kernels_.AddGram(input, hessian);
    });
    Symmetrize(hessian);
    const HessianRoot root =
        RootOf(hessian, options_.hessian.damping, options_.hessian.activation_order, *context_.pool);
    for (const TensorSpec* target : targets) Round(*target, hessian, root);
  }

  // All rows of a matrix, or as many at a time as the moments of their outputs are kept together.
  void Round(const TensorSpec& target, const at::Tensor& hessian, const HessianRoot& root) {
    at::Tensor& weights = block_.Parameter(target.role);
    const int64_t rows = weights.size(0), step = statistics_ ? MomentRows(rows) : rows;
    MatrixErrors errors;
    bool coupled = true;
    for (int64_t first = 0; first < rows; first += step) {
      at::Tensor part = weights.narrow(0, first, std::min(step, rows - first));
      at::Tensor moments;
      std::optional<HessianRoot> outputs;
      if (statistics_) {
        moments = statistics_->Moments(target, first);
        outputs = RootOf(moments, options_.output_damping, options_.hessian.activation_order, *context_.pool);
      }
      coupled = coupled && (!outputs || outputs->usable);
      RoundedMatrix rounded = QuantizeRows(part, root, outputs ? &*outputs : nullptr, *target.format, options_.clip,
                                           out_.config().dtype, *context_.pool);
      if (options_.sweeps > 0 && root.usable && coupled)
        Descend(part, Damped(hessian, root), outputs ? Damped(moments, *outputs) : at::Tensor(), options_.sweeps,
                rounded);
      const at::Tensor values = rounded.Values(*context_.pool);
      errors.Add(part, values, statistics_ ? std::nullopt : std::optional(rounded.loss), hessian, kernels_);
      WriteRows(out_, target, first, rounded, *context_.pool);
      part.copy_(values);
    }
    Json row = errors.Report(target.module, root);
    if (!coupled && root.usable) {
      LogWarning("nothing depends on some outputs of {}: their rows were rounded each by itself", target.module);
      row["degraded"] = "rows rounded each by itself: the model's output does not depend on their outputs";
    }
    context_.rows.Add(target.name, std::move(row));
  }

  const GptqOptions& options_;
  CheckpointWriter& out_;
  Block& block_;
  BlockKernels& kernels_;
  at::Tensor& hidden_;
  const OutputStatistics* statistics_;  // null: rows do not know of each other
  PassContext& context_;
};

}  // namespace

Planned GptqPass::Plan(const PlanInput& input) const {
  RequireDenseAndCalibrated(input);
  if (!(options_.hessian.damping > 0)) Fail(input.where + ".damping", "{} is not above 0", options_.hessian.damping);
  Planned planned = PlanRounding(options_.scheme, input);
  const auto tokens = static_cast<double>(input.calibration_windows * input.window_tok);
  double flops = 0, kernel_flops = 0;
  const WalkMemory memory = MemoryOfWalk(input.config, input);
  const uint64_t batch_B = memory.batch_B + memory.block_B / 2;
  uint64_t largest_B = batch_B, coupled_B = 0, descent_B = 0;
  const auto batch_tok = static_cast<uint64_t>(std::max(kWalkBatchTok, input.window_tok));
  for (const auto& spec : TensorTable(planned.config)) {
    if (!spec.format) continue;
    const auto features = static_cast<uint64_t>(spec.shape[1]);
    const auto rows =
        static_cast<uint64_t>(spec.layer >= 0 ? spec.shape[0] : std::min(spec.shape[0], ChunkRows(spec.shape[1])));
    // While inputs are run and summed up: a batch, its weights and inputs rounded, the Hessian, and what
    // its sums need. While the root is sought: the Hessian, its factor's inverse, the root. While rows are
    // rounded: Hessian and root, of the weights values and codes, and what the sums of the report are made of.
    largest_B =
        std::max({largest_B,
                  batch_B + 4 * features * features + GramScratchBytes(static_cast<int64_t>(batch_tok), spec.shape[1]),
                  12 * features * features, 8 * features * features + 18 * rows * features});
    // Rounded together: the matrix once more, and the moments of its outputs as a root, beside what makes it.
    if (spec.layer >= 0) {
      const auto together = static_cast<uint64_t>(MomentRows(spec.shape[0]));
      coupled_B = std::max(coupled_B, 4 * together * features + 12 * together * together);
      // Both sides damped, errors and gradients, and what scales do to each other.
      if (options_.sweeps > 0)
        descent_B = std::max(descent_B, 4 * features * features + 8 * together * (features + together));
      flops += static_cast<double>(options_.sweeps) * kDescentThreads * 2 * static_cast<double>(spec.Elements()) *
               static_cast<double>(features + (options_.output_kl ? 2 * together : 0));
    }
    const double in = static_cast<double>(features), elements = static_cast<double>(spec.Elements());
    flops += elements * in;             // compensation
    kernel_flops += 2 * elements * in;  // the energy that the error is relative to
    // The inputs that a group shares are counted once.
    if (!SharesInput(spec.role))
      kernel_flops += tokens * in * in, flops += 2 * in * in * in / 3;  // a factor and its inverse
  }
  // All inputs of the output or of the down projection, as products take them.
  const auto kept = static_cast<uint64_t>(std::max(input.config.intermediate_size, input.config.QueryWidth()));
  const uint64_t kept_B = static_cast<uint64_t>(tokens) * kept * (input.config.dtype == DType::kBF16 ? 2 : 4);
  planned.peak_memory_B = 2 * memory.block_B + memory.states_B + kept_B + largest_B + descent_B + kKeptFreeBytes;
  kernel_flops += WalkFlops(input.config, input);
  double statistics_s = 0;
  if (options_.output_kl) {
    const GradientWalkCost cost = CostOfStatistics(input.config, input);
    planned.peak_memory_B = std::max(planned.peak_memory_B + coupled_B, cost.memory_B + kKeptFreeBytes);
    planned.scratch_disk_B = cost.scratch_B;
    if (input.rates) statistics_s = cost.flops / input.rates->GemmFlops();
  }
  if (input.rates)
    planned.seconds = statistics_s + ((flops + AttentionFlops(input.config, input)) / input.rates->GemmFlops() +
                                      kernel_flops / input.rates->KernelFlops()) /
                                         kShareOfProducts;
  return planned;
}

void GptqPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  at::NoGradGuard no_grad;
  BlockKernels kernels(in.config(), *context.pool);
  std::optional<OutputStatistics> statistics;
  if (options_.output_kl) statistics.emplace(in, context);
  const auto quantize = [&](const WalkedBlock& walked) -> BlockResult {
    return {nullptr, BlockQuantizer(options_, out, walked.block, kernels, walked.states,
                                    statistics ? &*statistics : nullptr, context)
                         .Run()};
  };
  const at::Tensor hidden =
      WalkBlocks(in, out, context, {.label = "quantize.gptq", .change = quantize, .ops = &kernels}).states;
  QuantizeEnds(options_.hessian, options_.clip, in, out, hidden, statistics ? &*statistics : nullptr, context);
  (*context.report)["tensors"] = TensorReports(out, context.rows);
}

std::unique_ptr<Pass> MakeGptq(Options& options) {
  GptqOptions gptq;
  gptq.scheme = ReadScheme(options);
  gptq.clip = ReadClip(options, "mse");
  gptq.hessian = ReadHessian(options);
  gptq.output_kl = options.Choice("output", "layer", {"layer", "kl"},
                                  "what rounding keeps: the outputs of each layer, or those of the model, by the "
                                  "gradients of its KL") == "kl";
  gptq.sweeps = options.Int("sweeps", gptq.output_kl ? 1 : 0, 0, 100,
                            "once a matrix is rounded, how often each of its codes and scales is set to the best there "
                            "is beside the others; without it 1 with output: kl, else 0");
  gptq.output_damping = options.Number("output_damping", gptq.output_damping, 1e-6, 1e6,
                                       "with output: kl, added to the moments of a layer's outputs, as a share of the "
                                       "mean of their diagonal");
  return std::make_unique<GptqPass>(std::move(gptq));
}

}  // namespace ecld
