#include "profiler/channel.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/dtype.h"

namespace ecld {
namespace {

constexpr int kHalfBits = 16;

double RootMeanSquare(std::span<const float> row) {
  double sum = 0;
  for (float value : row) sum += double{value} * value;
  return std::sqrt(sum / static_cast<double>(row.size()));
}

void Round(std::span<float> group, int bits) {
  float largest = 0;
  for (float value : group) largest = std::max(largest, std::abs(value));
  if (largest == 0) return;
  const float scale = largest / static_cast<float>((1 << (bits - 1)) - 1);
  for (float& value : group) value = std::nearbyint(value / scale) * scale;
}

}  // namespace

std::string_view Name(Corruption corruption) {
  constexpr std::array kNames = {"dropout", "awgn", "bitflip", "quant4", "quant8"};
  return kNames[static_cast<size_t>(corruption)];
}

void CorruptingChannel::Pass(std::span<float> hidden, int64_t width) {
  if (corruption_ == Corruption::kBitflip) return FlipBits(hidden);
  const auto row_size = static_cast<size_t>(width);
  for (size_t begin = 0; begin < hidden.size(); begin += row_size) {
    const std::span<float> row = hidden.subspan(begin, row_size);
    if (corruption_ == Corruption::kDropout) {
      for (float& value : row)
        if (random_.Uniform() < level_) value = 0;
    } else if (corruption_ == Corruption::kAwgn) {
      const double deviation = level_ * RootMeanSquare(row);
      for (float& value : row) value += static_cast<float>(deviation * random_.Normal());
    } else {
      const size_t group = level_ == 0 ? row_size : static_cast<size_t>(level_);
      for (size_t at = 0; at < row_size; at += group)
        Round(row.subspan(at, std::min(group, row_size - at)), corruption_ == Corruption::kQuant4 ? 4 : 8);
    }
  }
}

// Errors are rare, so their distances are drawn, which are geometric.
void CorruptingChannel::FlipBits(std::span<float> values) {
  std::vector<uint16_t> sent(values.size());
  std::ranges::transform(values, sent.begin(), FloatToHalf);
  const double bits = static_cast<double>(values.size()) * kHalfBits;
  const auto distance = [&] { return std::floor(std::log1p(-random_.Uniform()) / std::log1p(-level_)); };
  if (level_ > 0)
    for (double at = distance(); at < bits; at += 1 + distance()) {
      const auto bit = static_cast<size_t>(at);
      sent[bit / kHalfBits] ^= static_cast<uint16_t>(1u << bit % kHalfBits);
    }
  for (size_t i = 0; i < values.size(); ++i) {
    const float received = HalfToFloat(sent[i]);
    values[i] = std::isfinite(received) ? received : 0;
  }
}

}  // namespace ecld
