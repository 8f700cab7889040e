#pragma once
// How a kernel runs that has nothing to fetch while the one ahead of it ends, and may start then all the same
// (launch.cuh): its blocks are in their places, and the next kernel's may come, which has weights to fetch.

#include "kernels/cuda/lanes.h"

namespace ecld::cuda {

template <class Machine, class Kernel>
ECLD_DEVICE void RunAfterPrevious(Machine& machine, const Kernel& kernel) {
  machine.LetNextStart();
  machine.WaitForPrevious();
  kernel(machine);
}

}  // namespace ecld::cuda
