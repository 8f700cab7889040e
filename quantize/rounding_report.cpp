#include "quantize/rounding_report.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/log.h"

namespace ecld {
namespace {

constexpr int64_t kHessianRows = 2048;  // that are multiplied with at a time

Json TensorReport(const TensorSpec& target, const ModelConfig& config) {
  uint64_t bytes = 0;
  for (const auto& part : StoredForm(target, config)) bytes += part.Bytes();
  Json row = {{"name", target.name},
              {"format", target.format ? target.format->Name() : std::string(Name(config.dtype))},
              {"bytes", bytes}};
  if (target.format) row["bits"] = target.format->bits;
  return row;
}

// tr(M H M^T), M: matrix.
double Energy(const at::Tensor& matrix, const at::Tensor& hessian, BlockKernels& kernels) {
  double energy = 0;
  for (int64_t first = 0; first < hessian.size(0); first += kHessianRows) {
    const int64_t count = std::min(kHessianRows, hessian.size(0) - first);
    const at::Tensor product = kernels.Linears(matrix, {{hessian.narrow(0, first, count), {}}}).front();
    energy += (product * matrix.narrow(1, first, count)).sum(at::kDouble).item<double>();
  }
  return energy;
}

}  // namespace

Json TensorReports(const CheckpointWriter& out, const ReportRows& rows) {
  Json tensors = Json::array();
  for (const auto& target : out.table()) {
    Json row = TensorReport(target, out.config());
    if (const Json* found = rows.Find(target.name)) row.update(*found);
    tensors.push_back(std::move(row));
  }
  return tensors;
}

void MatrixErrors::Add(const at::Tensor& weights, const at::Tensor& values, std::optional<double> lost,
                       const at::Tensor& hessian, BlockKernels& kernels) {
  const at::Tensor error = values - weights;
  squared_error += error.square().sum(at::kDouble).item<double>();
  squared_weight += weights.square().sum(at::kDouble).item<double>();
  loss += lost ? *lost : Energy(error, hessian, kernels);
  energy += Energy(weights, hessian, kernels);
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

}  // namespace ecld
