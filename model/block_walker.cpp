#include "model/block_walker.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "checkpoint/tokenizer/token_map.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/progress.h"
#include "model/embedding.h"

namespace ecld {
namespace {

// Rounding to the stored type happens before this comparison, so that only a fault in writing or reading shows here.
constexpr double kWrittenTolerance = 1e-5;

void CompareWithWritten(const BlockOps& ops, const Block& in_memory, const Block& written, const at::Tensor& sample) {
  at::Tensor expected = in_memory.Forward(ops, sample);
  const double difference = ((written.Forward(ops, sample) - expected).norm() / expected.norm()).item<double>();
  if (!(difference <= kWrittenTolerance))
    throw std::runtime_error(
        fmt::format("block {} as written gives states that differ by {:.2e} from those it gave in memory",
                    in_memory.layer(), difference));
}

void CopyEnds(const Checkpoint& in, CheckpointWriter& out) {
  for (const auto& spec : out.table())
    if (spec.layer < 0 && !spec.format && !out.IsWritten(spec)) out.CopyFrom(in, spec);
  in.DropPages(-1);
  out.Commit();
}

constexpr const char* kRowPrefix = "block ";

std::string RowName(int64_t layer) { return kRowPrefix + std::to_string(layer); }

void AddRow(ReportRows& rows, int64_t layer, const Json& found) {
  if (found.is_null()) return;
  Json row = {{"layer", layer}};
  row.update(found);
  rows.Add(RowName(layer), std::move(row));
}

// Windows by the teacher's ids, where the vocabulary was cut from the teacher's.
std::vector<std::vector<int32_t>> AsTeacherReads(const Checkpoint& teacher, const Checkpoint& student,
                                                 const std::vector<std::vector<int32_t>>& windows) {
  if (&teacher == &student) return windows;
  return WindowsBy(
      IdsIn({teacher.directory(), teacher.config().vocab_size}, {student.directory(), student.config().vocab_size}),
      windows);
}

}  // namespace

void ForWindowBatches(int64_t windows, int64_t window_tok, const std::function<void(int64_t, int64_t)>& body) {
  const int64_t batch = std::max<int64_t>(1, kWalkBatchTok / window_tok);
  for (int64_t first = 0; first < windows; first += batch) body(first, std::min(batch, windows - first));
}

void AdvanceStates(const BlockOps& ops, const Block& block, at::Tensor& hidden, const at::Tensor& down_inputs,
                   const at::Tensor& after_attention) {
  at::NoGradGuard no_grad;
  std::optional<TorchOnOneThread> one_thread;
  if (ops.HasThreads()) one_thread.emplace();
  ForWindowBatches(hidden.size(0), hidden.size(1), [&](int64_t first, int64_t count) {
    at::Tensor slice = hidden.narrow(0, first, count);
    const bool carried = down_inputs.defined();
    const at::Tensor middle =
        carried ? slice : block.AfterAttention(ops, slice, block.OutputInput(ops, block.AttentionInput(ops, slice)));
    if (after_attention.defined()) after_attention.narrow(0, first, count).copy_(middle);
    const at::Tensor inputs =
        carried ? ops.Floats(down_inputs.narrow(0, first, count)) : block.DownInput(ops, block.MlpInput(ops, middle));
    slice.copy_(block.AfterMlp(ops, middle, inputs));
  });
}

WalkedStates WalkBlocks(const Checkpoint& in, CheckpointWriter& out, PassContext& context, const Walk& walk) {
  at::NoGradGuard no_grad;
  const TorchOps torch;
  const BlockOps& ops = walk.ops ? *walk.ops : torch;
  KeepFreeMemory();
  CopyEnds(in, out);
  const auto& windows = context.calibration->windows;
  at::Tensor states = Embed(in, windows), teacher, middle;
  if (walk.teacher) teacher = Embed(*walk.teacher, AsTeacherReads(*walk.teacher, in, windows));
  if (walk.after_attention) middle = at::empty_like(teacher);
  const at::Tensor& targets = walk.after_attention ? middle : teacher;
  in.DropPages(-1);
  const int64_t layers = out.config().num_layers;
  Progress progress(walk.label, layers, "blocks");
  for (int64_t layer = 0; layer < layers; ++layer) {
    std::optional<Block> block;
    if (!out.LayerWritten(layer)) block = Block::Load(in, layer);
    in.DropPages(layer);
    if (walk.teacher) {
      const bool loaded = block && walk.teacher == &in;
      AdvanceStates(ops, loaded ? *block : Block::Load(*walk.teacher, layer), teacher, {}, middle);
      walk.teacher->DropPages(layer);
    }
    at::Tensor sample, down_inputs;
    if (block) {
      sample = states.slice(0, 0, 1).clone();  // one window; the pass may carry the states on
      BlockResult result = walk.change({*block, states, targets});
      down_inputs = std::move(result.down_inputs);
      AddRow(context.rows, layer, result.row);
      block->RoundTo(out.config());
      block->Write(out);
    } else if (!context.rows.Find(RowName(layer))) {
      AddRow(context.rows, layer, walk.lost_row);
    }
    const Checkpoint staged = out.View();
    const Block written = Block::Load(staged, layer);
    if (block) CompareWithWritten(ops, *block, written, sample);
    block.reset();
    AdvanceStates(ops, written, states, down_inputs);
    out.Commit();
    ReturnFreeMemory();  // the pieces that a block's work leaves would add up
    progress.Advance(1);
  }
  if (!walk.lost_row.is_null()) (*context.report)["blocks"] = context.rows.All(kRowPrefix);
  return {states, teacher};
}

void ReadBlocks(const Checkpoint& in, int64_t first, const std::vector<at::Tensor*>& states,
                const std::function<void(const Block&)>& body) {
  at::NoGradGuard no_grad;
  for (int64_t layer = first; layer < in.config().num_layers; ++layer) {
    const Block block = Block::Load(in, layer);
    in.DropPages(layer);
    if (body) body(block);
    for (at::Tensor* some : states) AdvanceStates(TorchOps(), block, *some);
  }
}

WalkMemory MemoryOfWalk(const ModelConfig& config, const PlanInput& input) {
  std::vector<uint64_t> parameters(static_cast<size_t>(config.num_layers));
  for (const auto& spec : TensorTable(config))
    if (spec.layer >= 0) parameters[static_cast<size_t>(spec.layer)] += static_cast<uint64_t>(spec.Elements());
  const auto tokens = static_cast<uint64_t>(input.calibration_windows * input.window_tok);
  const uint64_t batch_tok = std::min(tokens, static_cast<uint64_t>(std::max(kWalkBatchTok, input.window_tok)));
  // Live at once in a block: states, norm, gate, up and their product, queries, keys and values.
  const auto width =
      static_cast<uint64_t>(4 * config.hidden_size + 3 * config.intermediate_size + 6 * config.QueryWidth());
  return {4 * std::ranges::max(parameters), 4 * tokens * static_cast<uint64_t>(config.hidden_size),
          4 * batch_tok * width};
}

double WalkFlops(const ModelConfig& config, const PlanInput& input) {
  double matrix_weights = 0;
  for (const auto& spec : TensorTable(config))
    if (spec.layer >= 0 && spec.matrix()) matrix_weights += static_cast<double>(spec.Elements());
  return 2 * matrix_weights * static_cast<double>(input.calibration_windows * input.window_tok);
}

double AttentionFlops(const ModelConfig& config, const PlanInput& input) {
  const auto tokens = static_cast<double>(input.calibration_windows * input.window_tok);
  const auto pairs = tokens * static_cast<double>(input.window_tok) / 2;
  return 4 * pairs * static_cast<double>(config.QueryWidth() * config.num_layers);
}

void RequireCalibrated(const PlanInput& input) {
  if (input.calibration_windows < 1) Fail(input.where, "this pass needs calibration text; found no windows");
}

void RequireDenseAndCalibrated(const PlanInput& input) {
  if (input.config.quantization)
    Fail(input.where, "the model is quantized already; put this stage before quantization");
  RequireCalibrated(input);
}

}  // namespace ecld
