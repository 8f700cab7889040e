#include "quantize/ends.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.h"
#include "core/options.h"
#include "core/progress.h"
#include "model/block_walker.h"
#include "model/embedding.h"
#include "quantize/gptq_rows.h"
#include "quantize/nearest.h"
#include "quantize/rounding_report.h"

namespace ecld {
namespace {

at::Tensor FiniteRows(const Checkpoint& in, const TensorSpec& source, int64_t first, int64_t rows) {
  at::Tensor values = RowsOf(in.Weight(source), first, rows);
  if (!at::isfinite(values).all().item<bool>())
    Fail(fmt::format("{}: tensor \"{}\"", in.directory().string(), source.name), "holds NaN or infinity");
  return values;
}

// A head, tied or not.
Json QuantizeHead(const HessianOptions& options, Clip clip, const Checkpoint& in, CheckpointWriter& out,
                  const TensorSpec& target, const at::Tensor& hidden, const OutputStatistics* statistics,
                  ThreadPool& pool) {
  const int64_t vocab = target.shape[0], features = target.shape[1];
  BlockKernels kernels(in.config(), pool);
  at::Tensor hessian = FinalGram(in, hidden, kernels);
  if (target.role == Role::kEmbedding && statistics)
    hessian.add_(EmbeddingCurvature(*statistics, in.config()), static_cast<double>(hidden.size(0) * hidden.size(1)));
  else if (target.role == Role::kEmbedding)
    hessian.diagonal().add_(options.input_share * hessian.diagonal().mean().item<double>());
  const HessianRoot root = RootOf(hessian, options.damping, options.activation_order, pool);
  MatrixErrors errors;
  Progress progress(target.module, vocab, "rows");
  for (int64_t first = 0; first < vocab; first += ChunkRows(features)) {
    const int64_t rows = std::min(ChunkRows(features), vocab - first);
    const at::Tensor weights = FiniteRows(in, Find(in.table(), target.role), first, rows);
    const RoundedMatrix rounded = QuantizeRows(weights, root, nullptr, *target.format, clip, out.config().dtype, pool);
    errors.Add(weights, rounded.Values(pool), rounded.loss, hessian, kernels);
    WriteRows(out, target, first, rounded, pool);
    in.DropPages(-1);
    progress.Advance(rows);
  }
  return errors.Report(target.module, root);
}

}  // namespace

at::Tensor FinalGram(const Checkpoint& in, const at::Tensor& hidden, BlockKernels& kernels) {
  const int64_t features = hidden.size(2);
  const at::Tensor norm = at::tensor(in.ReadFloats(Find(in.table(), Role::kFinalNorm)));
  at::Tensor hessian = at::zeros({features, features}, at::kFloat);
  ForWindowBatches(hidden.size(0), hidden.size(1), [&](int64_t first, int64_t count) {
    kernels.AddGram(kernels.Norm(hidden.narrow(0, first, count), norm, in.config().rms_norm_eps), hessian);
  });
  Symmetrize(hessian);
  return hessian;
}

at::Tensor EmbeddingCurvature(const OutputStatistics& statistics, const ModelConfig& config) {
  return statistics.EmbeddingMoments().mul_(config.embedding_scale * config.embedding_scale);
}

void QuantizeEnds(const HessianOptions& options, Clip clip, const Checkpoint& in, CheckpointWriter& out,
                  const at::Tensor& hidden, const OutputStatistics* statistics, PassContext& context) {
  for (const auto& target : out.table()) {
    if (!target.format || target.layer >= 0 || out.IsWritten(target)) continue;
    if (target.role == Role::kHead || in.config().tie_embeddings) {
      context.rows.Add(target.name, QuantizeHead(options, clip, in, out, target, hidden, statistics, *context.pool));
    } else {
      const double error = RoundMatrix(in, Find(in.table(), target.role), target, clip, out, *context.pool);
      context.rows.Add(target.name, {{"relative_error", error}, {"output_error", nullptr}});
    }
  }
}

HessianOptions ReadHessian(Options& options) {
  HessianOptions hessian;
  hessian.damping = options.Number("damping", hessian.damping, 1e-6, 1,
                                   "added to the diagonal of the Hessian, as a share of its mean");
  hessian.activation_order =
      options.Bool("activation_order", hessian.activation_order, "round the inputs of most energy first");
  hessian.input_share = options.Number("input_share", hessian.input_share, 0, 1e6,
                                       "of a tied embedding: how much being read counts against being scored");
  return hessian;
}

}  // namespace ecld
