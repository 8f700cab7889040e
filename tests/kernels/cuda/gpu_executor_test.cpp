// The executor itself: instructions against what the PTX manual says of them, and kernels with planted faults.

#include "tests/testing/gpu_executor.h"

#include <gmock/gmock.h>

#include <numeric>

#include "core/random.h"

namespace ecld {
namespace {

constexpr int kThreads = 64;
constexpr size_t kShared = 4096;

// What the executor says of a kernel of one block; "" when it finds nothing wrong.
template <class Body>
std::string Faults(const Body& body, GpuExecutor&& gpu = GpuExecutor(kThreads)) {
  for (bool backwards : {false, true}) {
    try {
      gpu.Launch({}, kShared, body, backwards);
    } catch (const GpuFault& fault) {
      return fault.what();
    }
  }
  return "";
}

uint32_t At(int element) { return static_cast<uint32_t>(element) * 4; }

// Every thread hands its number to its neighbour through shared memory.
template <bool kBarrier>
void PassOn(GpuThread& machine) {
  machine.StoreShared(At(machine.Thread()), machine.Thread());
  if (kBarrier) machine.Barrier();
  const int next = (machine.Thread() + 1) % kThreads;
  if (machine.LoadShared<int>(At(next)) != next) throw std::logic_error("another value");
}

TEST(GpuExecutor, BarriersOrderSharedMemory) {
  EXPECT_EQ(Faults(PassOn<true>), "");
  EXPECT_THAT(Faults(PassOn<false>), testing::HasSubstr("shared read"));
}

TEST(GpuExecutor, MissingBarrierIsFoundWhateverTheOrderOfThreads) {
  // Thread 0 runs first and writes; the others read what is there already: right by luck.
  EXPECT_THAT(Faults([](GpuThread& machine) {
                if (machine.Thread() == 0) machine.StoreShared(0, 1);
                machine.LoadShared<int>(0);
              }),
              testing::HasSubstr("shared read without a barrier after the write: byte 0, thread 1 and thread 0"));
  // The last thread to reach the barrier goes on first, reads in time, and the first writes behind its back.
  EXPECT_THAT(Faults([](GpuThread& machine) {
                machine.StoreShared(At(machine.Thread()), 1);
                machine.Barrier();
                if (machine.Thread() == kThreads - 1) machine.LoadShared<int>(0);
                if (machine.Thread() == 0) machine.StoreShared(0, 2);
              }),
              testing::HasSubstr("shared write without a barrier after a read: byte 0, thread 0 and thread 63"));
  EXPECT_THAT(Faults([](GpuThread& machine) { machine.StoreShared(8, machine.Thread()); }),
              testing::HasSubstr("shared write without a barrier after another write: byte 8"));
}

TEST(GpuExecutor, WhatNobodyWroteIsFound) {
  EXPECT_THAT(Faults([](GpuThread& machine) {
                if (machine.Thread() != 5) machine.StoreShared(At(machine.Thread()), 1);
                machine.Barrier();
                machine.LoadShared<int>(At(machine.Thread()));
              }),
              testing::HasSubstr("shared read before anything was written: byte 20, thread 5"));
}

TEST(GpuExecutor, BoundsAndAlignmentAreChecked) {
  EXPECT_THAT(Faults([](GpuThread& machine) { machine.StoreShared(kShared, machine.Thread()); }),
              testing::HasSubstr("shared write out of bounds: 4096 of 4096"));
  EXPECT_THAT(Faults([](GpuThread& machine) { machine.StoreShared(2, machine.Thread()); }),
              testing::HasSubstr("shared access at 2 is not on 4"));

  std::vector<int> in(kThreads), out(kThreads);
  const auto gpu = [&] {
    GpuExecutor executor(kThreads);
    executor.memory.Readable(in.data(), sizeof(int) * kThreads);
    executor.memory.Writable(out.data(), sizeof(int) * kThreads);
    return executor;
  };
  EXPECT_EQ(Faults([&](GpuThread& m) { m.Store(&out[m.Thread()], m.Load(&in[m.Thread()])); }, gpu()), "");
  EXPECT_THAT(Faults([&](GpuThread& m) { m.Load(in.data() + m.Thread() + 1); }, gpu()),
              testing::HasSubstr("global read out of bounds"));
  EXPECT_THAT(Faults([&](GpuThread& m) { m.Store(out.data() + m.Thread() - 1, 1); }, gpu()),
              testing::HasSubstr("global write out of bounds"));
  EXPECT_THAT(Faults([&](GpuThread& m) { m.Store(in.data(), m.Thread()); }, gpu()),
              testing::HasSubstr("global write to an input"));
  EXPECT_THAT(
      Faults([&](GpuThread& m) { m.Load(reinterpret_cast<int*>(reinterpret_cast<char*>(in.data()) + 1)); }, gpu()),
      testing::HasSubstr("global access of 4 bytes is not on 4"));
}

TEST(GpuExecutor, ThreadsThatDoNotMeetAreFound) {
  EXPECT_THAT(Faults([](GpuThread& machine) {
                if (machine.Thread() != 7) machine.Barrier();
              }),
              testing::HasSubstr("waits at a barrier for ever; thread 7 has ended"));
  EXPECT_THAT(Faults([](GpuThread& machine) {
                if (machine.Thread() != 40) machine.ShuffleXor(1.0f, 1);
              }),
              testing::HasSubstr("waits shuffle for ever; thread"));
  EXPECT_THAT(Faults([](GpuThread& machine) {
                machine.StoreShared(static_cast<uint32_t>(machine.Thread()) * 16, cuda::Words4{});
                uint32_t r[4];
                if (machine.Thread() % 2)
                  machine.ShuffleXor(1.0f, 1);
                else
                  machine.LoadMatrix4(static_cast<uint32_t>(machine.Thread()) * 16, r);
              }),
              testing::HasSubstr("lanes of a warp meet in "));
}

// A kernel that may start early leaves alone what the kernel ahead of it may still write.
TEST(GpuExecutor, WhatIsTouchedTooEarlyIsFound) {
  std::vector<int> weights(kThreads), x(kThreads);
  const auto faults = [&](auto body) {
    GpuExecutor gpu(kThreads);
    gpu.memory.Readable(weights.data(), sizeof(int) * kThreads);
    gpu.memory.Writable(x.data(), sizeof(int) * kThreads);
    gpu.memory.AfterPrevious(x.data(), sizeof(int) * kThreads);
    return Faults(body, std::move(gpu));
  };
  EXPECT_EQ(faults([&](GpuThread& m) {
              const int weight = m.Load(&weights[m.Thread()]);
              m.WaitForPrevious();
              m.Store(&x[m.Thread()], weight);
            }),
            "");
  EXPECT_THAT(faults([&](GpuThread& m) {
                if (m.Thread() != 9) m.WaitForPrevious();
                m.Store(&x[m.Thread()], 1);
              }),
              testing::HasSubstr("global access before the kernel ahead has ended"));
}

struct alignas(16) Lines {
  int values[kThreads * 4];
};

// Each thread copies 16 bytes, and reads those of its neighbour.
template <bool kWait, bool kBarrier>
std::string CopyAndRead(int valid) {
  Lines source;
  std::iota(std::begin(source.values), std::end(source.values), 0);
  GpuExecutor gpu(kThreads);
  gpu.memory.Readable(&source, sizeof(source));
  return Faults(
      [&](GpuThread& machine) {
        machine.CopyAsync16(At(machine.Thread() * 4), source.values + machine.Thread() * 4, valid);
        machine.CommitCopies();
        if (kWait) machine.WaitCopies<0>();
        if (kBarrier) machine.Barrier();
        const int next = (machine.Thread() + 1) % kThreads * 4;
        for (int i = 0; i < 4; ++i)
          if (machine.LoadShared<int>(At(next + i)) != (i * 4 < valid ? next + i : 0)) throw GpuFault("another value");
      },
      std::move(gpu));
}

TEST(GpuExecutor, CopiesArriveWhenWaitedFor) {
  for (int valid : {16, 8, 4, 0}) EXPECT_EQ((CopyAndRead<true, true>(valid)), "") << valid;
  EXPECT_THAT((CopyAndRead<false, true>(16)), testing::HasSubstr("shared read while a copy into it is under way"));
  EXPECT_THAT((CopyAndRead<true, false>(16)), testing::HasSubstr("shared read"));
  EXPECT_THAT((CopyAndRead<true, true>(20)), testing::HasSubstr("a copy of 20 of 16 bytes"));
}

// Waiting for all but one group leaves the last one under way.
TEST(GpuExecutor, WaitingLeavesTheNewestGroups) {
  Lines source{};
  for (bool newest : {false, true}) {
    GpuExecutor gpu(kThreads);
    gpu.memory.Readable(&source, sizeof(source));
    const std::string fault = Faults(
        [&](GpuThread& machine) {
          const int own = machine.Thread() * 4;
          for (int group = 0; group < 2; ++group) {
            machine.CopyAsync16(At(own + group * kThreads * 4), source.values + own, 16);
            machine.CommitCopies();
          }
          machine.WaitCopies<1>();
          machine.LoadShared<int>(At(own + (newest ? kThreads * 4 : 0)));
        },
        std::move(gpu));
    EXPECT_EQ(fault.empty(), !newest) << fault;
  }
}

TEST(GpuExecutor, ShuffleExchangesWithinWarps) {
  EXPECT_EQ(Faults([](GpuThread& machine) {
              for (int mask = 1; mask < 32; ++mask)
                if (machine.ShuffleXor(static_cast<float>(machine.Thread()), mask) !=
                    static_cast<float>(machine.Thread() ^ mask))
                  throw GpuFault("another value");
            }),
            "");
}

// Row r of matrix i holds the 16-bit numbers 100 r + 1000 i + column; "row lane / 4, columns 2 (lane % 4) and the
// next".
TEST(GpuExecutor, LoadMatrixAsInTheManual) {
  EXPECT_EQ(Faults([](GpuThread& machine) {
              const int lane = machine.Thread() % 32, warp = machine.Thread() / 32;
              const auto offset = static_cast<uint32_t>(warp * 512 + lane * 16);
              for (uint32_t column = 0; column < 8; ++column)
                machine.StoreShared(offset + column * 2, static_cast<uint16_t>(100 * (lane % 8) + 1000 * (lane / 8) +
                                                                               static_cast<int>(column)));
              machine.Barrier();
              uint32_t r[4];
              machine.LoadMatrix4(offset, r);
              for (int i = 0; i < 4; ++i) {
                const int low = 100 * (lane / 4) + 1000 * i + 2 * (lane % 4);
                if (r[i] != static_cast<uint32_t>(low | (low + 1) << 16)) throw GpuFault("another value");
              }
            }),
            "");
}

// A random product in the fragments of the manual, both types.
template <DType kType>
void CheckMma() {
  Random random(3);
  float a[16][16], b[16][8], c[16][8];
  const auto rounded = [&] {
    return cuda::ToFloat<kType>(cuda::FromFloat<kType>(static_cast<float>(random.Normal())));
  };
  for (auto& row : a) std::generate(std::begin(row), std::end(row), rounded);
  for (auto& row : b) std::generate(std::begin(row), std::end(row), rounded);
  for (auto& row : c) std::generate(std::begin(row), std::end(row), rounded);
  const auto pair = [](float low, float high) {
    return static_cast<uint32_t>(cuda::FromFloat<kType>(low)) | static_cast<uint32_t>(cuda::FromFloat<kType>(high))
                                                                    << 16;
  };
  EXPECT_EQ(Faults([&](GpuThread& machine) {
              const int lane = machine.Thread() % 32, k = lane % 4 * 2, column = lane / 4;
              uint32_t fragment[4];
              for (int p = 0; p < 4; ++p)
                fragment[p] = pair(a[cuda::FragmentRow(lane, 2 * p)][cuda::FragmentColumn(lane, 2 * p)],
                                   a[cuda::FragmentRow(lane, 2 * p + 1)][cuda::FragmentColumn(lane, 2 * p + 1)]);
              float sum[4];
              for (int i = 0; i < 4; ++i) sum[i] = c[lane / 4 + 8 * (i / 2)][lane % 4 * 2 + i % 2];
              machine.Mma<kType>(sum, fragment, pair(b[k][column], b[k + 1][column]),
                                 pair(b[k + 8][column], b[k + 9][column]));
              for (int i = 0; i < 4; ++i) {
                const int row = lane / 4 + 8 * (i / 2), n = lane % 4 * 2 + i % 2;
                double expected = c[row][n];
                for (int j = 0; j < 16; ++j) expected += double{a[row][j]} * b[j][n];
                if (!(std::abs(sum[i] - expected) < 1e-5)) throw GpuFault("another value");
              }
            }),
            "");
}

TEST(GpuExecutor, MmaAsInTheManual) {
  CheckMma<DType::kF16>();
  CheckMma<DType::kBF16>();
}

TEST(GpuExecutor, EveryBlockRuns) {
  std::vector<int> seen(2 * 3 * 4 * kThreads);
  GpuExecutor gpu(kThreads);
  gpu.memory.Writable(seen.data(), seen.size() * 4);
  gpu.Launch({2, 3, 4}, 0, [&](GpuThread& machine) {
    const int block = machine.BlockX() + 2 * (machine.BlockY() + 3 * machine.BlockZ());
    int* place = &seen[static_cast<size_t>(block * kThreads + machine.Thread())];
    machine.Store(place, machine.Load(place) + 1);
  });
  EXPECT_THAT(seen, testing::Each(1));
}

}  // namespace
}  // namespace ecld
