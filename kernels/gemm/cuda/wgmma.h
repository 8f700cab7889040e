#pragma once
// The body of the CUDA product on the tensor cores of compute capability 9.0, as a template over the machine it runs on
// (kernels/cuda). For more than 32 rows of x, where the speed of multiplying counts.
//
// The weights are operand A of wgmma m64nNk16, dequantized into registers; 8 * kQuads rows of x are operand B and stay
// in shared memory. A block makes 128 outputs for them: one thread of its first warpgroup fetches tiles of 64 inputs
// ahead, x by tensor copies and codes by bulk copies, kWgmmaStages of them; each of the other two warpgroups multiplies
// a tile of 64 outputs. Codes become exact (u - z) in 16 bits while the products of the tile before run; the sums of a
// tile, of one group, are multiplied by its scales in float32. With two warpgroups by turns, one multiplies while the
// other scales.
//
// Inputs beyond the matrix are zeros of the tensor copies. Few blocks split the inputs between them (parts.h), in
// an order that does not change from run to run.

#include "kernels/cuda/hopper.h"
#include "kernels/cuda/lanes.h"
#include "kernels/gemm/cuda/parts.h"
#include "kernels/gemm/cuda/product.h"

namespace ecld::cuda {

inline constexpr int kWgmmaThreads = 384;
inline constexpr int kWgmmaStages = 8;
inline constexpr int kWgmmaFetchRegisters = 40, kWgmmaRegisters = 232;  // of a thread that fetches, that multiplies

// A stage: x, then the codes of two tiles. The barriers lie behind the stages: full and empty of each, then the flag.
ECLD_LANE constexpr uint32_t WgmmaStageBytes(int bits, int quads) {
  return static_cast<uint32_t>(quads) * 8 * 128 + 2 * TileBytes(bits);
}
ECLD_LANE constexpr uint32_t WgmmaSharedBytes(int bits, int quads) {
  return kWgmmaStages * WgmmaStageBytes(bits, quads) + kWgmmaStages * 16 + 16;
}
template <int kBits, int kQuads>
struct WgmmaPlaces {
  static constexpr uint32_t kStage = WgmmaStageBytes(kBits, kQuads), kBarriers = kWgmmaStages * kStage;
  static constexpr uint32_t kFlag = kBarriers + kWgmmaStages * 16;
  static ECLD_LANE uint32_t X(int stage) { return static_cast<uint32_t>(stage) * kStage; }
  static ECLD_LANE uint32_t Codes(int stage, int tile) {
    return X(stage) + kQuads * 8 * 128 + static_cast<uint32_t>(tile) * TileBytes(kBits);
  }
  static ECLD_LANE uint32_t Full(int stage) { return kBarriers + static_cast<uint32_t>(stage) * 16; }
  static ECLD_LANE uint32_t Empty(int stage) { return Full(stage) + 8; }
};

// x of the product for tensor copies of `rows` rows and 64 inputs.
inline TensorBox XBox(const Product& product, DType type, int rows) {
  return {.type = type,
          .base = product.x,
          .columns = static_cast<uint64_t>(product.in_features),
          .rows = static_cast<uint64_t>(product.m),
          .row_bytes = static_cast<uint64_t>(product.x_stride) * 2,
          .box_rows = static_cast<uint32_t>(rows)};
}

// The thread that fetches: tiles [begin, end) of the inputs.
template <int kBits, int kQuads, class Machine>
ECLD_DEVICE void WgmmaFetch(Machine& machine, const Product& product, const typename Machine::Map& x_map, int begin,
                            int end) {
  using Places = WgmmaPlaces<kBits, kQuads>;
  const int tiles = end - begin, ahead = tiles < kWgmmaStages ? tiles : kWgmmaStages;
  const auto codes = [&](int i) {
    const int stage = i % kWgmmaStages;
    machine.ArriveExpecting(Places::Full(stage), Places::kStage);
    for (int half = 0; half < 2; ++half) {  // beyond the last tile of outputs: the last again, for nothing
      const int tile_n =
          machine.BlockX() * 2 + half < product.tiles_n ? machine.BlockX() * 2 + half : product.tiles_n - 1;
      machine.CopyBytes(Places::Codes(stage, half),
                        product.codes + (int64_t{tile_n} * product.tiles_k + begin + i) * TileBytes(kBits),
                        TileBytes(kBits), Places::Full(stage));
    }
  };
  const auto x = [&](int i) {
    const int stage = i % kWgmmaStages;
    machine.CopyBox(Places::X(stage), x_map, (begin + i) * 64, machine.BlockZ() * kQuads * 8, Places::Full(stage));
  };
  for (int i = 0; i < ahead; ++i) codes(i);
  machine.WaitForPrevious();
  for (int i = 0; i < ahead; ++i) x(i);
  for (int i = ahead; i < tiles; ++i) {
    const PipelineStep before = StepOf(i - kWgmmaStages, kWgmmaStages);
    machine.WaitFor(Places::Empty(before.stage), before.parity);
    codes(i);
    x(i);
  }
}

// Scales and zero points of a thread's two outputs in the groups of one tile, as they lie in memory: fetched a tile
// before they are used.
template <int kGroups>
struct WgmmaScales {
  uint32_t scales[kGroups], zeros[kGroups];

  template <class Machine>
  ECLD_DEVICE void Fetch(Machine& machine, const Product& product, int slab, int tile_k) {
    ECLD_UNROLL
    for (int g = 0; g < kGroups; ++g) {
      const int group = (tile_k * 2 + g) >> product.group_shift;
      const int last = product.groups - 1;  // also for the padding behind the last input, where x is zero
      const int64_t place = (int64_t{slab / 4 * product.groups + (group < last ? group : last)} * 4 + slab % 4) * 8 +
                            machine.Thread() % 32 / 4;
      scales[g] = machine.Load(product.scales + place);
      zeros[g] =
          product.zeros == nullptr ? product.middle_code * 0x101u : uint32_t{machine.Load(product.zeros + place)};
    }
  }
};

// The sums over tiles [begin, end) -> total. kGroups: of a tile, 1 or 2. half: which of the block's tiles of outputs.
template <int kBits, DType kType, int kQuads, int kGroups, class Machine>
ECLD_DEVICE void WgmmaMainLoop(Machine& machine, const Product& product, int half, int slab, int begin, int end,
                               float (&total)[kQuads][4]) {
  using Places = WgmmaPlaces<kBits, kQuads>;
  constexpr int kSteps = 4 / kGroups;  // of a group in a tile
  uint32_t a[4][4];
  float scale[kGroups][2], acc[kQuads][4] = {};  // of a tile; begun anew by its first product
  WgmmaScales<kGroups> coming;
  coming.Fetch(machine, product, slab, begin);
  // Waits for tile i of the pipeline and makes operand A of it.
  const auto prepare = [&](int i, uint32_t(&fragments)[4][4]) {
    const PipelineStep at = StepOf(i, kWgmmaStages);
    machine.WaitFor(Places::Full(at.stage), at.parity);
    const uint32_t codes = Places::Codes(at.stage, half) + static_cast<uint32_t>(slab % 4) * SlabBytes(kBits);
    const auto read = [&](uint32_t offset, auto& chunk) {
      chunk = machine.template LoadShared<std::remove_reference_t<decltype(chunk)>>(codes + offset);
    };
    uint32_t words[kBits];
    ReadLane<kBits>(machine.Thread() % 32, read, words);
    ECLD_UNROLL
    for (int g = 0; g < kGroups; ++g) {
      const uint32_t zero[2] = {ZeroOperand<kBits, kType>(coming.zeros[g] & 0xffu),
                                ZeroOperand<kBits, kType>(coming.zeros[g] >> 8)};
      ECLD_UNROLL
      for (int step = g * kSteps; step < (g + 1) * kSteps; ++step)
        Fragment<kBits, kType>(words, step, zero, fragments[step]);
    }
  };
  const auto take_scales = [&](int next_tile) {
    ECLD_UNROLL
    for (int g = 0; g < kGroups; ++g) {
      ECLD_UNROLL
      for (int i = 0; i < 2; ++i) {
        const uint32_t bits = i == 0 ? coming.scales[g] & 0xffffu : coming.scales[g] >> 16;
        scale[g][i] = product.half_scales ? ToFloat<DType::kF16>(bits) : ToFloat<DType::kBF16>(bits);
      }
    }
    if (next_tile < end) coming.Fetch(machine, product, slab, next_tile);
  };

  // Tile `tile`, and operand A of the one after it while the products run. more: whether there is one; a constant, as
  // nothing may branch while they do.
  const auto multiply = [&](int tile, auto more) {
    constexpr bool kMore = decltype(more)::value;
    const int stage = (tile - begin) % kWgmmaStages;
    uint32_t next[4][4] = {};
    ECLD_UNROLL
    for (int g = 0; g < kGroups; ++g) {
      machine.FenceProducts(acc, a);
      ECLD_UNROLL
      for (int step = g * kSteps; step < (g + 1) * kSteps; ++step) {
        const uint32_t x = machine.SharedAddress(Places::X(stage)) + static_cast<uint32_t>(step) * 32;
        if (step == g * kSteps)
          machine.template Multiply<kType, false>(acc, a[step], WgmmaDescriptor(x));
        else
          machine.template Multiply<kType, true>(acc, a[step], WgmmaDescriptor(x));
      }
      machine.CommitProducts();
      if constexpr (kMore) {
        if (g == kGroups - 1) {
          prepare(tile + 1 - begin, next);
          machine.FinishOperands(next);
        }
      }
      machine.WaitProducts(acc);
      ECLD_UNROLL
      for (int i = 0; i < kQuads * 4; ++i) total[i / 4][i % 4] += scale[g][i % 4 / 2] * acc[i / 4][i % 4];
    }
    if (machine.Thread() % 32 == 0) machine.Arrive(Places::Empty(stage));
    if constexpr (kMore) {
      take_scales(tile + 2);
      machine.MoveOperands(a, next);
    }
  };

  prepare(0, a);
  take_scales(begin + 1);
  for (int tile = begin; tile + 1 < end; ++tile) multiply(tile, std::true_type());
  multiply(end - 1, std::false_type());
}

// A warpgroup that multiplies; half: 0 or 1.
template <int kBits, DType kType, int kQuads, class Machine>
ECLD_DEVICE void WgmmaMultiply(Machine& machine, const Product& product, int half, int begin, int end) {
  const int thread = machine.Thread() % 128, tile_n = machine.BlockX() * 2 + half;
  const int slab = (tile_n < product.tiles_n ? tile_n : product.tiles_n - 1) * 4 + thread / 32;
  float total[kQuads][4] = {};
  if (product.group_shift == 0)
    WgmmaMainLoop<kBits, kType, kQuads, 2>(machine, product, half, slab, begin, end, total);
  else
    WgmmaMainLoop<kBits, kType, kQuads, 1>(machine, product, half, slab, begin, end, total);

  machine.WaitForPrevious();  // which may still read y and the parts
  constexpr int kThreads = kWgmmaThreads - 128;
  const int64_t block = int64_t{machine.BlockZ()} * ((product.tiles_n + 1) / 2) + machine.BlockX();
  const auto barrier = [&] { machine.BarrierAmong(1, kThreads); };
  if (product.splits > 1 && !AddParts<kQuads, kThreads>(machine, product, block, machine.Thread() - 128,
                                                        WgmmaPlaces<kBits, kQuads>::kFlag, barrier, total))
    return;
  ECLD_UNROLL
  for (int q = 0; q < kQuads; ++q) {
    ECLD_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int output = tile_n * 64 + WgmmaRow(thread, i),
                token = (machine.BlockZ() * kQuads + q) * 8 + WgmmaColumn(thread, i);
      if (token < product.m && output < product.out_features)
        StoreResult<kType>(machine, product, token, output, total[q][i]);
    }
  }
}

// Grid: (pairs of tiles of outputs, splits, blocks of 8 * kQuads rows of x), kWgmmaThreads, WgmmaSharedBytes(...).
// x_map: of x, a box of 8 * kQuads rows. REQUIRES: no more splits than tiles of inputs.
template <int kBits, DType kType, int kQuads, class Machine>
ECLD_DEVICE void WgmmaBody(Machine& machine, const Product& product, const typename Machine::Map& x_map) {
  using Places = WgmmaPlaces<kBits, kQuads>;
  const int64_t split = machine.BlockY();
  const int begin = static_cast<int>(product.tiles_k * split / product.splits);
  const int end = static_cast<int>(product.tiles_k * (split + 1) / product.splits);
  if (machine.Thread() == 0) {
    for (int stage = 0; stage < kWgmmaStages; ++stage) {
      machine.MakeBarrier(Places::Full(stage), 1);
      machine.MakeBarrier(Places::Empty(stage), 8);  // warps that multiply
    }
    machine.PublishBarriers();
  }
  machine.Barrier();
  machine.LetNextStart();
  if (machine.Thread() < 128) {
    machine.template KeepRegisters<kWgmmaFetchRegisters>();
    if (machine.Thread() == 0) WgmmaFetch<kBits, kQuads>(machine, product, x_map, begin, end);
  } else {
    machine.template TakeRegisters<kWgmmaRegisters>();
    WgmmaMultiply<kBits, kType, kQuads>(machine, product, machine.Thread() / 128 - 1, begin, end);
  }
}

}  // namespace ecld::cuda
