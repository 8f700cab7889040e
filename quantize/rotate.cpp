#include "quantize/rotate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/linear_groups.h"
#include "core/error.h"
#include "core/options.h"
#include "core/random.h"
#include "model/embedding.h"
#include "model/tensor_walker.h"

namespace ecld {
namespace {

constexpr int64_t kChunkElements = 16 << 20;  // of an embedding or head turned at a time

at::Tensor Hadamard(int64_t size) {  // size: a power of two
  at::Tensor matrix = at::ones({1, 1}, at::kDouble);
  while (matrix.size(0) < size) matrix = at::cat({at::cat({matrix, matrix}, 1), at::cat({matrix, -matrix}, 1)}, 0);
  return matrix / std::sqrt(static_cast<double>(size));
}

// Q of a matrix of normal numbers, its columns' signs fixed so that it does not depend on the routine.
at::Tensor RandomOrthogonal(int64_t size, Random& random) {
  at::Tensor normal = at::empty({size, size}, at::kDouble);
  for (int64_t i = 0; i < size * size; ++i) normal.data_ptr<double>()[i] = random.Normal();
  auto [q, r] = at::linalg_qr(normal);
  return (q * r.diagonal().sign()).contiguous();
}

// What turns one parameter into that of the rotated model.
class Turner {
 public:
  Turner(const Checkpoint& in, const RotateOptions& options, uint64_t seed) : in_(in), seed_(seed) {
    if (options.residual) residual_ = Rotation(in.config().hidden_size, seed).to(at::kFloat);
    values_ = options.values;
  }

  // rows [first, first + count) of spec, as the matrix stands in the input; a bias or norm as a vector.
  at::Tensor Turn(const TensorSpec& spec, at::Tensor weight) const {
    if (spec.role == Role::kEmbedding) return residual_.defined() ? weight.matmul(residual_) : weight;
    if (spec.role == Role::kHead) return Reading(weight, Role::kFinalNorm, -1);
    if (spec.role == Role::kFinalNorm || FeedsGroup(spec.role))
      return residual_.defined() ? at::ones_like(weight) : weight;
    if (!IsBlockLinear(spec.role)) return weight;  // norms within heads
    const LinearGroup& group = GroupOf(spec.role);
    if (group.ReadsHidden() && !spec.bias) weight = Reading(weight, group.feeder, spec.layer);
    if (spec.role == Role::kValue) weight = TurnValues(weight, spec.layer);
    if (spec.role == Role::kOutput && !spec.bias) weight = TurnValues(weight.t(), spec.layer).t();
    return group.AddsToHidden() ? Writing(weight) : weight;
  }

 private:
  // A matrix that reads the residual stream through a norm.
  at::Tensor Reading(const at::Tensor& weight, Role norm, int64_t layer) const {
    if (!residual_.defined()) return weight;
    return (weight * at::tensor(in_.ReadFloats(Find(in_.table(), norm, layer)))).matmul(residual_);
  }
  // A matrix, or its bias, that adds to the residual stream.
  at::Tensor Writing(const at::Tensor& weight) const {
    return residual_.defined() ? residual_.t().matmul(weight) : weight;
  }
  // rows: [heads * head_dim, ...], each head's turned by the layer's rotation.
  at::Tensor TurnValues(const at::Tensor& rows, int64_t layer) const {
    if (!values_) return rows;
    const int64_t head_dim = in_.config().head_dim;
    const at::Tensor turn = Rotation(head_dim, seed_ + 1 + static_cast<uint64_t>(layer)).to(at::kFloat);
    return turn.t().matmul(rows.reshape({-1, head_dim, rows.numel() / rows.size(0)})).reshape(rows.sizes());
  }

  const Checkpoint& in_;
  uint64_t seed_;
  at::Tensor residual_;  // [hidden_size, hidden_size]; undefined: the residual stream stays as it is
  bool values_ = false;
};

void WriteTensor(CheckpointWriter& out, const TensorSpec& spec, int64_t first_element, const at::Tensor& values) {
  const at::Tensor flat = values.contiguous();
  out.WriteFloatsPiece(spec, first_element, {flat.data_ptr<float>(), static_cast<size_t>(flat.numel())});
}

int64_t ChunkRows(const TensorSpec& spec) {
  return spec.layer >= 0 ? spec.shape[0] : std::max<int64_t>(1, kChunkElements / spec.shape[1]);
}

}  // namespace

at::Tensor Rotation(int64_t size, uint64_t seed) {
  Random random(seed);
  const int64_t power = size & -size;
  at::Tensor matrix = at::kron(Hadamard(power), RandomOrthogonal(size / power, random));
  at::Tensor signs = at::empty({size, 1}, at::kDouble);
  for (int64_t i = 0; i < size; ++i) signs.data_ptr<double>()[i] = random.Below(2) == 0 ? 1.0 : -1.0;
  return signs * matrix;
}

Planned RotatePass::Plan(const PlanInput& input) const {
  if (input.config.quantization)
    Fail(input.where, "the model is quantized already; put this stage before quantization");
  if (!options_.residual && !options_.values) Fail(input.where, "neither residual nor values is to be rotated");
  if (options_.residual && input.config.output_norms)
    Fail(
        input.where + ".residual",
        "this {} model norms what attention and the feed-forward layer add to the states, and a rotation does not pass "
        "through the weights of such a norm; residual: false rotates the values alone",
        Name(input.config.family));
  Planned planned;
  planned.config = input.config;
  if (options_.residual) {
    planned.notes.push_back("the weights of every norm go into the linears behind it");
    if (input.config.tie_embeddings) {
      planned.config.tie_embeddings = false;
      planned.notes.push_back(
          fmt::format("the head, tied to the embedding until now, becomes a matrix of its own: {} more weights in "
                      "every later stage",
                      input.config.vocab_size * input.config.hidden_size));
    }
  }
  planned.output_B = WeightFileBytes(planned.config);
  for (const auto& spec : TensorTable(planned.config)) {
    if (!spec.matrix()) continue;
    const auto elements = static_cast<uint64_t>(std::min(spec.shape[0], ChunkRows(spec)) * spec.shape[1]);
    planned.peak_memory_B = std::max(planned.peak_memory_B, 3 * 4 * elements);  // as read, scaled, turned
  }
  const auto hidden = static_cast<uint64_t>(input.config.hidden_size);
  planned.peak_memory_B += 3 * 8 * hidden * hidden;  // the rotation, in double while it is made
  if (input.rates && options_.residual)
    planned.seconds = 2 * static_cast<double>(ParameterCount(planned.config)) * static_cast<double>(hidden) /
                      input.rates->GemmFlops();
  return planned;
}

void RotatePass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  at::NoGradGuard no_grad;
  const Turner turner(in, options_, context.seed);
  const auto write = [&](const TensorSpec& spec) -> Json {
    const bool was_tied = spec.role == Role::kHead && in.config().tie_embeddings;
    const TensorSpec& source = Find(in.table(), was_tied ? Role::kEmbedding : spec.role, spec.layer, spec.bias);
    if (!spec.matrix()) {
      WriteTensor(out, spec, 0, turner.Turn(spec, at::tensor(in.ReadFloats(source))));
    } else {
      for (int64_t first = 0; first < spec.shape[0]; first += ChunkRows(spec)) {
        const int64_t rows = std::min(ChunkRows(spec), spec.shape[0] - first);
        WriteTensor(out, spec, first * spec.shape[1], turner.Turn(spec, RowsOf(in.Weight(source), first, rows)));
      }
    }
    return nullptr;
  };
  WalkTensors(in, out, context, {.label = "quantize.rotate", .write = write, .lost_row = nullptr});
  (*context.report)["residual"] = options_.residual;
  (*context.report)["values"] = options_.values;
}

std::unique_ptr<Pass> MakeRotate(Options& options) {
  RotateOptions rotate;
  rotate.residual = options.Bool("residual", rotate.residual, "rotate the states between blocks");
  rotate.values = options.Bool("values", rotate.values, "rotate within each attention head, between values and output");
  return std::make_unique<RotatePass>(rotate);
}

}  // namespace ecld
