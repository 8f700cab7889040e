#pragma once
// What compute capability 9.0 adds to the machine of kernel bodies (machine.cuh): barriers in shared memory that count
// arrivals and bytes, copies that arrive at them, and products of a warpgroup (four warps) whose second operand stays
// in shared memory. Only for code of sm_90a. The tests' counterpart is tests/testing/gpu_hopper.h.

#include "kernels/cuda/machine.cuh"
#include "kernels/cuda/tensor_map.h"

namespace ecld::cuda {

struct Gpu90 : Gpu {
  using Map = TensorMap;

  // As instructions want it; the block's shared memory begins on 1024 bytes.
  static ECLD_DEVICE uint32_t SharedAddress(uint32_t offset) { return Gpu::SharedAddress(offset); }

  // A barrier of 8 bytes whose phase ends after `count` arrivals and all bytes that were announced. Made by one thread;
  // then PublishBarriers by the same and a Barrier() of the block.
  static ECLD_DEVICE void MakeBarrier(uint32_t offset, int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(SharedAddress(offset)), "r"(count) : "memory");
  }
  static ECLD_DEVICE void PublishBarriers() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
  static ECLD_DEVICE void Arrive(uint32_t offset) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(SharedAddress(offset)) : "memory");
  }
  static ECLD_DEVICE void ArriveExpecting(uint32_t offset, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(SharedAddress(offset)), "r"(bytes)
                 : "memory");
  }
  // Until the phase of this parity has ended; phases are 0, 1, 0, ...
  static ECLD_DEVICE void WaitFor(uint32_t offset, uint32_t parity) {
    uint32_t done = 0;
    while (done == 0)
      asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                   : "=r"(done)
                   : "r"(SharedAddress(offset)), "r"(parity)
                   : "memory");
  }

  // Copies to shared memory that arrive at a barrier; by one thread. Bytes: a multiple of 16, both ends on 16.
  static ECLD_DEVICE void CopyBytes(uint32_t offset, const void* source, uint32_t bytes, uint32_t barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     SharedAddress(offset)),
                 "l"(source), "r"(bytes), "r"(SharedAddress(barrier))
                 : "memory");
  }
  // The map's box with its first element at (row, column) of the matrix. offset: on 1024.
  static ECLD_DEVICE void CopyBox(uint32_t offset, const Map& map, int column, int row, uint32_t barrier) {
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
            SharedAddress(offset)),
        "l"(&map), "r"(column), "r"(row), "r"(SharedAddress(barrier))
        : "memory");
  }

  // A barrier among `threads` threads of the block; id: 1 to 15.
  static ECLD_DEVICE void BarrierAmong(int id, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
  }
  // By all of a warpgroup: registers of each thread from here on.
  template <int kRegisters>
  static ECLD_DEVICE void KeepRegisters() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
  }
  template <int kRegisters>
  static ECLD_DEVICE void TakeRegisters() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
  }

  // Before the first product, and after registers that one takes were written.
  template <int kQuads, int kSteps>
  static ECLD_DEVICE void FenceProducts(float (&d)[kQuads][4], uint32_t (&a)[kSteps][4]) {
    Pin(d);
    Pin(a);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  }
  // Operands made while products are under way: first they are finished, then, when the products are done, moved to
  // where the next products take them from. Were the compiler free to make them there, the assembler would have to let
  // the products run one by one.
  template <int kSteps>
  static ECLD_DEVICE void FinishOperands(uint32_t (&a)[kSteps][4]) {
    Pin(a);
  }
  template <int kSteps>
  static ECLD_DEVICE void MoveOperands(uint32_t (&to)[kSteps][4], const uint32_t (&from)[kSteps][4]) {
    ECLD_UNROLL
    for (int i = 0; i < kSteps * 4; ++i)
      asm volatile("mov.b32 %0, %1;" : "=r"(to[i / 4][i % 4]) : "r"(from[i / 4][i % 4]));
  }
  static ECLD_DEVICE void CommitProducts() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
  // Until all products that were committed are done; their sums are in d.
  template <int kQuads>
  static ECLD_DEVICE void WaitProducts(float (&d)[kQuads][4]) {
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    Pin(d);
  }
  // d = a * b, or d += a * b: 64 x 16 by 16 x 8 kQuads, b by its descriptor (hopper.h). Under way until WaitProducts:
  // neither a, d nor b may be touched.
  template <DType kType, bool kAccumulate, int kQuads>
  static ECLD_DEVICE void Multiply(float (&d)[kQuads][4], const uint32_t (&a)[4], uint64_t descriptor) {
    static_assert(kQuads == 8 || kQuads == 16);
    if constexpr (kQuads == 8 && kType == DType::kBF16)
      asm volatile(
          "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"
          "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
          "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
          "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
          "{%32, %33, %34, %35}, %36, p, 1, 1, 0;\n}"
          : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
            "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
            "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
            "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
            "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor), "n"(kAccumulate ? 1 : 0));
    else if constexpr (kQuads == 8 && kType == DType::kF16)
      asm volatile(
          "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"
          "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {"
          "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
          "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
          "{%32, %33, %34, %35}, %36, p, 1, 1, 0;\n}"
          : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
            "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
            "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
            "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
            "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor), "n"(kAccumulate ? 1 : 0));
    else if constexpr (kQuads == 16 && kType == DType::kBF16)
      asm volatile(
          "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n"
          "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
          "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
          "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
          "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
          "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
          "{%64, %65, %66, %67}, %68, p, 1, 1, 0;\n}"
          : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
            "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
            "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
            "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
            "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]), "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]),
            "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]),
            "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]),
            "+f"(d[12][0]), "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]),
            "+f"(d[13][2]), "+f"(d[13][3]), "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]),
            "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]), "+f"(d[15][3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor), "n"(kAccumulate ? 1 : 0));
    else if constexpr (kQuads == 16 && kType == DType::kF16)
      asm volatile(
          "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n"
          "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
          "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
          "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
          "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
          "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
          "{%64, %65, %66, %67}, %68, p, 1, 1, 0;\n}"
          : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
            "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
            "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
            "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
            "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]), "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]),
            "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]),
            "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]),
            "+f"(d[12][0]), "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]),
            "+f"(d[13][2]), "+f"(d[13][3]), "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]),
            "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]), "+f"(d[15][3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor), "n"(kAccumulate ? 1 : 0));
  }

 private:
  // The compiler may not move what makes or uses these across this.
  template <int kQuads>
  static ECLD_DEVICE void Pin(float (&d)[kQuads][4]) {
    ECLD_UNROLL
    for (int i = 0; i < kQuads * 4; ++i) asm volatile("" : "+f"(d[i / 4][i % 4])::"memory");
  }
  template <int kSteps>
  static ECLD_DEVICE void Pin(uint32_t (&a)[kSteps][4]) {
    ECLD_UNROLL
    for (int i = 0; i < kSteps * 4; ++i) asm volatile("" : "+r"(a[i / 4][i % 4])::"memory");
  }
};

}  // namespace ecld::cuda
