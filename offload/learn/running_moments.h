#pragma once
// Mean and variance of what has come so far, number by number, by which observations and rewards are scaled. They are
// part of a policy: it would not know the world without them.

#include <cmath>
#include <span>
#include <vector>

namespace ecld::offload {

class RunningMoments {
 public:
  explicit RunningMoments(size_t width) : mean_(width, 0), m2_(width, 0) {}

  void Add(std::span<const float> row) {  // Welford
    ++count_;
    for (size_t i = 0; i < mean_.size(); ++i) {
      const double off = row[i] - mean_[i];
      mean_[i] += off / count_;
      m2_[i] += off * (row[i] - mean_[i]);
    }
  }

  double mean(size_t i) const { return mean_[i]; }
  // 1 over the standard deviation; 1 where nothing is known yet.
  double scale(size_t i) const { return count_ > 1 ? 1 / std::sqrt(m2_[i] / count_ + 1e-8) : 1; }
  size_t width() const { return mean_.size(); }

  // For a file: count, means, sums of squares.
  std::vector<double> State() const {
    std::vector<double> state = {count_};
    state.insert(state.end(), mean_.begin(), mean_.end());
    state.insert(state.end(), m2_.begin(), m2_.end());
    return state;
  }
  // REQUIRES: of the same width.
  void Restore(std::span<const double> state) {
    count_ = state[0];
    for (size_t i = 0; i < width(); ++i) {
      mean_[i] = state[1 + i];
      m2_[i] = state[1 + width() + i];
    }
  }

 private:
  double count_ = 0;
  std::vector<double> mean_, m2_;
};

}  // namespace ecld::offload
