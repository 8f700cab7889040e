#include "model/factor_inverse.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <vector>

#include "kernels/gemm/gemm.h"
#include "model/block_kernels.h"

namespace ecld {
namespace {

constexpr int64_t kBlock = 512;   // columns at a time
constexpr int64_t kChunk = 2048;  // rows that are multiplied at a time
constexpr int64_t kMinRows = 16;  // of a thread that copies

struct Part {
  int64_t row, rows, column, columns;
};

class FactorInverse {
 public:
  FactorInverse(float* matrix, int64_t size, ThreadPool& pool) : matrix_(matrix), size_(size), pool_(pool) {}

  bool Run() {
    for (int64_t begin = 0; begin < size_; begin += kBlock)
      if (!Factor(begin, std::min(kBlock, size_ - begin))) return false;
    for (int64_t begin = kBlock; begin < size_; begin += kBlock) Invert(begin, std::min(kBlock, size_ - begin));
    return true;
  }

 private:
  // `count` columns of L, from those to their left. In place of its square on the diagonal, the square's transposed
  // inverse.
  bool Factor(int64_t begin, int64_t count) {
    const std::vector<float> left = Copy({begin, count, 0, begin});
    for (int64_t row = begin; begin > 0 && row < size_; row += kChunk) {
      const int64_t rows = std::min(kChunk, size_ - row);
      const std::vector<float> products = Multiply(Copy({row, rows, 0, begin}), rows, left.data(), count);
      Update({row, rows, begin, count}, products, [](float before, float product) { return before - product; });
    }
    std::vector<float> square = Copy({begin, count, begin, count});
    const auto [factor, info] = at::linalg_cholesky_ex(at::from_blob(square.data(), {count, count}, at::kFloat));
    if (info.item<int>() != 0) return false;
    const at::Tensor inverse = at::linalg_solve_triangular(factor, at::eye(count), /*upper=*/false).contiguous();
    inverses_.push_back(inverse);
    for (int64_t row = begin + count; row < size_; row += kChunk) {
      const int64_t rows = std::min(kChunk, size_ - row);
      Set({row, rows, begin, count},
          Multiply(Copy({row, rows, begin, count}), rows, inverse.const_data_ptr<float>(), count));
    }
    at::from_blob(square.data(), {count, count}, at::kFloat).copy_(inverse.t());
    Set({begin, count, begin, count}, square);
    return true;
  }

  // The rows of L from `begin` on, inverted, as columns of L^-T, from those to their left. With X = L^-1 and i these
  // rows, X_ic = -X_ii sum_k L_ik X_kc.
  void Invert(int64_t begin, int64_t count) {
    const float* const inverse = inverses_[static_cast<size_t>(begin / kBlock)].const_data_ptr<float>();
    for (int64_t c = 0; c < begin; c += kBlock) {
      const std::vector<float> row = Copy({begin, count, c, begin - c});
      const std::vector<float> sums = Multiply(Copy({c, kBlock, c, begin - c}), kBlock, row.data(), count);
      Update({c, kBlock, begin, count}, Multiply(sums, kBlock, inverse, count),
             [](float, float product) { return -product; });
    }
  }

  // x [rows, depth] times weights [outputs, depth]^T.
  std::vector<float> Multiply(const std::vector<float>& x, int64_t rows, const float* weights, int64_t outputs) {
    std::vector<float> y(static_cast<size_t>(rows * outputs));
    Gemm({.weight = {.out_features = outputs,
                     .in_features = std::ssize(x) / rows,
                     .dtype = DType::kF32,
                     .data = reinterpret_cast<const std::byte*>(weights)},
          .x = x.data(),
          .m = rows,
          .y = y.data()},
         pool_);
    return y;
  }

  std::vector<float> Copy(const Part& part) {
    std::vector<float> copy(static_cast<size_t>(part.rows * part.columns));
    pool_.ParallelFor(part.rows, kMinRows, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) std::copy_n(Row(part, r), part.columns, copy.data() + r * part.columns);
    });
    return copy;
  }

  // Each element from what it was and one of values.
  template <class Combine>
  void Update(const Part& part, const std::vector<float>& values, const Combine& combine) {
    pool_.ParallelFor(part.rows, kMinRows, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        float* const to = Row(part, r);
        const float* const from = values.data() + r * part.columns;
        for (int64_t i = 0; i < part.columns; ++i) to[i] = combine(to[i], from[i]);
      }
    });
  }
  void Set(const Part& part, const std::vector<float>& values) {
    Update(part, values, [](float, float value) { return value; });
  }

  float* Row(const Part& part, int64_t row) { return matrix_ + (part.row + row) * size_ + part.column; }

  float* matrix_;
  int64_t size_;
  ThreadPool& pool_;
  std::vector<at::Tensor> inverses_;  // of the squares on the diagonal of L
};

}  // namespace

bool InvertFactorInPlace(at::Tensor& matrix, ThreadPool& pool) {
  assert(matrix.is_contiguous() && matrix.size(0) == matrix.size(1));
  const TorchOnOneThread one_thread;
  return FactorInverse(matrix.data_ptr<float>(), matrix.size(0), pool).Run();
}

}  // namespace ecld
