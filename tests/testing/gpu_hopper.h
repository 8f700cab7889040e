#pragma once
// What compute capability 9.0 adds to the executor (gpu_executor.h): barriers in shared memory with phases, bytes and
// boxes copied to arrive at them, barriers among some threads, and products of a warpgroup, wgmma m64nNk16 with operand
// A in registers. Written after the PTX manual; the machine that nvcc compiles is kernels/cuda/machine_sm90a.cuh.
//
//   gpu.Launch<HopperThread>({2, 1, 1}, shared_bytes, [&](HopperThread& machine) { ... });
//
// Everything happens as late as the waits allow: bytes arrive when a thread waits for their barrier, products read
// their operands when they are waited for, and until then sums are NaN. So a buffer used again too early gives other
// numbers or, since copies on their way are known, a GpuFault. Faults are also: products without a fence, threads of a
// warpgroup that multiply different things, more arrivals or bytes than were announced, barriers used before the block
// has met, copies still on their way when the block ends. Bytes that copies bring are ordered by their barriers alone;
// the check of gpu_memory.h for barriers between two threads does not hold for them.

#include <algorithm>
#include <cmath>
#include <functional>

#include "kernels/cuda/tensor_map.h"
#include "tests/testing/gpu_executor.h"

namespace ecld {

class HopperThread : public GpuThread {
 public:
  using Map = cuda::TensorBox;
  using GpuThread::GpuThread;
  static constexpr uint32_t kSharedBegin = 1024;

  uint32_t SharedAddress(uint32_t offset) const { return kSharedBegin + offset; }

  void MakeBarrier(uint32_t offset, int count) {
    StoreShared(offset, uint64_t{0});
    e_.async_barriers_[offset] = {.count = count, .left = count, .made = e_.barriers_, .maker = thread_};
  }
  void PublishBarriers() {
    for (auto& [offset, barrier] : e_.async_barriers_) barrier.published = true;
  }
  void Arrive(uint32_t offset) { ArriveExpecting(offset, 0); }
  void ArriveExpecting(uint32_t offset, uint32_t bytes) {
    auto& barrier = BarrierAt(offset);
    if (barrier.left == 0) throw GpuFault("a thread arrives at a barrier whose phase has all its arrivals");
    barrier.expected += bytes;
    if (--barrier.left == 0 && barrier.expected == 0 && barrier.copies.empty()) EndPhase(barrier);
  }
  void WaitFor(uint32_t offset, uint32_t parity) {
    auto& barrier = BarrierAt(offset);
    e_.fibers.WaitUntil(
        [&barrier, parity] {
          if (barrier.phase % 2 == parity && Complete(barrier)) EndPhase(barrier);
          return barrier.phase % 2 != parity;
        },
        "for the phase of a barrier");
  }

  void CopyBytes(uint32_t offset, const void* source, uint32_t bytes, uint32_t barrier) {
    if (bytes % 16 != 0) throw GpuFault("a copy of " + std::to_string(bytes) + " bytes, not a multiple of 16");
    e_.memory.Check(source, bytes, 16, false, waited_);
    e_.shared_.BeginCopy(offset, bytes, 16, GpuSharedMemory::kCopy);
    AddCopy(barrier, bytes,
            [&e = e_, offset, source, bytes] { e.shared_.FinishCopy(offset, bytes, GpuSharedMemory::kCopy, source); });
  }
  void CopyBox(uint32_t offset, const Map& box, int column, int row, uint32_t barrier) {
    if (const std::string problem = cuda::TensorBoxProblem(box); !problem.empty()) throw GpuFault(problem);
    const uint32_t bytes = box.box_rows * 128;
    e_.shared_.BeginCopy(offset, bytes, 1024, GpuSharedMemory::kCopy);
    const auto source = [box, column, row](uint32_t r) {
      return static_cast<const std::byte*>(box.base) + (static_cast<uint64_t>(row) + r) * box.row_bytes + column * 2;
    };
    const auto inside = [box, column, row](uint32_t r) -> size_t {
      const int64_t left = static_cast<int64_t>(box.columns) - column;
      if (static_cast<uint64_t>(row) + r >= box.rows || left <= 0) return 0;
      return static_cast<size_t>(std::min<int64_t>(left, 64)) * 2;
    };
    for (uint32_t r = 0; r < box.box_rows; ++r)
      if (inside(r) > 0) e_.memory.Check(source(r), inside(r), 2, false, waited_);
    AddCopy(barrier, bytes, [&e = e_, offset, box, source, inside] {
      for (uint32_t r = 0; r < box.box_rows; ++r) {
        std::array<std::byte, 128> line{};
        if (inside(r) > 0) std::memcpy(line.data(), source(r), inside(r));
        for (uint32_t chunk = 0; chunk < 8; ++chunk)
          e.shared_.FinishCopy(Swizzled(kSharedBegin + offset + r * 128 + chunk * 16) - kSharedBegin, 16,
                               GpuSharedMemory::kCopy, line.data() + chunk * 16);
      }
    });
  }

  void BarrierAmong(int id, int threads) {
    auto& barrier = e_.named_barriers_[id];
    if (barrier.arrived > 0 && barrier.threads != threads) throw GpuFault("a barrier among two numbers of threads");
    barrier.threads = threads;
    const int64_t generation = barrier.generation;
    if (++barrier.arrived == threads) {
      barrier.arrived = 0;
      ++barrier.generation;
      e_.shared_.NextEpoch();
    }
    e_.fibers.WaitUntil([&barrier, generation] { return barrier.generation > generation; }, "at a named barrier");
  }
  template <int kRegisters>
  void KeepRegisters() {}
  template <int kRegisters>
  void TakeRegisters() {}

  template <int kQuads, int kSteps>
  void FenceProducts(float (&)[kQuads][4], uint32_t (&)[kSteps][4]) {
    fenced_ = true;
  }
  template <int kSteps>
  void FinishOperands(uint32_t (&)[kSteps][4]) {}
  template <int kSteps>
  void MoveOperands(uint32_t (&to)[kSteps][4], const uint32_t (&from)[kSteps][4]) {
    std::memcpy(to, from, sizeof(to));
  }
  template <DType kType, bool kAccumulate, int kQuads>
  void Multiply(float (&d)[kQuads][4], const uint32_t (&a)[4], uint64_t descriptor) {
    if (!fenced_) throw GpuFault("a product of a warpgroup without a fence after registers were written");
    GpuProduct product = {&d[0][0], a, descriptor, kType, kAccumulate, kQuads * 8, {}};
    const auto same = [&](const GpuProduct& other) { return other.d == product.d; };
    if (std::none_of(products_.begin(), products_.end(), same)) {
      product.before.assign(product.d, product.d + kQuads * 4);
      std::fill_n(product.d, kQuads * 4, NAN);
    }
    products_.push_back(std::move(product));
  }
  void CommitProducts() { committed_products_ = products_.size(); }
  template <int kQuads>
  void WaitProducts(float (&)[kQuads][4]) {
    if (committed_products_ != products_.size()) throw GpuFault("products are waited for that were not committed");
    fenced_ = false;
    auto& group = e_.warpgroups_[thread_ / 128];
    group.products[static_cast<size_t>(thread_ % 128)] = &products_;
    const int64_t generation = group.generation;
    if (++group.arrived == 128) {
      MultiplyWarpgroup(group);
      group.arrived = 0;
      ++group.generation;
    }
    e_.fibers.WaitUntil([&group, generation] { return group.generation > generation; }, "for products");
    products_.clear();
    committed_products_ = 0;
  }

 private:
  using AsyncBarrier = GpuExecutor::AsyncBarrier;

  AsyncBarrier& BarrierAt(uint32_t offset) {
    const auto found = e_.async_barriers_.find(offset);
    if (found == e_.async_barriers_.end()) throw GpuFault("there is no barrier at " + std::to_string(offset));
    AsyncBarrier& barrier = found->second;
    if (!barrier.published || (barrier.made == e_.barriers_ && barrier.maker != thread_))
      throw GpuFault("a barrier is used before the block knows of it");
    return barrier;
  }
  static bool Complete(const AsyncBarrier& barrier) {
    uint64_t bytes = 0;
    for (const auto& copy : barrier.copies) bytes += copy.bytes;
    if (barrier.left == 0 && bytes > barrier.expected) throw GpuFault("more bytes arrive than were announced");
    return barrier.left == 0 && bytes == barrier.expected;
  }
  static void EndPhase(AsyncBarrier& barrier) {
    for (const auto& copy : barrier.copies) copy.deliver();
    barrier.copies.clear();
    barrier.expected = 0;
    barrier.left = barrier.count;
    ++barrier.phase;
  }
  void AddCopy(uint32_t barrier, uint32_t bytes, std::function<void()> deliver) {
    BarrierAt(barrier).copies.push_back({bytes, std::move(deliver)});
  }

  // The 128-byte swizzle: bits 4 to 6 of an address by its bits 7 to 9.
  static uint32_t Swizzled(uint32_t address) { return address ^ (address >> 7 & 7) << 4; }

  void MultiplyWarpgroup(const GpuExecutor::Warpgroup& group) {
    const auto& first = *group.products[0];
    for (size_t i = 0; i < first.size(); ++i) {
      for (const auto* products : group.products)
        if (products->size() != first.size() || (*products)[i].descriptor != first[i].descriptor ||
            (*products)[i].accumulate != first[i].accumulate || (*products)[i].n != first[i].n)
          throw GpuFault("threads of a warpgroup multiply different things");
      first[i].type == DType::kF16 ? MultiplyOne<DType::kF16>(group, i) : MultiplyOne<DType::kBF16>(group, i);
    }
  }

  // "Register Fragments for wgmma.m64n8k16", "Strides" and "Matrix Descriptor Format".
  template <DType kType>
  void MultiplyOne(const GpuExecutor::Warpgroup& group, size_t index) {
    const GpuProduct& shape = (*group.products[0])[index];
    if (shape.descriptor >> 62 != 1 || (shape.descriptor >> 49 & 7) != 0)
      throw GpuFault("only operands with the 128-byte swizzle that begin on 1024 bytes");
    const auto start = static_cast<uint32_t>(shape.descriptor & 0x3fff) << 4;
    const auto eight_rows = static_cast<uint32_t>(shape.descriptor >> 32 & 0x3fff) << 4;
    std::vector<std::array<float, 16>> b(static_cast<size_t>(shape.n));
    for (uint32_t column = 0; column < b.size(); ++column)
      for (uint32_t chunk = 0; chunk < 2; ++chunk) {
        std::array<uint16_t, 8> values;
        const uint32_t address = start + column / 8 * eight_rows + column % 8 * 128 + chunk * 16;
        e_.shared_.Read(Swizzled(address) - kSharedBegin, 16, 16, thread_ / 128 * 128, values.data());
        for (size_t i = 0; i < 8; ++i) b[column][chunk * 8 + i] = cuda::ToFloat<kType>(values[i]);
      }
    float a[64][16];
    for (int thread = 0; thread < 128; ++thread)
      for (int j = 0; j < 8; ++j)
        a[thread / 32 * 16 + thread % 32 / 4 + 8 * (j / 2 % 2)][thread % 4 * 2 + j % 2 + 8 * (j / 4)] =
            cuda::ToFloat<kType>((*group.products[static_cast<size_t>(thread)])[index].a[j / 2] >> 16 * (j % 2) &
                                 0xffffu);
    for (int thread = 0; thread < 128; ++thread) {
      const GpuProduct& product = (*group.products[static_cast<size_t>(thread)])[index];
      if (!product.before.empty()) std::copy(product.before.begin(), product.before.end(), product.d);
      for (int i = 0; i < shape.n / 2; ++i) {
        const int row = thread / 32 * 16 + thread % 32 / 4 + 8 * (i / 2 % 2);
        const auto column = static_cast<size_t>(i / 4 * 8 + thread % 4 * 2 + i % 2);
        double sum = shape.accumulate ? product.d[i] : 0.0;
        for (size_t k = 0; k < 16; ++k) sum += double{a[row][k]} * b[column][k];
        product.d[i] = static_cast<float>(sum);
      }
    }
  }

  bool fenced_ = false;
  std::vector<GpuProduct> products_;
  size_t committed_products_ = 0;
};

}  // namespace ecld
