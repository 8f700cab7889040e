#include "offload/calibration.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

#include "core/error.h"

namespace ecld::offload {
namespace {

struct Block {
  double low = 0, high = 0;  // of its uncertainties
  double so_sum = 0, count = 0;

  double chance() const { return so_sum / count; }
};

}  // namespace

Calibration::Calibration(CalibrationOf of, std::vector<std::pair<double, bool>> outcomes, Falls falls)
    : of_(std::move(of)) {
  assert(!outcomes.empty());
  std::ranges::sort(outcomes, {}, [](const auto& outcome) { return outcome.first; });
  const auto violates = [&](const Block& low, const Block& high) {
    return falls == Falls::kFalling ? high.chance() >= low.chance() : high.chance() <= low.chance();
  };
  std::vector<Block> blocks;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const Block one{outcomes[i].first, outcomes[i].first, outcomes[i].second ? 1.0 : 0.0, 1};
    const bool tied = i > 0 && outcomes[i].first == outcomes[i - 1].first;
    blocks.push_back(one);
    while (blocks.size() > 1 &&
           ((tied && blocks.back().count == 1) || violates(blocks[blocks.size() - 2], blocks.back()))) {
      const Block last = blocks.back();
      blocks.pop_back();
      blocks.back().high = last.high;
      blocks.back().so_sum += last.so_sum;
      blocks.back().count += last.count;
    }
  }
  for (const Block& block : blocks) {
    knots_.emplace_back(block.low, block.chance());
    if (block.high > block.low) knots_.emplace_back(block.high, block.chance());
    mean_ += block.so_sum / static_cast<double>(outcomes.size());
  }
}

double Calibration::At(const CalibrationOf& of, double uncertainty) const {
  if (of != of_)
    Fail("calibration", "is of weights {:.12} on {} by {} at temperature {}, not of {:.12} on {} by {} at {}",
         of_.weights_sha256, of_.task, of_.aggregate, of_.temperature, of.weights_sha256, of.task, of.aggregate,
         of.temperature);
  const auto after = std::ranges::upper_bound(knots_, uncertainty, {}, [](const auto& knot) { return knot.first; });
  if (after == knots_.begin()) return knots_.front().second;
  if (after == knots_.end()) return knots_.back().second;
  const auto& [x0, y0] = *std::prev(after);
  const auto& [x1, y1] = *after;
  return y0 + (y1 - y0) * (uncertainty - x0) / (x1 - x0);
}

double CalibrationError(std::span<const std::pair<double, bool>> foretold) {
  constexpr size_t kBins = 10;
  std::array<double, kBins> sums{};
  for (const auto& [chance, seen] : foretold)
    sums[std::min(kBins - 1, static_cast<size_t>(chance * kBins))] += chance - (seen ? 1.0 : 0.0);
  double error = 0;
  for (const double sum : sums) error += std::abs(sum) / static_cast<double>(foretold.size());
  return error;
}

}  // namespace ecld::offload
