#include "quantize/scale.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "model/block_walker.h"
#include "quantize/nearest.h"
#include "quantize/scheme_options.h"

namespace ecld {
namespace {

// The inputs of a block's linears on a sample of tokens, [sample, features] each.
BlockInputs SampleInputs(const Block& block, const at::Tensor& hidden, int64_t sample_tok) {
  const int64_t tokens = hidden.size(0) * hidden.size(1), stride = std::max<int64_t>(1, tokens / sample_tok);
  std::array<std::vector<at::Tensor>, kLinearGroups.size()> parts;
  ForWindowBatches(hidden.size(0), hidden.size(1), [&](int64_t first, int64_t count) {
    BlockInputs inputs;
    block.Forward(TorchOps(), hidden.narrow(0, first, count), &inputs);
    const int64_t offset = (stride - first * hidden.size(1) % stride) % stride;
    for (size_t i = 0; i < parts.size(); ++i) {
      const at::Tensor flat = inputs.groups[i].flatten(0, 1);
      parts[i].push_back(flat.slice(0, std::min(offset, flat.size(0)), flat.size(0), stride).clone());
    }
  });
  BlockInputs all;
  for (size_t i = 0; i < parts.size(); ++i) all.groups[i] = at::cat(parts[i]);
  return all;
}

void MultiplyColumns(Block& block, const LinearGroup& group, const at::Tensor& scales) {
  for (Role role : group.linears) block.Parameter(role) = block.Parameter(role) * scales;
}

// Rows of a matrix, or elements of a norm.
void DivideRows(Block& block, Role role, const at::Tensor& scales) {
  at::Tensor& weight = block.Parameter(role);
  weight = weight / (weight.dim() == 2 ? scales.unsqueeze(1) : scales);
  if (block.Has(role, true)) block.Parameter(role, true) = block.Parameter(role, true) / scales;
}

// Several query heads read each value head: one scale for all inputs of o that come from one channel of v, so their
// magnitudes are averaged. [heads * head_dim] -> the same, equal where the value channel is.
at::Tensor SharedByHeads(const at::Tensor& magnitude, int64_t kv_heads, int64_t head_dim) {
  const at::Tensor heads = magnitude.view({kv_heads, -1, head_dim});
  return heads.mean(1, true).expand_as(heads).reshape({-1});
}

Json ScaleBlock(Block& block, const at::Tensor& hidden, const ScaleOptions& options, ThreadPool& pool) {
  const ModelConfig& config = block.config();
  const int64_t kv_heads = block.Parameter(Role::kValue).size(0) / config.head_dim;
  const BlockInputs inputs = SampleInputs(block, hidden, options.sample_tok);
  Json row = Json::object();
  // The inputs were sampled before anything was scaled, and scaling one place does not change another's.
  for (const LinearGroup& group : kLinearGroups) {
    const at::Tensor& input = inputs[group.linears.front()];
    const bool by_heads = group.feeder == Role::kValue;
    at::Tensor magnitude = input.abs().mean(0);
    if (by_heads) magnitude = SharedByHeads(magnitude, kv_heads, config.head_dim);
    std::vector<at::Tensor> matrices;
    for (Role role : group.linears) matrices.push_back(block.Parameter(role));
    const ScaleChoice choice = SearchScales(matrices, input, magnitude, options, config.dtype, pool);
    row[std::string(group.name)] = {
        {"exponent", choice.exponent},
        {"error_kept", choice.loss_unscaled > 0 ? choice.loss / choice.loss_unscaled : 1.0}};
    MultiplyColumns(block, group, choice.scales);
    DivideRows(
        block, group.feeder,
        by_heads ? choice.scales.view({kv_heads, -1, config.head_dim}).select(1, 0).reshape({-1}) : choice.scales);
  }
  return row;
}

}  // namespace

at::Tensor ChannelScales(const at::Tensor& magnitude, double exponent) {
  const at::Tensor audible = magnitude.masked_select(magnitude > 0);
  if (audible.numel() == 0) return at::ones_like(magnitude);
  const at::Tensor scales = magnitude.clamp_min(audible.min().item<double>()).pow(exponent);
  return scales / (scales.max() * scales.min()).sqrt();
}

double ScaledLoss(const at::Tensor& weights, const at::Tensor& inputs, const at::Tensor& scales,
                  const PackedFormat& format, Clip clip, DType scale_dtype, ThreadPool& pool) {
  const at::Tensor scaled = (weights * scales).contiguous();
  const NearestRows nearest =
      RoundRows(ViewOf(scaled), 0, scaled.size(0), format, clip, scale_dtype, pool, "scaled weights");
  const at::Tensor rounded = nearest.Values(pool) / scales;
  return inputs.matmul((rounded - weights).t()).square().sum(at::kDouble).item<double>();
}

ScaleChoice SearchScales(const std::vector<at::Tensor>& matrices, const at::Tensor& inputs, const at::Tensor& magnitude,
                         const ScaleOptions& options, DType scale_dtype, ThreadPool& pool) {
  ScaleChoice best;
  for (int64_t step = 0; step < options.steps; ++step) {
    const double exponent = static_cast<double>(step) / static_cast<double>(options.steps);
    const at::Tensor scales = ChannelScales(magnitude, exponent);
    double loss = 0;
    for (const at::Tensor& matrix : matrices)
      loss += ScaledLoss(matrix, inputs, scales, options.format, options.clip, scale_dtype, pool);
    if (step == 0) best.loss_unscaled = loss;
    if (step > 0 && !(loss < best.loss)) continue;
    best.scales = scales;
    best.exponent = exponent;
    best.loss = loss;
  }
  return best;
}

Planned ScalePass::Plan(const PlanInput& input) const {
  RequireDenseAndCalibrated(input);
  CheckFormat(options_.format, input.where);
  if (options_.steps < 1) Fail(input.where + ".steps", "{} is below 1", options_.steps);
  if (options_.sample_tok < 1) Fail(input.where + ".sample_tok", "{} is below 1", options_.sample_tok);
  Planned planned;
  planned.config = input.config;
  planned.output_B = WeightFileBytes(planned.config);
  const auto tokens = static_cast<double>(std::min(options_.sample_tok, input.calibration_windows * input.window_tok));
  const WalkMemory memory = MemoryOfWalk(input.config, input);
  uint64_t largest = 0;
  double flops = 2 * WalkFlops(input.config, input);
  for (const auto& spec : TensorTable(input.config)) {
    if (spec.layer < 0 || !spec.matrix()) continue;
    largest = std::max(largest, static_cast<uint64_t>(spec.Elements()));
    flops += 2 * static_cast<double>(options_.steps) * tokens * static_cast<double>(spec.Elements());
  }
  const auto width = static_cast<uint64_t>(2 * input.config.hidden_size + input.config.QueryWidth() +
                                           input.config.intermediate_size + input.config.intermediate_size);
  // Of the largest matrix: scaled, rounded, unscaled, their difference.
  planned.peak_memory_B = 2 * memory.block_B + memory.states_B + memory.batch_B + 4 * 4 * largest +
                          2 * 4 * static_cast<uint64_t>(tokens) * width;
  if (input.rates) planned.seconds = flops / input.rates->GemmFlops();
  return planned;
}

void ScalePass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  const auto scale = [&](const WalkedBlock& walked) -> BlockResult {
    return {ScaleBlock(walked.block, walked.states, options_, *context.pool), {}};
  };
  WalkBlocks(in, out, context, {.label = "quantize.scale", .change = scale, .lost_row = Json::object()});
}

std::unique_ptr<Pass> MakeScale(Options& options) {
  ScaleOptions scale;
  scale.format = ReadFormat(options, scale.format);
  scale.clip = ReadClip(options, "minmax");
  scale.steps = options.Int("steps", scale.steps, 1, 1000, "exponents tried, from 0 to below 1");
  scale.sample_tok = options.Int("sample_tok", scale.sample_tok, 1, 1 << 24,
                                 "tokens, spread over the calibration text, on which an exponent is judged");
  return std::make_unique<ScalePass>(scale);
}

}  // namespace ecld
