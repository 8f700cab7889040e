#include <cmath>

#include "kernels/activation/swiglu.h"

namespace ecld {

void Swiglu(const SwigluArgs& args, ThreadPool& pool) {
  pool.ParallelFor(args.count, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float gate = args.gate[i];
      args.y[i] = gate / (1.0f + std::exp(-gate)) * args.up[i];
    }
  });
}

}  // namespace ecld
