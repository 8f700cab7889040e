// The definition of the matrix product: plain loops in float32, any shape, any format.

#include <vector>

#include "kernels/gemm/implementations.h"

namespace ecld {

void GemmReference(const GemmArgs& args, ThreadPool& pool) {
  const int64_t n = args.weight.out_features, k = args.weight.in_features;
  pool.ParallelFor(n, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(k));
    for (int64_t o = begin; o < end; ++o) {
      ReadRow(args.weight, o, row.data());
      for (int64_t r = 0; r < args.m; ++r) {
        const float* x = args.x + r * k;
        float sum = 0;
        for (int64_t i = 0; i < k; ++i) sum += x[i] * row[i];
        args.y[r * n + o] = sum;
      }
    }
  });
}

}  // namespace ecld
