#include "quantize/round.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "kernels/packing/packing.h"
#include "model/tensor_walker.h"

namespace ecld {
namespace {

constexpr int64_t kChunkElements = 4 << 20;  // of a matrix rounded at a time

int64_t ChunkRows(int64_t in_features) {
  return std::max<int64_t>(1, kChunkElements / in_features / kZeroPointRows) * kZeroPointRows;
}

bool AllFinite(std::span<const float> values) {
  uint32_t bad = 0;  // a sum over integers, which unlike one over floats is vectorized
  for (float value : values) bad += (std::bit_cast<uint32_t>(value) & 0x7f800000u) == 0x7f800000u ? 1 : 0;
  return bad == 0;
}

double SquaredSum(std::span<const float> values) {
  constexpr size_t kLanes = 16;
  float lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) lanes[l] += values[i + l] * values[i + l];
  for (; i < values.size(); ++i) lanes[0] += values[i] * values[i];
  double sum = 0;
  for (float lane : lanes) sum += lane;
  return sum;
}

// One thread's share of RoundRows: rows [begin, end), counted from `first`.
struct RowWorker {
  const WeightView& weight;
  int64_t first;
  PackedFormat format;
  Clip clip;
  DType scale_dtype;
  const std::string& where;
  RoundedRows* out;
  std::vector<uint8_t>& zero_points;     // [rows, groups], before packing
  std::vector<double>& squared_errors;   // [rows]
  std::vector<double>& squared_weights;  // [rows]

  void Round(int64_t begin, int64_t end) const {
    const int64_t in_features = weight.in_features, words = format.CodeWords(in_features);
    std::vector<float> values(static_cast<size_t>(in_features));
    std::vector<uint8_t> codes(values.size());
    for (int64_t row = begin; row < end; ++row) {
      ReadRow(weight, first + row, values.data());
      if (!AllFinite(values)) Fail(where, "row {} holds NaN or infinity", first + row);
      squared_weights[static_cast<size_t>(row)] = SquaredSum(values);
      squared_errors[static_cast<size_t>(row)] = RoundGroups(row, values, codes.data());
      PackBits(format.bits, codes.data(), in_features, &out->codes[static_cast<size_t>(row * words)]);
    }
  }

  double RoundGroups(int64_t row, std::span<const float> values, uint8_t* codes) const {
    const int64_t groups = format.Groups(weight.in_features);
    const auto group_size = static_cast<size_t>(format.GroupSize(weight.in_features));
    double squared_error = 0;
    for (int64_t group = 0; group < groups; ++group) {
      const size_t begin = static_cast<size_t>(group) * group_size;
      const auto members = values.subspan(begin, std::min(group_size, values.size() - begin));
      const GroupGrid grid = FitGrid(members, format, clip, scale_dtype);
      squared_error += RoundToGrid(members, grid, format.bits, codes + begin);
      const auto index = static_cast<size_t>(row * groups + group);
      FromFloat(scale_dtype, &grid.scale, 1, &out->scales[index * SizeOf(scale_dtype)]);
      zero_points[index] = static_cast<uint8_t>(grid.zero_point);
    }
    return squared_error;
  }
};

}  // namespace

void RoundRows(const WeightView& weight, int64_t first, int64_t rows, const PackedFormat& format, Clip clip,
               DType scale_dtype, ThreadPool& pool, const std::string& where, RoundedRows* out) {
  assert(first % kZeroPointRows == 0);
  const int64_t groups = format.Groups(weight.in_features);
  out->codes.resize(static_cast<size_t>(rows * format.CodeWords(weight.in_features)));
  out->scales.resize(static_cast<size_t>(rows * groups) * SizeOf(scale_dtype));
  std::vector<uint8_t> zero_points(static_cast<size_t>(rows * groups));
  std::vector<double> errors(static_cast<size_t>(rows)), weights(static_cast<size_t>(rows));
  const RowWorker worker{weight, first, format, clip, scale_dtype, where, out, zero_points, errors, weights};
  pool.ParallelFor(rows, 1, [&](int64_t begin, int64_t end) { worker.Round(begin, end); });
  out->zero_points.clear();
  if (!format.symmetric) out->zero_points = PackZeroPoints(format, zero_points, rows, groups);
  out->squared_error = 0;
  out->squared_weight = 0;
  for (double error : errors) out->squared_error += error;
  for (double squares : weights) out->squared_weight += squares;
}

double RoundMatrix(const Checkpoint& in, const TensorSpec& source, const TensorSpec& target, Clip clip,
                   CheckpointWriter& out, ThreadPool& pool) {
  RoundedRows rounded;
  const WeightView weight = in.Weight(source);
  const PackedFormat& format = *target.format;
  const DType scale_dtype = out.config().dtype;
  const std::string where = fmt::format("{}: tensor \"{}\"", in.directory().string(), source.name);
  double squared_error = 0, squared_weight = 0;
  for (int64_t row = 0; row < weight.out_features; row += ChunkRows(weight.in_features)) {
    const int64_t rows = std::min(ChunkRows(weight.in_features), weight.out_features - row);
    RoundRows(weight, row, rows, format, clip, scale_dtype, pool, where, &rounded);
    WriteRows(out, target, row, rounded);
    const auto row_bytes = static_cast<size_t>(weight.in_features) * SizeOf(weight.dtype);
    MappedFile::DropPages({weight.data + static_cast<size_t>(row) * row_bytes, static_cast<size_t>(rows) * row_bytes});
    squared_error += rounded.squared_error;
    squared_weight += rounded.squared_weight;
  }
  WriteShape(out, target);
  return squared_weight > 0 ? std::sqrt(squared_error / squared_weight) : 0;
}

Json TensorReport(const TensorSpec& target, const ModelConfig& config) {
  uint64_t bytes = 0;
  for (const auto& part : StoredForm(target, config)) bytes += part.Bytes();
  Json row = {{"name", target.name},
              {"format", target.format ? target.format->Name() : std::string(Name(config.dtype))},
              {"bytes", bytes}};
  if (target.format) row["bits"] = target.format->bits;
  return row;
}

Json TensorReports(const CheckpointWriter& out, const ReportRows& rows) {
  Json tensors = Json::array();
  for (const auto& target : out.table()) {
    Json row = TensorReport(target, out.config());
    if (const Json* found = rows.Find(target.name)) row.update(*found);
    tensors.push_back(std::move(row));
  }
  return tensors;
}

double MeasureRoundRate(const PackedFormat& format, Clip clip) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kRows = 32, kInputs = 4096;
  std::vector<float> values(kRows * kInputs);
  Random random(1);
  for (float& value : values) value = static_cast<float>(random.Normal());
  const WeightView weight{
      .out_features = kRows, .in_features = kInputs, .data = reinterpret_cast<const std::byte*>(values.data())};
  ThreadPool pool;
  RoundedRows rounded;
  double best = 0;
  const auto start = Clock::now();
  do {
    const auto before = Clock::now();
    RoundRows(weight, 0, kRows, format, clip, DType::kBF16, pool, "", &rounded);
    best = std::max(best, kRows * kInputs / std::chrono::duration<double>(Clock::now() - before).count());
  } while (Clock::now() - start < std::chrono::milliseconds(10));
  return best;
}

Planned RoundPass::Plan(const PlanInput& input) const {
  Planned planned;
  planned.config = input.config;
  planned.config.quantization = QuantizationOf(options_.scheme, input.config, input.where);
  planned.output_B = WeightFileBytes(planned.config);
  planned.notes = ClientNotes(planned.config);
  double weights = 0;
  for (const auto& spec : TensorTable(planned.config)) {
    if (!spec.format) continue;
    // The worst case of a chunk: 8-bit codes, and a float scale and a zero point for each group of 8.
    const auto chunk = static_cast<uint64_t>(ChunkRows(spec.shape[1]) * spec.shape[1]);
    planned.peak_memory_B = std::max(planned.peak_memory_B, 2 * chunk);
    weights += static_cast<double>(spec.Elements());
  }
  planned.seconds = weights / MeasureRoundRate(options_.scheme.format, options_.clip);
  return planned;
}

void RoundPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  ThreadPool pool;
  const auto write = [&](const TensorSpec& target) -> Json {
    const TensorSpec& source = Find(in.table(), target.role, target.layer, target.bias);
    if (target.format) return {{"relative_error", RoundMatrix(in, source, target, options_.clip, out, pool)}};
    out.CopyFrom(in, target);
    return {{"relative_error", 0.0}};
  };
  WalkTensors(in, out, context, {.label = "quantize.round", .write = write, .lost_row = {{"relative_error", nullptr}}});
  (*context.report)["tensors"] = TensorReports(out, context.rows);
}

}  // namespace ecld
