#include "quantize/grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

namespace ecld {
namespace {

constexpr double kClipNorm = 2.4;
constexpr int kClipSteps = 80;  // of 1 % each
constexpr int kClipPatience = 5;

// Independent partial results, so that the compiler may keep them in one vector register; the order of summation is
// fixed by this number, not by the machine.
constexpr size_t kLanes = 16;

float Stored(float value, DType dtype) {
  std::byte bytes[4];
  FromFloat(dtype, &value, 1, bytes);
  ToFloat(dtype, bytes, 1, &value);
  return value;
}

float Epsilon(DType dtype) {
  if (dtype == DType::kBF16) return 0x1p-7f;
  if (dtype == DType::kF16) return 0x1p-10f;
  return std::numeric_limits<float>::epsilon();
}

struct Range {
  float low, high;
};

Range RangeOf(std::span<const float> weights) {
  std::array<float, kLanes> low{}, high{};
  size_t i = 0;
  for (; i + kLanes <= weights.size(); i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      float weight = weights[i + l];
      low[l] = weight < low[l] ? weight : low[l];
      high[l] = weight > high[l] ? weight : high[l];
    }
  }
  for (; i < weights.size(); ++i) {
    low[0] = std::min(low[0], weights[i]);
    high[0] = std::max(high[0], weights[i]);
  }
  return {*std::min_element(low.begin(), low.end()), *std::max_element(high.begin(), high.end())};
}

// Sum of cost * |error|^kClipNorm, or as much of it as is above `enough`.
double ClipError(std::span<const float> weights, std::span<const float> cost, const GroupGrid& grid, int bits,
                 double enough) {
  const auto zero_point = static_cast<float>(grid.zero_point);
  const auto max_code = static_cast<float>((1 << bits) - 1);
  double sum = 0;
  for (size_t i = 0; i < weights.size() && sum <= enough; ++i) {
    const float code = NearestCode(weights[i], grid.scale, zero_point, max_code);
    const float error = std::fabs(weights[i] - (code - zero_point) * grid.scale);
    sum += std::pow(error, static_cast<float>(kClipNorm)) * (cost.empty() ? 1.0f : cost[i]);
  }
  return sum;
}

}  // namespace

GroupGrid GridOfRange(float low, float high, const PackedFormat& format, DType scale_dtype) {
  low = std::min(low, 0.0f);
  high = std::max(high, 0.0f);
  const auto steps = static_cast<float>(format.MaxCode());
  float scale = format.symmetric ? std::max(-low, high) / (steps / 2) : high / steps - low / steps;
  scale = Stored(scale, scale_dtype);
  if (scale == 0) scale = Epsilon(scale_dtype);
  if (format.symmetric) return {scale, format.MidCode()};
  return {scale, static_cast<int>(std::nearbyint(std::clamp(-low / scale, 0.0f, steps)))};
}

GroupGrid FitGrid(std::span<const float> weights, const PackedFormat& format, Clip clip, DType scale_dtype,
                  std::span<const float> cost) {
  const Range range = RangeOf(weights);
  GroupGrid best = GridOfRange(range.low, range.high, format, scale_dtype);
  if (clip == Clip::kMinMax) return best;
  double best_error = ClipError(weights, cost, best, format.bits, std::numeric_limits<double>::infinity());
  int best_step = 0;
  for (int step = 1; step <= kClipSteps && step - best_step <= kClipPatience; ++step) {
    float shrink = 1.0f - 0.01f * static_cast<float>(step);
    GroupGrid grid = GridOfRange(range.low * shrink, range.high * shrink, format, scale_dtype);
    double error = ClipError(weights, cost, grid, format.bits, best_error);
    if (error < best_error) {
      best_error = error;
      best = grid;
      best_step = step;
    }
  }
  return best;
}

double RoundToGrid(std::span<const float> weights, const GroupGrid& grid, int bits, uint8_t* codes) {
  const float scale = grid.scale;
  const auto zero_point = static_cast<float>(grid.zero_point);
  const auto max_code = static_cast<float>((1 << bits) - 1);
  std::array<float, kLanes> squares{};
  size_t i = 0;
  for (; i + kLanes <= weights.size(); i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      const float code = NearestCode(weights[i + l], scale, zero_point, max_code);
      codes[i + l] = static_cast<uint8_t>(code);
      const float error = weights[i + l] - (code - zero_point) * scale;
      squares[l] += error * error;
    }
  }
  for (; i < weights.size(); ++i) {
    const float code = NearestCode(weights[i], scale, zero_point, max_code);
    codes[i] = static_cast<uint8_t>(code);
    const float error = weights[i] - (code - zero_point) * scale;
    squares[0] += error * error;
  }
  double sum = 0;
  for (float square : squares) sum += square;
  return sum;
}

}  // namespace ecld
