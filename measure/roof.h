#pragma once
// What this machine can do at most, measured: the rate at which memory is read and that of the arithmetic, all threads
// of a pool together. No kernel is faster than the slower of the two allows (Williams et al. 2009).

#include "core/json.h"
#include "core/threads.h"
#include "kernels/peak/peak.h"

namespace ecld {

struct Roof {
  double read_Bps = 0;
  // Multiply-adds count two. Where the CPU has no instruction for the narrow ones, they are the float32 figure.
  double float32_flops = 0;
  double bf16_flops = 0;
  double int8_ops = 0;

  double Operations(Arithmetic arithmetic) const;
  // The least time for so much work, in ms.
  double LeastMs(double bytes, double operations, Arithmetic arithmetic) const;
};

// Takes about a second.
Roof MeasureRoof(ThreadPool& pool);

Json ToJson(const Roof& roof);

}  // namespace ecld
