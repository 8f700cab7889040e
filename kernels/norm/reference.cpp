#include <cmath>

#include "kernels/norm/norm.h"

namespace ecld {

void RmsNorm(const RmsNormArgs& args, ThreadPool& pool) {
  // Small problems stay on the calling thread: waking the others costs more than the work.
  const int64_t min_rows = 1 + 16384 / args.width;
  pool.ParallelFor(args.rows, min_rows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* x = args.x + row * args.width;
      float* y = args.y + row * args.width;
      double squares = 0;
      for (int64_t i = 0; i < args.width; ++i) squares += static_cast<double>(x[i]) * x[i];
      const auto mean = static_cast<float>(squares / static_cast<double>(args.width));
      const float inverse = 1.0f / std::sqrt(mean + args.eps);
      for (int64_t i = 0; i < args.width; ++i) y[i] = x[i] * inverse * args.weight[i];
    }
  });
}

}  // namespace ecld
