#include "quantize/ends.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "model/block_walker.h"
#include "model/embedding.h"
#include "quantize/packed_rows.h"
#include "quantize/round.h"

namespace ecld {
namespace {

constexpr int64_t kChunkElements = 4 << 20;
constexpr int64_t kHessianRows = 2048;  // that are rounded at a time

at::Tensor FiniteRows(const Checkpoint& in, const TensorSpec& source, int64_t first, int64_t rows) {
  const at::Tensor values = RowsOf(in.Weight(source), first, rows);
  if (!at::isfinite(values).all().item<bool>())
    Fail(fmt::format("{}: tensor \"{}\"", in.directory().string(), source.name), "holds NaN or infinity");
  return values;
}

at::Tensor HessianOfHead(const Checkpoint& in, const at::Tensor& hidden, BlockKernels& kernels) {
  const int64_t features = hidden.size(2);
  const at::Tensor norm = at::tensor(in.ReadFloats(Find(in.table(), Role::kFinalNorm)));
  at::Tensor hessian = at::zeros({features, features}, at::kFloat);
  ForWindowBatches(hidden.size(0), hidden.size(1), [&](int64_t first, int64_t count) {
    kernels.AddGram(kernels.Norm(hidden.narrow(0, first, count), norm, in.config().rms_norm_eps), hessian);
  });
  Symmetrize(hessian);
  return hessian;
}

// A head, tied or not.
Json QuantizeHead(const HessianOptions& options, Clip clip, const Checkpoint& in, CheckpointWriter& out,
                  const TensorSpec& target, const at::Tensor& hidden) {
  const int64_t vocab = target.shape[0], features = target.shape[1];
  BlockKernels kernels(in.config());
  at::Tensor hessian = HessianOfHead(in, hidden, kernels);
  if (target.role == Role::kEmbedding)
    hessian.diagonal().add_(options.input_share * hessian.diagonal().mean().item<double>());
  const HessianRoot root = RootOf(hessian, options.damping, options.activation_order);
  const DType scale_dtype = out.config().dtype;
  MatrixErrors errors;
  Progress progress(target.module, vocab, "rows");
  for (int64_t first = 0; first < vocab; first += EndChunkRows(features)) {
    const int64_t rows = std::min(EndChunkRows(features), vocab - first);
    const at::Tensor weights = FiniteRows(in, Find(in.table(), target.role), first, rows);
    const GptqRows rounded = QuantizeRows(weights, root, *target.format, clip, scale_dtype);
    errors.Add(weights, rounded, hessian, kernels);
    WriteRows(out, target, first, PackRows(*target.format, rows, features, rounded.codes, rounded.grids, scale_dtype));
    in.DropPages(-1);
    progress.Advance(rows);
  }
  WriteShape(out, target);
  return errors.Report(target.module, root);
}

}  // namespace

void MatrixErrors::Add(const at::Tensor& weights, const GptqRows& rounded, const at::Tensor& hessian,
                       BlockKernels& kernels) {
  squared_error += (rounded.values - weights).square().sum(at::kDouble).item<double>();
  squared_weight += weights.square().sum(at::kDouble).item<double>();
  loss += rounded.loss;
  for (int64_t first = 0; first < hessian.size(0); first += kHessianRows) {
    const int64_t count = std::min(kHessianRows, hessian.size(0) - first);
    const at::Tensor product = kernels.Linears(weights, {{hessian.narrow(0, first, count), {}}}).front();
    energy += (product * weights.narrow(1, first, count)).sum(at::kDouble).item<double>();
  }
}

Json MatrixErrors::Report(const std::string& module, const HessianRoot& root) const {
  auto part = [](double error, double whole) { return whole > 0 ? std::sqrt(error / whole) : 0; };
  Json row = {{"relative_error", part(squared_error, squared_weight)},
              {"output_error", root.usable ? Json(part(loss, energy)) : Json(nullptr)},
              {"damping", root.damping},
              {"repairs", root.repairs},
              {"silent_inputs", root.silent_inputs}};
  if (!root.usable) {
    LogWarning("{} has no usable Hessian and was rounded to nearest", module);
    row["degraded"] = "rounded to nearest: it has no usable Hessian";
  } else if (root.repairs > 0) {
    LogWarning("the Hessian of {} needed a damping of {}", module, root.damping);
  }
  return row;
}

void QuantizeEnds(const HessianOptions& options, Clip clip, const Checkpoint& in, CheckpointWriter& out,
                  const at::Tensor& hidden, ReportRows& rows) {
  for (const auto& target : out.table()) {
    if (!target.format || target.layer >= 0 || out.IsWritten(target)) continue;
    if (target.role == Role::kHead || in.config().tie_embeddings) {
      rows.Add(target.name, QuantizeHead(options, clip, in, out, target, hidden));
    } else {
      ThreadPool pool;
      const double error = RoundMatrix(in, Find(in.table(), target.role), target, clip, out, pool);
      rows.Add(target.name, {{"relative_error", error}, {"output_error", nullptr}});
    }
  }
}

int64_t EndChunkRows(int64_t in_features) {
  return std::max<int64_t>(1, kChunkElements / in_features / kZeroPointRows) * kZeroPointRows;
}

}  // namespace ecld
