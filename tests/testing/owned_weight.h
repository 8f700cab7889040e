#pragma once
// Random weight matrices that own their bytes, for tests of whatever takes a WeightView. The arrays have exactly the
// size of the format, so that a sanitizer sees every read beyond them, and start one byte off: a mapped file promises
// no alignment.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "core/random.h"
#include "core/threads.h"
#include "kernels/packing/interleaved.h"
#include "kernels/packing/packing.h"

namespace ecld {

class OwnedWeight {
 public:
  static OwnedWeight Dense(int64_t out, int64_t in, DType dtype, Random& random) {
    OwnedWeight weight;
    weight.view_ = {.out_features = out, .in_features = in, .dtype = dtype};
    weight.view_.data = weight.Floats(out * in, dtype, random, 1.0);
    return weight;
  }

  static OwnedWeight Packed(int64_t out, int64_t in, const PackedFormat& format, DType scale_dtype, Random& random) {
    OwnedWeight weight;
    const int64_t groups = format.Groups(in);
    weight.view_ = {.out_features = out, .in_features = in, .format = format, .scale_dtype = scale_dtype};
    std::vector<uint32_t> codes(static_cast<size_t>(out * format.CodeWords(in)));
    for (int64_t row = 0; row < out; ++row)
      PackBits(format.bits, Codes(format.bits, in, random).data(), in, &codes[row * format.CodeWords(in)]);
    weight.view_.codes = weight.Keep(codes.data(), codes.size() * 4);
    weight.view_.scales = weight.Floats(out * groups, scale_dtype, random, 0.1);
    if (!format.symmetric) {
      std::vector<uint32_t> zeros(static_cast<size_t>(format.ZeroWords(out) * groups));
      for (int64_t group = 0; group < groups; ++group)
        PackBits(format.bits, Codes(format.bits, out, random).data(), out, &zeros[group], groups);
      weight.view_.zero_points = weight.Keep(zeros.data(), zeros.size() * 4);
    }
    return weight;
  }

  // The same weights re-tiled, on 64-byte lines and without a byte to spare.
  OwnedWeight Interleaved(ThreadPool& pool) const {
    OwnedWeight weight;
    const uint64_t size = InterleavedBytes(view_);
    weight.parts_.emplace_back(static_cast<std::byte*>(std::aligned_alloc(64, size)));
    Interleave(view_, weight.parts_.back().get(), pool);
    weight.view_ = InterleavedView(view_, weight.parts_.back().get());
    return weight;
  }

  const WeightView& view() const { return view_; }

 private:
  static std::vector<uint8_t> Codes(int bits, int64_t count, Random& random) {
    std::vector<uint8_t> codes(static_cast<size_t>(count));
    for (auto& code : codes) code = static_cast<uint8_t>(random.Below(1u << bits));
    return codes;
  }
  const std::byte* Floats(int64_t count, DType dtype, Random& random, double scale) {
    std::vector<float> values(static_cast<size_t>(count));
    for (auto& value : values) value = static_cast<float>(random.Normal() * scale);
    std::vector<std::byte> bytes(values.size() * SizeOf(dtype));
    FromFloat(dtype, values.data(), values.size(), bytes.data());
    return Keep(bytes.data(), bytes.size());
  }
  const std::byte* Keep(const void* data, size_t size) {
    parts_.emplace_back(static_cast<std::byte*>(std::malloc(size + 1)));
    std::memcpy(parts_.back().get() + 1, data, size);
    return parts_.back().get() + 1;
  }

  WeightView view_;
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  std::vector<std::unique_ptr<std::byte, Free>> parts_;
};

// [m, k] standard normal.
inline std::vector<float> RandomRows(int64_t m, int64_t k, Random& random) {
  std::vector<float> x(static_cast<size_t>(m * k));
  for (auto& value : x) value = static_cast<float>(random.Normal());
  return x;
}

// The largest sum of absolute products over all outputs: what rounding errors of a sum are measured by.
inline double LargestAbsoluteSum(const WeightView& weight, const std::vector<float>& x) {
  const auto k = static_cast<size_t>(weight.in_features);
  std::vector<float> row(k);
  double largest = 0;
  for (int64_t o = 0; o < weight.out_features; ++o) {
    ReadRow(weight, o, row.data());
    for (size_t begin = 0; begin < x.size(); begin += k) {
      double sum = 0;
      for (size_t i = 0; i < k; ++i) sum += std::abs(double{x[begin + i]} * row[i]);
      largest = std::max(largest, sum);
    }
  }
  return largest;
}

// The most that rounding x to 8 bits can change an output: half a step of each group times its weights' magnitudes.
inline double RoundingBudget(const WeightView& weight, const std::vector<float>& x) {
  const int64_t k = weight.in_features, group_size = weight.format.GroupSize(k);
  std::vector<float> row(static_cast<size_t>(k));
  double largest = 0;
  for (int64_t o = 0; o < weight.out_features; ++o) {
    ReadRow(weight, o, row.data());
    for (size_t r = 0; r * k < x.size(); ++r) {
      double budget = 0;
      for (int64_t begin = 0; begin < k;) {
        const int64_t end = std::min({k, begin + 128, (begin / group_size + 1) * group_size});
        double peak = 0, weights = 0;
        for (int64_t i = begin; i < end; ++i) {
          peak = std::max(peak, std::abs(double{x[r * k + i]}));
          weights += std::abs(double{row[i]});
        }
        budget += peak / 127 / 2 * weights;
        begin = end;
      }
      largest = std::max(largest, budget);
    }
  }
  return largest;
}

}  // namespace ecld
