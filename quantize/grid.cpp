#include "quantize/grid.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace ecld {
namespace {

constexpr int kClipSteps = 80;  // of 1 % each
constexpr int kClipPatience = 5;

// Independent partial results, so that the compiler may keep them in one vector register; the order of summation is
// fixed by this number, not by the machine.
constexpr size_t kLanes = 32;
using Lanes = std::array<float, kLanes>;

float Epsilon(DType dtype) {
  if (dtype == DType::kBF16) return 0x1p-7f;
  if (dtype == DType::kF16) return 0x1p-10f;
  return std::numeric_limits<float>::epsilon();
}

// error^2.4, for errors from zero on. y = error^(2/5) is where y^5 = error^2: begun with a guess from the exponent, off
// by 4 % at most, and squared in precision by each of Newton's steps. Unlike pow, compilers vectorize this.
Lanes ToClipNorm(const Lanes& errors) {
  constexpr int32_t kOne = std::bit_cast<int32_t>(1.0f), kSag = 0x58000;  // of a straight line under log2, in the mean
  Lanes y, norms;
  for (size_t l = 0; l < kLanes; ++l) {
    const auto exponent = static_cast<float>(std::bit_cast<int32_t>(errors[l]) - kOne + kSag);
    y[l] = std::bit_cast<float>(static_cast<int32_t>(0.4f * exponent) + kOne - kSag);
  }
  for (int step = 0; step < 3; ++step)
    for (size_t l = 0; l < kLanes; ++l) {
      const float part = errors[l] / (y[l] * y[l]);  // where y^5 = error^2, the root of y
      y[l] = 0.8f * y[l] + 0.2f * part * part;
    }
  for (size_t l = 0; l < kLanes; ++l) norms[l] = errors[l] * errors[l] * y[l];
  return norms;
}

// Sum of cost * |error|^2.4, or as much of it as is above `enough`.
double ClipError(std::span<const float> weights, std::span<const float> cost, const GroupGrid& grid, int bits,
                 double enough) {
  const auto zero_point = static_cast<float>(grid.zero_point);
  const auto max_code = static_cast<float>((1 << bits) - 1);
  double sum = 0;
  for (size_t i = 0; i < weights.size() && sum <= enough; i += kLanes) {
    Lanes weight{}, error;  // a weight of zero, which fills up the last vector, is on every grid
    const size_t count = std::min(kLanes, weights.size() - i);
    std::copy_n(&weights[i], count, weight.begin());
    for (size_t l = 0; l < kLanes; ++l) {
      const float code = NearestCode(weight[l], grid.scale, zero_point, max_code);
      error[l] = std::fabs(weight[l] - (code - zero_point) * grid.scale);
    }
    const Lanes norms = ToClipNorm(error);
    float of_block = 0;
    for (size_t l = 0; l < count; ++l) of_block += norms[l] * (cost.empty() ? 1.0f : cost[i + l]);
    sum += of_block;
  }
  return sum;
}

}  // namespace

Range RangeOf(std::span<const float> weights) {
  Lanes low{}, high{};
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

GroupGrid GridOfRange(float low, float high, const PackedFormat& format, DType scale_dtype) {
  low = std::min(low, 0.0f);
  high = std::max(high, 0.0f);
  const auto steps = static_cast<float>(format.MaxCode());
  float scale = format.symmetric ? std::max(-low, high) / (steps / 2) : high / steps - low / steps;
  scale = StoredScale(scale, scale_dtype);
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
  Lanes squares{};
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
