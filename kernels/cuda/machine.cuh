#pragma once
// The GPU as kernel bodies see it. Bodies are templates over a machine: this one is the hardware, in PTX; the tests
// have one that runs a block on the CPU (tests/testing/gpu_executor.h). Shared memory is addressed by byte offsets from
// the start of the block's dynamic shared memory.

#include "kernels/cuda/lanes.h"

namespace ecld::cuda {

struct Gpu {
  static ECLD_DEVICE int Thread() { return static_cast<int>(threadIdx.x); }
  static ECLD_DEVICE int BlockX() { return static_cast<int>(blockIdx.x); }
  static ECLD_DEVICE int BlockY() { return static_cast<int>(blockIdx.y); }
  static ECLD_DEVICE int BlockZ() { return static_cast<int>(blockIdx.z); }

  static ECLD_DEVICE void Barrier() { __syncthreads(); }
  static ECLD_DEVICE float ShuffleXor(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }

  static ECLD_DEVICE float ShuffleFrom(float value, int lane) { return __shfl_sync(0xffffffffu, value, lane); }

  template <class T>
  static ECLD_DEVICE T Load(const T* address) {
    return *address;
  }
  template <class T>
  static ECLD_DEVICE void Store(T* address, T value) {
    *address = value;
  }
  // Weights: read once, so they are not kept in L1.
  static ECLD_DEVICE Words4 LoadOnce(const Words4* address) {
    Words4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
                 : "l"(address));
    return v;
  }
  static ECLD_DEVICE Words2 LoadOnce(const Words2* address) {
    Words2 v;
    asm volatile("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];"
                 : "=r"(v.word[0]), "=r"(v.word[1])
                 : "l"(address));
    return v;
  }
  static ECLD_DEVICE uint32_t LoadOnce(const uint32_t* address) {
    uint32_t v;
    asm volatile("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(v) : "l"(address));
    return v;
  }

  template <class T>
  static ECLD_DEVICE T LoadShared(uint32_t offset) {
    return *reinterpret_cast<const T*>(Shared() + offset);
  }
  template <class T>
  static ECLD_DEVICE void StoreShared(uint32_t offset, T value) {
    *reinterpret_cast<T*>(Shared() + offset) = value;
  }

  // cp.async of 16 bytes: the first `valid` from global memory, the rest zeros. Both ends on 16 bytes.
  static ECLD_DEVICE void CopyAsync16(uint32_t offset, const void* source, int valid) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(offset)), "l"(source), "r"(valid)
                 : "memory");
  }
  static ECLD_DEVICE void CommitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
  // Until at most kPending of the groups that this thread committed last are under way.
  template <int kPending>
  static ECLD_DEVICE void WaitCopies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
  }

  // ldmatrix.x4: lane i gives the address of row i % 8 of matrix i / 8.
  static ECLD_DEVICE void LoadMatrix4(uint32_t offset, uint32_t (&r)[4]) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(SharedAddress(offset))
                 : "memory");
  }
  // c += a * b, 16 x 16 by 16 x 8, sums in float32.
  template <DType kType>
  static ECLD_DEVICE void Mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    if constexpr (kType == DType::kBF16)
      asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
          "{%0, %1, %2, %3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    else
      asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
          "{%0, %1, %2, %3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }

  // Where a kernel was launched to start before the one ahead of it in its stream has ended (launch.cuh): until that
  // one has ended and what it wrote is seen. Each thread calls it before it touches anything but weights.
  static ECLD_DEVICE void WaitForPrevious() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
  }
  // The next kernel of the stream may start, as soon as all blocks have said so.
  static ECLD_DEVICE void LetNextStart() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
  }

  // Adds 1 and returns what was there before.
  static ECLD_DEVICE uint32_t Increment(uint32_t* counter) { return atomicAdd(counter, 1u); }
  // What this thread wrote before is seen by the whole device before what it writes after.
  static ECLD_DEVICE void Fence() { __threadfence(); }

 protected:
  static ECLD_DEVICE unsigned char* Shared() {
    extern __shared__ __align__(1024) unsigned char shared[];
    return shared;
  }
  // As instructions want it.
  static ECLD_DEVICE uint32_t SharedAddress(uint32_t offset) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(Shared())) + offset;
  }
};

}  // namespace ecld::cuda
