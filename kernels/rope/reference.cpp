#include "kernels/rope/rope.h"

namespace ecld {

void Rope(const RopeArgs& args, ThreadPool& pool) {
  const int64_t half = args.head_dim / 2;
  const int64_t min_rows = 1 + 16384 / (args.heads * args.head_dim);
  pool.ParallelFor(args.rows, min_rows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* cosine = args.cosine + row * half;
      const float* sine = args.sine + row * half;
      for (int64_t head = 0; head < args.heads; ++head) {
        float* low = args.x + (row * args.heads + head) * args.head_dim;
        float* high = low + half;
        for (int64_t i = 0; i < half; ++i) {
          const float a = low[i], b = high[i];
          low[i] = a * cosine[i] - b * sine[i];
          high[i] = b * cosine[i] + a * sine[i];
        }
      }
    }
  });
}

}  // namespace ecld
