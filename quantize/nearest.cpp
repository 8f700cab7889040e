#include "quantize/nearest.h"

#include <bit>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "core/random.h"

namespace ecld {
namespace {

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

}  // namespace

NearestRows RoundRows(const WeightView& weight, int64_t first, int64_t rows, const PackedFormat& format, Clip clip,
                      DType scale_dtype, ThreadPool& pool, const std::string& where) {
  const int64_t in_features = weight.in_features, groups = format.Groups(in_features);
  NearestRows rounded(format, scale_dtype, rows, in_features);
  std::vector<double> errors(static_cast<size_t>(rows)), weights(static_cast<size_t>(rows));
  pool.ParallelFor(rows, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> values(static_cast<size_t>(in_features));
    for (int64_t row = begin; row < end; ++row) {
      ReadRow(weight, first + row, values.data());
      if (!AllFinite(values)) Fail(where, "row {} holds NaN or infinity", first + row);
      uint8_t* const codes = rounded.codes.data() + row * in_features;
      GroupGrid* const grids = rounded.grids.data() + row * groups;
      double error = 0;
      ForGroups(std::span<const float>(values), format, [&](size_t group, size_t at, std::span<const float> members) {
        grids[group] = FitGrid(members, format, clip, scale_dtype);
        error += RoundToGrid(members, grids[group], format.bits, codes + at);
      });
      errors[static_cast<size_t>(row)] = error;
      weights[static_cast<size_t>(row)] = SquaredSum(values);
    }
  });
  for (double error : errors) rounded.loss += error;
  for (double squares : weights) rounded.squared_weight += squares;
  return rounded;
}

WeightView ViewOf(const at::Tensor& weights) {
  return {.out_features = weights.size(0),
          .in_features = weights.size(1),
          .data = reinterpret_cast<const std::byte*>(weights.const_data_ptr<float>())};
}

double RoundMatrix(const Checkpoint& in, const TensorSpec& source, const TensorSpec& target, Clip clip,
                   CheckpointWriter& out, ThreadPool& pool) {
  const WeightView weight = in.Weight(source);
  const std::string where = fmt::format("{}: tensor \"{}\"", in.directory().string(), source.name);
  const int64_t chunk = ChunkRows(weight.in_features);
  double squared_error = 0, squared_weight = 0;
  for (int64_t row = 0; row < weight.out_features; row += chunk) {
    const int64_t rows = std::min(chunk, weight.out_features - row);
    const NearestRows rounded = RoundRows(weight, row, rows, *target.format, clip, out.config().dtype, pool, where);
    WriteRows(out, target, row, rounded, pool);
    const auto row_bytes = static_cast<size_t>(weight.in_features) * SizeOf(weight.dtype);
    MappedFile::DropPages({weight.data + static_cast<size_t>(row) * row_bytes, static_cast<size_t>(rows) * row_bytes});
    squared_error += rounded.loss;
    squared_weight += rounded.squared_weight;
  }
  return squared_weight > 0 ? std::sqrt(squared_error / squared_weight) : 0;
}

double MeasureRoundRate(const PackedFormat& format, Clip clip, ThreadPool& pool) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kRows = 32, kInputs = 4096;
  std::vector<float> values(kRows * kInputs);
  Random random(1);
  for (float& value : values) value = static_cast<float>(random.Normal());
  const WeightView weight{
      .out_features = kRows, .in_features = kInputs, .data = reinterpret_cast<const std::byte*>(values.data())};
  double best = 0;
  const auto start = Clock::now();
  do {
    const auto before = Clock::now();
    Pack(RoundRows(weight, 0, kRows, format, clip, DType::kBF16, pool, ""), pool);
    best = std::max(best, kRows * kInputs / std::chrono::duration<double>(Clock::now() - before).count());
  } while (Clock::now() - start < std::chrono::milliseconds(10));
  return best;
}

}  // namespace ecld
