#pragma once
// A matrix product for the CUDA kernels with everything a test needs to judge it: random weights and x, the exact
// result, and a y full of poison. The memory is the host's; a test on a GPU copies it.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "core/random.h"
#include "kernels/gemm/cuda/gemm.h"
#include "tests/testing/near.h"
#include "tests/testing/owned_weight.h"
#include "tests/testing/sanitized.h"

namespace ecld {

// Sizes of group to try a format with.
inline std::vector<int64_t> CudaGroups(DType type) {
  if (!kSanitized) return {32, 64, 128, 0};
  return type == DType::kF16 ? std::vector<int64_t>{32, 0} : std::vector<int64_t>{64, 128};
}

class CudaProblem {
 public:
  CudaProblem(int64_t m, int64_t n, int64_t k, const PackedFormat& format, DType type, DType scale_dtype, uint64_t seed)
      : random_(seed),
        rows_(OwnedWeight::Packed(n, k, format, scale_dtype, random_)),
        x_stride_((k + 7) / 8 * 8 + 8),
        y_stride_(n + 3),
        tiled_((CudaTiledBytes(rows_.view()) + 15) / 16),
        x_((static_cast<size_t>(m * x_stride_) + 7) / 8),
        workspace_((WorkspaceBytes(n, k, m) + 15) / 16) {
    ThreadPool pool(PoolSize());
    CudaTile(rows_.view(), Bytes(tiled_), pool);
    args_ = {.weight = CudaTiled(rows_.view(), Bytes(tiled_)),
             .type = type,
             .x = x_.data(),
             .x_stride = x_stride_,
             .m = m,
             .y_stride = y_stride_,
             .workspace = Bytes(workspace_)};
    // Poison, NaN in both types, beyond the inputs of each row.
    std::fill_n(x(), m * x_stride_, uint16_t{0x7fff});
    for (int64_t r = 0; r < m; ++r)
      for (int64_t i = 0; i < k; ++i) SetX(r, i, static_cast<float>(random_.Normal()));
    Poison();
  }

  // A moved problem would leave pointers behind.
  CudaProblem(const CudaProblem&) = delete;
  CudaProblem& operator=(const CudaProblem&) = delete;

  const CudaGemmArgs& args() const { return args_; }
  const WeightView& rows() const { return rows_.view(); }
  uint64_t tiled_bytes() const { return CudaTiledBytes(rows_.view()); }
  uint64_t x_bytes() const { return static_cast<uint64_t>(args_.m * x_stride_) * 2; }
  uint64_t y_bytes() const { return y_.size() * 2; }
  uint64_t workspace_bytes() const {
    return WorkspaceBytes(args_.weight.out_features, args_.weight.in_features, args_.m);
  }
  uint16_t* y() { return y_.data(); }

  void SetX(int64_t row, int64_t input, float value) { FromFloat(args_.type, &value, 1, Element(row, input)); }

  // From now on y holds floats.
  void Widen() {
    args_.wide_y = true;
    Poison();
  }

  // Fills y with NaN.
  void Poison() {
    y_.assign(static_cast<size_t>(args_.m * y_stride_ * (args_.wide_y ? 2 : 1)), 0x7fff);
    args_.y = y_.data();
  }

  // y as floats [m, out_features]; what lies between its rows must still be poison.
  std::vector<float> Result() const {
    std::vector<float> result;
    for (int64_t r = 0; r < args_.m; ++r)
      for (int64_t o = 0; o < y_stride_; ++o) {
        const auto place = static_cast<size_t>(r * y_stride_ + o);
        const uint16_t bits = y_[args_.wide_y ? place * 2 : place];
        if (o >= args_.weight.out_features) {
          EXPECT_EQ(bits, 0x7fff) << "written between the rows of y";
          continue;
        }
        float value = args_.type == DType::kF16 ? HalfToFloat(bits) : Bf16ToFloat(bits);
        if (args_.wide_y) std::memcpy(&value, &y_[place * 2], sizeof(value));
        result.push_back(value);
      }
    return result;
  }

  // The product in double precision, [m, out_features].
  std::vector<double> Expected() const {
    std::vector<int64_t> all(static_cast<size_t>(args_.m));
    std::iota(all.begin(), all.end(), 0);
    return ExpectedRows(all);
  }

  // Of these rows alone.
  std::vector<double> ExpectedRows(std::span<const int64_t> rows) const {
    const int64_t n = rows_.view().out_features, k = rows_.view().in_features;
    std::vector<double> expected(rows.size() * static_cast<size_t>(n));
    const auto inputs = static_cast<size_t>(k);
    std::vector<float> x(inputs * rows.size());
    for (size_t r = 0; r < rows.size(); ++r) ToFloat(args_.type, Element(rows[r], 0), inputs, x.data() + r * inputs);
    ThreadPool pool(PoolSize());
    pool.ParallelFor(n, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> weight(static_cast<size_t>(k));
      for (int64_t o = begin; o < end; ++o) {
        ReadRow(rows_.view(), o, weight.data());
        for (size_t r = 0; r < rows.size(); ++r) {
          double sum = 0;
          for (size_t i = 0; i < weight.size(); ++i) sum += double{weight[i]} * x[r * weight.size() + i];
          expected[r * static_cast<size_t>(n) + static_cast<size_t>(o)] = sum;
        }
      }
    });
    return expected;
  }

  // |result - expected| / |expected|, both as one long vector.
  double RelativeNorm() const {
    const std::vector<float> result = Result();
    const std::vector<double> expected = Expected();
    double difference = 0, size = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      difference += (result[i] - expected[i]) * (result[i] - expected[i]);
      size += expected[i] * expected[i];
    }
    return std::sqrt(difference / size);
  }

  // What rounding the result once to the type allows (2^-11, 2^-8; not at all where it is floats), and a little for the
  // sums in float32.
  Tolerance Bound() const { return Relative(args_.wide_y ? 1e-5 : Rounding()); }
  double Rounding() const { return args_.type == DType::kF16 ? 5e-4 : 4e-3; }

 private:
  // Threads for work on the weights; a few are not worth it.
  int PoolSize() const { return rows_.view().out_features * rows_.view().in_features < 1 << 22 ? 1 : 0; }

  // Of every implementation but the one by way of dense weights, which are large.
  static uint64_t WorkspaceBytes(int64_t n, int64_t k, int64_t m) {
    return std::max(CudaGemmWorkspace(n, k, m, "mma"), CudaGemmWorkspace(n, k, m, "wgmma"));
  }
  // Words of 16 bytes, as the kernels want their arrays.
  struct alignas(16) Line {
    std::byte bytes[16]{};
  };
  static std::byte* Bytes(std::vector<Line>& lines) { return lines.front().bytes; }
  uint16_t* x() { return reinterpret_cast<uint16_t*>(x_.data()); }
  const std::byte* Element(int64_t row, int64_t input) const {
    return reinterpret_cast<const std::byte*>(x_.data()) + (row * x_stride_ + input) * 2;
  }
  std::byte* Element(int64_t row, int64_t input) { return Bytes(x_) + (row * x_stride_ + input) * 2; }

  Random random_;
  OwnedWeight rows_;
  int64_t x_stride_, y_stride_;
  std::vector<Line> tiled_, x_, workspace_;
  std::vector<uint16_t> y_;
  CudaGemmArgs args_;
};

}  // namespace ecld
