#pragma once
// The end of a CUDA product whose inputs were split between blocks.

#include "kernels/gemm/cuda/product.h"

namespace ecld::cuda {

// Adds the parts of all product.splits blocks of a tile of y, number `block` of them, in the order of the parts.
// threads 0 .. kThreads - 1 take part with kQuads * 4 sums each; barrier: of all of them; flag: 4 bytes of shared
// memory. False: this block was not the last to come and is done.
template <int kQuads, int kThreads, class Machine, class Barrier>
ECLD_DEVICE bool AddParts(Machine& machine, const Product& product, int64_t block, int thread, uint32_t flag,
                          const Barrier& barrier, float (&total)[kQuads][4]) {
  constexpr int kCount = kQuads * 4;
  float* parts = product.parts + block * product.splits * kCount * kThreads + thread;
  ECLD_UNROLL
  for (int i = 0; i < kCount; ++i)
    machine.Store(parts + (machine.BlockY() * kCount + i) * kThreads, total[i / 4][i % 4]);
  machine.Fence();
  barrier();
  if (thread == 0) {
    const bool last = machine.Increment(product.counters + block) + 1 == static_cast<uint32_t>(product.splits);
    if (last) machine.Store(product.counters + block, 0u);
    machine.StoreShared(flag, last ? 1u : 0u);
  }
  barrier();
  if (machine.template LoadShared<uint32_t>(flag) == 0) return false;
  machine.Fence();
  ECLD_UNROLL
  for (int i = 0; i < kCount; ++i) total[i / 4][i % 4] = 0;
  for (int split = 0; split < product.splits; ++split) {
    ECLD_UNROLL
    for (int i = 0; i < kCount; ++i) total[i / 4][i % 4] += machine.Load(parts + (split * kCount + i) * kThreads);
  }
  return true;
}

}  // namespace ecld::cuda
