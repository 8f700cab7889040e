#pragma once
// The gate of the feed-forward layer (Shazeer 2020, equation 5, with SiLU): y = silu(gate) * up, silu(g) = g / (1 +
// e^-g).

#include <cstdint>

#include "core/threads.h"

namespace ecld {

struct SwigluArgs {
  const float* gate = nullptr;  // [count]
  const float* up = nullptr;    // [count]
  int64_t count = 0;
  float* y = nullptr;  // [count]; may be gate or up
};

void Swiglu(const SwigluArgs& args, ThreadPool& pool);

}  // namespace ecld
