#pragma once
// Runs the body of a CUDA kernel on the CPU, a block at a time, with the instructions that our kernels use as the PTX
// manual defines them: barriers, shuffles, cp.async, ldmatrix, mma.sync.m16n8k16. The body is the template that nvcc
// compiles too (kernels/cuda/machine.cuh is the other machine).
//
//   GpuExecutor gpu(128);
//   gpu.memory.Readable(x.data(), bytes);
//   gpu.memory.Writable(y.data(), bytes);
//   gpu.Launch({4, 2, 1}, shared_bytes, [&](GpuThread& machine) { MmaBody<4, DType::kF16, 1>(machine, product); });
//
// It reports (GpuFault): accesses out of bounds or misaligned, writes to inputs, reads of shared bytes that nothing
// wrote or that a copy is still on its way to, accesses by two threads with no barrier between them, barriers and warp
// instructions that not all threads reach, accesses to what memory.AfterPrevious names before WaitForPrevious. Copies
// arrive as late as the waits allow, blocks run in the given order. It says nothing about speed, bank conflicts, or the
// order of global accesses between blocks.

#include <array>
#include <deque>
#include <functional>
#include <map>

#include "kernels/cuda/lanes.h"
#include "tests/testing/gpu_memory.h"

namespace ecld {

class GpuThread;
class HopperThread;  // gpu_hopper.h

struct GpuGrid {
  int x = 1, y = 1, z = 1;
};

// One wgmma that a thread has asked for.
struct GpuProduct {
  float* d;
  const uint32_t* a;
  uint64_t descriptor;
  DType type;
  bool accumulate;
  int n;
  std::vector<float> before;  // d when it was asked for; empty where another one still under way writes d first
};

class GpuExecutor {
 public:
  explicit GpuExecutor(int threads)
      : fibers(threads), threads_(threads), warps_(static_cast<size_t>(threads + 31) / 32) {}

  // backwards: blocks, and threads within them, in the opposite order.
  template <class Thread = GpuThread, class Body>
  void Launch(GpuGrid grid, size_t shared_bytes, const Body& body, bool backwards = false);

  GpuGlobalMemory memory;

 private:
  friend class GpuThread;
  friend class HopperThread;

  struct Warp {
    int arrived = 0;
    int64_t generation = 0;
    const char* instruction = nullptr;
    std::array<std::array<uint32_t, 10>, 32> in{};  // what each lane brings
    std::array<std::array<uint32_t, 4>, 32> out{};  // and takes away
  };

  // A barrier in shared memory, and the copies that will arrive at it.
  struct AsyncBarrier {
    struct Copy {
      uint32_t bytes;
      std::function<void()> deliver;
    };
    int count = 0, left = 0;  // arrivals of a phase, and those still to come
    int64_t made = 0;         // after so many barriers of the block
    int maker = 0;
    bool published = false;
    uint64_t expected = 0;  // bytes
    int64_t phase = 0;
    std::vector<Copy> copies{};
  };
  struct NamedBarrier {
    int arrived = 0, threads = 0;
    int64_t generation = 0;
  };
  struct Warpgroup {
    int arrived = 0;
    int64_t generation = 0;
    std::array<std::vector<GpuProduct>*, 128> products{};
  };

  Fibers fibers;
  int threads_;
  std::map<uint32_t, AsyncBarrier> async_barriers_;
  std::map<int, NamedBarrier> named_barriers_;
  std::map<int, Warpgroup> warpgroups_;
  std::vector<Warp> warps_;
  GpuSharedMemory shared_;
  int at_barrier_ = 0;
  int64_t barriers_ = 0;
};

// What a kernel's body sees: the machine of one thread.
class GpuThread {
 public:
  GpuThread(GpuExecutor& executor, int thread, GpuGrid block) : e_(executor), thread_(thread), block_(block) {}

  int Thread() const { return thread_; }
  int BlockX() const { return block_.x; }
  int BlockY() const { return block_.y; }
  int BlockZ() const { return block_.z; }

  void Barrier() {
    const int64_t number = e_.barriers_;
    if (++e_.at_barrier_ == e_.threads_) {
      e_.at_barrier_ = 0;
      ++e_.barriers_;
      e_.shared_.NextEpoch();
    }
    e_.fibers.WaitUntil([this, number] { return e_.barriers_ > number; }, "at a barrier");
  }

  float ShuffleXor(float value, int mask) {
    const auto out =
        Together("shuffle", {cuda::AsBits(value), static_cast<uint32_t>(mask)}, [](GpuExecutor::Warp& warp) {
          for (size_t lane = 0; lane < 32; ++lane) warp.out[lane][0] = warp.in[lane ^ warp.in[lane][1]][0];
        });
    return cuda::AsFloat(out[0]);
  }

  float ShuffleFrom(float value, int lane) {
    const auto out =
        Together("shuffle from", {cuda::AsBits(value), static_cast<uint32_t>(lane)}, [](GpuExecutor::Warp& warp) {
          for (size_t i = 0; i < 32; ++i) warp.out[i][0] = warp.in[warp.in[i][1] % 32][0];
        });
    return cuda::AsFloat(out[0]);
  }

  template <class T>
  T Load(const T* address) {
    e_.memory.Check(address, sizeof(T), sizeof(T), false, waited_);
    return *address;
  }
  template <class T>
  void Store(T* address, T value) {
    e_.memory.Check(address, sizeof(T), sizeof(T), true, waited_);
    *address = value;
  }
  template <class T>
  T LoadOnce(const T* address) {
    return Load(address);
  }

  template <class T>
  T LoadShared(uint32_t offset) {
    T value;
    e_.shared_.Read(offset, sizeof(T), sizeof(T), thread_, &value);
    return value;
  }
  template <class T>
  void StoreShared(uint32_t offset, T value) {
    e_.shared_.Write(offset, sizeof(T), sizeof(T), thread_, &value);
  }

  void CopyAsync16(uint32_t offset, const void* source, int valid) {
    if (valid < 0 || valid > 16) throw GpuFault("a copy of " + std::to_string(valid) + " of 16 bytes");
    if (valid > 0) e_.memory.Check(source, static_cast<size_t>(valid), 1, false, waited_);
    if (reinterpret_cast<uintptr_t>(source) % 16 != 0) throw GpuFault("the source of a copy is not on 16");
    e_.shared_.BeginCopy(offset, 16, 16, thread_);
    open_.push_back({offset, source, valid});
  }
  void CommitCopies() {
    committed_.push_back(std::move(open_));
    open_.clear();
  }
  template <int kPending>
  void WaitCopies() {
    while (committed_.size() > kPending) {
      for (const Copy& copy : committed_.front()) {
        std::array<std::byte, 16> bytes{};
        std::memcpy(bytes.data(), copy.source, static_cast<size_t>(copy.valid));
        e_.shared_.FinishCopy(copy.offset, 16, thread_, bytes.data());
      }
      committed_.pop_front();
    }
  }

  void LoadMatrix4(uint32_t offset, uint32_t (&r)[4]) {
    std::array<uint32_t, 10> row{};
    e_.shared_.Read(offset, 16, 16, thread_, row.data());
    const auto out = Together("ldmatrix", row, [](GpuExecutor::Warp& warp) {
      // Register i of a lane: elements 2 (lane % 4) and the next of row lane / 4 of matrix i, whose rows come from
      // lanes 8 i to 8 i + 7.
      for (size_t lane = 0; lane < 32; ++lane)
        for (size_t i = 0; i < 4; ++i) warp.out[lane][i] = warp.in[8 * i + lane / 4][lane % 4];
    });
    std::memcpy(r, out.data(), 16);
  }

  template <DType kType>
  void Mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    std::array<uint32_t, 10> in = {a[0], a[1], a[2], a[3], b0, b1};
    for (size_t i = 0; i < 4; ++i) in[6 + i] = cuda::AsBits(c[i]);
    const auto out = Together("mma", in, MultiplyWarp<kType>);
    for (size_t i = 0; i < 4; ++i) c[i] = cuda::AsFloat(out[i]);
  }

  uint32_t Increment(uint32_t* counter) {
    e_.memory.Check(counter, 4, 4, true, waited_);
    return (*counter)++;
  }
  void Fence() {}

  void WaitForPrevious() { waited_ = true; }
  void LetNextStart() {}

 protected:
  struct Copy {
    uint32_t offset;
    const void* source;
    int valid;
  };

  // The lanes of the warp meet; the last one to come does the work for all.
  template <class Work>
  std::array<uint32_t, 4> Together(const char* instruction, const std::array<uint32_t, 10>& in, const Work& work) {
    auto& warp = e_.warps_[static_cast<size_t>(thread_) / 32];
    const auto lane = static_cast<size_t>(thread_) % 32;
    if (warp.arrived > 0 && warp.instruction != instruction)
      throw GpuFault(std::string("lanes of a warp meet in ") + warp.instruction + " and " + instruction);
    warp.instruction = instruction;
    warp.in[lane] = in;
    const int64_t generation = warp.generation;
    if (++warp.arrived == 32) {
      work(warp);
      warp.arrived = 0;
      ++warp.generation;
    }
    e_.fibers.WaitUntil([&warp, generation] { return warp.generation > generation; }, instruction);
    return warp.out[lane];
  }

  // PTX manual, "Matrix Fragments for mma.m16n8k16": A [16, 16] and C [16, 8] by rows, B [16, 8] by columns.
  template <DType kType>
  static void MultiplyWarp(GpuExecutor::Warp& warp) {
    float a[16][16], b[8][16];
    for (int lane = 0; lane < 32; ++lane) {
      const auto& in = warp.in[static_cast<size_t>(lane)];
      const int row = lane / 4, column = lane % 4 * 2;
      for (int half = 0; half < 2; ++half) {
        const auto value = [&](size_t i) { return cuda::ToFloat<kType>(in[i] >> 16 * half & 0xffffu); };
        a[row][column + half] = value(0);
        a[row + 8][column + half] = value(1);
        a[row][column + 8 + half] = value(2);
        a[row + 8][column + 8 + half] = value(3);
        b[row][column + half] = value(4);
        b[row][column + 8 + half] = value(5);
      }
    }
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < 4; ++i) {
        const int row = lane / 4 + 8 * (i / 2), column = lane % 4 * 2 + i % 2;
        double sum = cuda::AsFloat(warp.in[static_cast<size_t>(lane)][static_cast<size_t>(6 + i)]);
        for (int k = 0; k < 16; ++k) sum += double{a[row][k]} * b[column][k];
        warp.out[static_cast<size_t>(lane)][static_cast<size_t>(i)] = cuda::AsBits(static_cast<float>(sum));
      }
  }

  GpuExecutor& e_;
  int thread_;
  GpuGrid block_;
  bool waited_ = false;
  std::vector<Copy> open_;
  std::deque<std::vector<Copy>> committed_;
};

template <class Thread, class Body>
void GpuExecutor::Launch(GpuGrid grid, size_t shared_bytes, const Body& body, bool backwards) {
  const int blocks = grid.x * grid.y * grid.z;
  for (int i = 0; i < blocks; ++i) {
    const int index = backwards ? blocks - 1 - i : i;
    const GpuGrid block = {index % grid.x, index / grid.x % grid.y, index / grid.x / grid.y};
    shared_.Reset(shared_bytes);
    at_barrier_ = 0;
    for (Warp& warp : warps_) warp.arrived = 0;
    async_barriers_.clear();
    named_barriers_.clear();
    warpgroups_.clear();
    fibers.Run(
        [&](int thread) {
          Thread machine(*this, thread, block);
          body(machine);
        },
        backwards);
    for (const auto& [offset, barrier] : async_barriers_)
      if (!barrier.copies.empty()) throw GpuFault("the block ends while copies into it are under way");
  }
}

}  // namespace ecld
