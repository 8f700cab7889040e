// What the executor has of compute capability 9.0: instructions against what the PTX manual says of them, and kernels
// with planted faults.

#include "tests/testing/gpu_hopper.h"

#include <gmock/gmock.h>

#include <numeric>
#include <set>

#include "core/random.h"

namespace ecld {
namespace {

constexpr int kThreads = 256;
constexpr size_t kShared = 40960;
constexpr uint32_t kBarrier = 32768, kOther = kBarrier + 8;

template <class Body>
std::string Faults(const Body& body, GpuExecutor&& gpu = GpuExecutor(kThreads)) {
  for (bool backwards : {false, true}) {
    try {
      gpu.Launch<HopperThread>({}, kShared, body, backwards);
    } catch (const GpuFault& fault) {
      return fault.what();
    }
  }
  return "";
}

void MakeBarriers(HopperThread& machine, int arrivals = 1) {
  if (machine.Thread() == 0) {
    machine.MakeBarrier(kBarrier, arrivals);
    machine.MakeBarrier(kOther, arrivals);
    machine.PublishBarriers();
  }
  machine.Barrier();
}

struct alignas(16) Numbers {
  uint16_t values[128 * 64];
  Numbers() { std::iota(std::begin(values), std::end(values), uint16_t{0}); }
};

// One thread copies 64 numbers in, all read them.
template <bool kWait>
std::string CopyAndRead(uint32_t announced, uint32_t arrivals = 1) {
  static const Numbers source;
  GpuExecutor gpu(kThreads);
  gpu.memory.Readable(&source, sizeof(source));
  return Faults(
      [&](HopperThread& machine) {
        MakeBarriers(machine, static_cast<int>(arrivals));
        if (machine.Thread() == 0) {
          machine.ArriveExpecting(kBarrier, announced);
          machine.CopyBytes(256, source.values, 128, kBarrier);
        }
        if (kWait) machine.WaitFor(kBarrier, 0);
        if (machine.LoadShared<uint16_t>(256 + static_cast<uint32_t>(machine.Thread() % 64) * 2) !=
            machine.Thread() % 64)
          throw GpuFault("another value");
      },
      std::move(gpu));
}

TEST(GpuHopper, BytesArriveAtTheirBarrier) {
  EXPECT_EQ((CopyAndRead<true>(128)), "");
  EXPECT_THAT((CopyAndRead<false>(128)), testing::AnyOf(testing::HasSubstr("shared read while a copy into it is under"),
                                                        testing::HasSubstr("read before anything was written")));
  EXPECT_THAT((CopyAndRead<true>(256)), testing::HasSubstr("waits for the phase of a barrier for ever"));
  EXPECT_THAT((CopyAndRead<true>(64)), testing::HasSubstr("more bytes arrive than were announced"));
  EXPECT_THAT((CopyAndRead<true>(128, 2)), testing::HasSubstr("waits for the phase of a barrier for ever"));
}

TEST(GpuHopper, MisusedBarriersAreFound) {
  EXPECT_THAT(Faults([](HopperThread& machine) {
                if (machine.Thread() == 0) {
                  machine.MakeBarrier(kBarrier, 1);
                  machine.PublishBarriers();
                }
                machine.WaitFor(kBarrier, 1);  // as long as the first phase lasts, the one before it has ended
              }),
              testing::AnyOf(testing::HasSubstr("a barrier is used before the block knows of it"),
                             testing::HasSubstr("there is no barrier at 32768")));
  EXPECT_THAT(Faults([](HopperThread& machine) {
                if (machine.Thread() == 0) machine.MakeBarrier(kBarrier, 1);
                machine.Barrier();
                machine.WaitFor(kBarrier, 1);
              }),
              testing::HasSubstr("a barrier is used before the block knows of it"));
  EXPECT_THAT(Faults([](HopperThread& machine) {
                MakeBarriers(machine, 2);
                if (machine.Thread() == 0) {
                  for (int i = 0; i < 3; ++i) machine.ArriveExpecting(kBarrier, 16);
                }
              }),
              testing::HasSubstr("arrives at a barrier whose phase has all its arrivals"));
  static const Numbers source;
  GpuExecutor gpu(kThreads);
  gpu.memory.Readable(&source, sizeof(source));
  EXPECT_THAT(Faults(
                  [&](HopperThread& machine) {
                    MakeBarriers(machine);
                    if (machine.Thread() == 0) {
                      machine.ArriveExpecting(kBarrier, 16);
                      machine.CopyBytes(0, source.values, 16, kBarrier);
                    }
                  },
                  std::move(gpu)),
              testing::HasSubstr("the block ends while copies into it are under way"));
}

// A ring of one buffer: the copies of the second turn may begin only when all have read the first.
template <bool kWaitForEmpty>
std::string Ring() {
  static const Numbers source;
  GpuExecutor gpu(kThreads);
  gpu.memory.Readable(&source, sizeof(source));
  return Faults(
      [&](HopperThread& machine) {
        if (machine.Thread() == 0) {
          machine.MakeBarrier(kBarrier, 1);
          machine.MakeBarrier(kOther, kThreads - 1);
          machine.PublishBarriers();
        }
        machine.Barrier();
        for (int turn = 0; turn < 4; ++turn) {
          const auto parity = static_cast<uint32_t>(turn % 2);
          if (machine.Thread() == 0) {
            if (kWaitForEmpty && turn > 0) machine.WaitFor(kOther, 1 - parity);
            machine.ArriveExpecting(kBarrier, 16);
            machine.CopyBytes(0, source.values + turn * 8, 16, kBarrier);
          } else {
            machine.WaitFor(kBarrier, parity);
            if (machine.LoadShared<uint16_t>(0) != turn * 8) throw GpuFault("another value");
            machine.Arrive(kOther);
          }
        }
      },
      std::move(gpu));
}

TEST(GpuHopper, BuffersAreUsedAgainWhenTheyAreFree) {
  EXPECT_EQ(Ring<true>(), "");
  EXPECT_NE(Ring<false>(), "");
}

// A box inside, over the right and the lower edge, and outside of a matrix of 100 x 70.
TEST(GpuHopper, BoxesAreSwizzledAndZeroOutside) {
  static const Numbers source;
  const cuda::TensorBox box = {.base = source.values, .columns = 70, .rows = 100, .row_bytes = 160, .box_rows = 24};
  for (auto [column, row] : {std::pair{0, 0}, {64, 10}, {0, 90}, {64, 96}, {128, 120}}) {
    GpuExecutor gpu(kThreads);
    gpu.memory.Readable(&source, 100 * 160);
    EXPECT_EQ(Faults(
                  [&, column = column, row = row](HopperThread& machine) {
                    MakeBarriers(machine);
                    if (machine.Thread() == 0) {
                      machine.ArriveExpecting(kBarrier, 24 * 128);
                      machine.CopyBox(1024, box, column, row, kBarrier);
                    }
                    machine.WaitFor(kBarrier, 0);
                    for (int at = machine.Thread(); at < 24 * 64; at += kThreads) {
                      const int r = at / 64, c = at % 64;
                      const auto found = machine.LoadShared<uint16_t>(1024 + cuda::Swizzle128(r, c / 8) +
                                                                      static_cast<uint32_t>(c % 8) * 2);
                      const bool inside = row + r < 100 && column + c < 70;
                      if (found != (inside ? (row + r) * 80 + column + c : 0)) throw GpuFault("another value");
                    }
                  },
                  std::move(gpu)),
              "");
  }
}

TEST(GpuHopper, BoxesKeepTheRulesOfTheDriver) {
  static const Numbers source;
  cuda::TensorBox box = {.base = source.values, .columns = 64, .rows = 8, .row_bytes = 128, .box_rows = 8};
  EXPECT_EQ(cuda::TensorBoxProblem(box), "");
  box.row_bytes = 136;
  EXPECT_THAT(cuda::TensorBoxProblem(box), testing::HasSubstr("rows are 136 bytes apart"));
  box.row_bytes = 128;
  box.base = source.values + 1;
  EXPECT_EQ(cuda::TensorBoxProblem(box), "the matrix does not begin on 16 bytes");
  box.base = source.values;
  box.box_rows = 257;
  EXPECT_THAT(cuda::TensorBoxProblem(box), testing::HasSubstr("a box of 257 x 64"));
  box.box_rows = 8;
  box.rows = 0;
  EXPECT_THAT(cuda::TensorBoxProblem(box), testing::HasSubstr("0 rows of 64 elements"));
}

TEST(GpuHopper, DescriptorsSayWhereOperandsLie) {
  for (uint32_t address : {1024u, 1056u, 99u * 1024, 227u * 1024 - 32}) {
    const uint64_t descriptor = cuda::WgmmaDescriptor(address);
    EXPECT_EQ((descriptor & 0x3fff) << 4, address);
    EXPECT_EQ((descriptor >> 32 & 0x3fff) << 4, 1024u);  // eight rows
    EXPECT_EQ(descriptor >> 62, 1u);                     // 128 bytes
    EXPECT_EQ(descriptor >> 46 & 0xffff, 0u);            // begins on 1024 bytes
  }
}

TEST(GpuHopper, FragmentsHoldEverySumOnce) {
  for (int n : {64, 128}) {
    std::set<std::pair<int, int>> places;
    for (int thread = 0; thread < 128; ++thread)
      for (int i = 0; i < n / 2; ++i) places.emplace(cuda::WgmmaRow(thread, i), cuda::WgmmaColumn(thread, i));
    EXPECT_EQ(places.size(), static_cast<size_t>(64 * n));
    EXPECT_EQ(*places.rbegin(), std::pair(63, n - 1));
  }
}

TEST(GpuHopper, StepsOfAPipeline) {
  for (int stages : {1, 3, 8})
    for (int i = 0; i < 40; ++i) {
      EXPECT_EQ(cuda::StepOf(i, stages).stage, i % stages);
      if (i < stages) continue;
      EXPECT_NE(cuda::StepOf(i, stages).parity, cuda::StepOf(i - stages, stages).parity);
    }
}

// Two products, 64 x 16 by 16 x 64 each, the second added to the first, of random matrices; kFault: what goes wrong.
enum class Fault { kNone, kNoFence, kNoWait, kChangedOperand, kOverwritten, kOtherOperand };

template <DType kType, Fault kFault>
std::string Products() {
  static Numbers b;  // [64 columns, 64 inputs]
  Random random(3);
  float a[128][64];
  const auto rounded = [&] { return cuda::FromFloat<kType>(static_cast<float>(random.Normal())); };
  for (auto& value : b.values) value = rounded();
  for (auto& row : a)
    for (float& value : row) value = cuda::ToFloat<kType>(rounded());
  const cuda::TensorBox box = {
      .type = kType, .base = b.values, .columns = 64, .rows = 64, .row_bytes = 128, .box_rows = 64};
  GpuExecutor gpu(kThreads);
  gpu.memory.Readable(&b, sizeof(b));
  return Faults(
      [&](HopperThread& machine) {
        MakeBarriers(machine);
        const auto copy = [&](uint32_t barrier) {
          machine.ArriveExpecting(barrier, 64 * 128);
          machine.CopyBox(1024, box, 0, 0, barrier);
        };
        if (machine.Thread() == 0) copy(kBarrier);
        machine.WaitFor(kBarrier, 0);
        const int thread = machine.Thread() % 128, lane = thread % 32, group = machine.Thread() / 128;
        const auto fragment = [&](int first, uint32_t(&registers)[4]) {
          for (int j = 0; j < 8; ++j) {
            const int row = group * 64 + thread / 32 * 16 + cuda::FragmentRow(lane, j);
            const uint32_t bits = cuda::FromFloat<kType>(a[row][first + cuda::FragmentColumn(lane, j)]);
            registers[j / 2] = j % 2 == 0 ? bits : registers[j / 2] | bits << 16;
          }
        };
        uint32_t operand[2][4];
        fragment(16, operand[0]);
        fragment(48, operand[1]);
        float d[8][4] = {};
        if (kFault != Fault::kNoFence) machine.FenceProducts(d, operand);
        const uint32_t x = machine.SharedAddress(1024);
        const uint32_t other = kFault == Fault::kOtherOperand && thread == 5 ? 0 : 32;
        machine.template Multiply<kType, false>(d, operand[0], cuda::WgmmaDescriptor(x + other));
        machine.template Multiply<kType, true>(d, operand[1], cuda::WgmmaDescriptor(x + 96));
        machine.CommitProducts();
        if (kFault == Fault::kChangedOperand) operand[0][1] ^= 0x100;
        if (kFault == Fault::kOverwritten && machine.Thread() == 0) copy(kOther);
        if (kFault != Fault::kNoWait) machine.WaitProducts(d);
        for (int i = 0; i < 32; ++i) {
          const int row = group * 64 + cuda::WgmmaRow(thread, i), column = cuda::WgmmaColumn(thread, i);
          double expected = 0;
          for (int k = 16; k < 64; ++k)
            if (k < 32 || k >= 48) expected += double{a[row][k]} * cuda::ToFloat<kType>(b.values[column * 64 + k]);
          if (!(std::abs(d[i / 4][i % 4] - expected) < 1e-4)) throw GpuFault("another value");
        }
        if (kFault == Fault::kNoWait) machine.WaitProducts(d);
      },
      std::move(gpu));
}

TEST(GpuHopper, ProductsAsInTheManual) {
  EXPECT_EQ((Products<DType::kF16, Fault::kNone>()), "");
  EXPECT_EQ((Products<DType::kBF16, Fault::kNone>()), "");
}

TEST(GpuHopper, MisusedProductsAreFound) {
  EXPECT_THAT((Products<DType::kF16, Fault::kNoFence>()), testing::HasSubstr("without a fence"));
  EXPECT_THAT((Products<DType::kF16, Fault::kNoWait>()), testing::HasSubstr("another value"));
  EXPECT_THAT((Products<DType::kF16, Fault::kChangedOperand>()), testing::HasSubstr("another value"));
  EXPECT_THAT((Products<DType::kF16, Fault::kOverwritten>()),
              testing::HasSubstr("shared read while a copy into it is under way"));
  EXPECT_THAT((Products<DType::kF16, Fault::kOtherOperand>()), testing::HasSubstr("multiply different things"));
}

TEST(GpuHopper, BarriersAmongSomeThreads) {
  EXPECT_EQ(Faults([](HopperThread& machine) {
              if (machine.Thread() < 128) return;
              machine.StoreShared(static_cast<uint32_t>(machine.Thread()) * 4, machine.Thread());
              machine.BarrierAmong(1, 128);
              const int next = machine.Thread() == 255 ? 128 : machine.Thread() + 1;
              if (machine.LoadShared<int>(static_cast<uint32_t>(next) * 4) != next) throw GpuFault("another value");
            }),
            "");
  EXPECT_THAT(Faults([](HopperThread& machine) {
                if (machine.Thread() >= 129) machine.BarrierAmong(1, 128);
              }),
              testing::HasSubstr("waits at a named barrier for ever"));
}

}  // namespace
}  // namespace ecld
