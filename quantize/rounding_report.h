#pragma once
// What reports of rounding passes say of a matrix.

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "checkpoint/checkpoint_writer.h"
#include "model/block_kernels.h"
#include "model/report_rows.h"
#include "quantize/hessian.h"

namespace ecld {

// Every parameter of out by name, format, bits and bytes as stored, each with what rows has under its name.
Json TensorReports(const CheckpointWriter& out, const ReportRows& rows);

// Sums over the rows of one matrix that was rounded with the help of a Hessian.
struct MatrixErrors {
  double squared_error = 0, squared_weight = 0, loss = 0, energy = 0;

  // weights, values: [rows, in_features], as they were and as they are rounded. lost: tr(E H E^T), E their difference;
  // none: whoever rounded counted another loss, and it is worked out here.
  void Add(const at::Tensor& weights, const at::Tensor& values, std::optional<double> lost, const at::Tensor& hessian,
           BlockKernels& kernels);
  // module: named in a warning when the Hessian was repaired or of no use.
  Json Report(const std::string& module, const HessianRoot& root) const;
};

}  // namespace ecld
