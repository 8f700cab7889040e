#pragma once
// Bodies of the steps that take rows by themselves, as templates over the machine they run on (kernels/cuda), and the
// shapes of their launches.

#include <math.h>

#include "kernels/cuda/lanes.h"
#include "kernels/cuda/steps.h"

namespace ecld::cuda {

inline constexpr int kRowThreads = 256;

// A float in 16 bits of a type known only when it runs.
ECLD_LANE uint16_t Narrow(DType type, float value) {
  return type == DType::kBF16 ? FromFloat<DType::kBF16>(value) : FromFloat<DType::kF16>(value);
}
ECLD_LANE float Widen(DType type, uint32_t bits) {
  return type == DType::kBF16 ? ToFloat<DType::kBF16>(bits) : ToFloat<DType::kF16>(bits);
}

template <class Machine>
ECLD_DEVICE float WarpSum(Machine& machine, float value) {
  ECLD_UNROLL
  for (int mask = 1; mask < 32; mask *= 2) value += machine.ShuffleXor(value, mask);
  return value;
}

template <class Machine>
ECLD_DEVICE float WarpLargest(Machine& machine, float value) {
  ECLD_UNROLL
  for (int mask = 1; mask < 32; mask *= 2) value = fmaxf(value, machine.ShuffleXor(value, mask));
  return value;
}

// Whether this block is the last of `blocks` to come here. What the others wrote before can then be read. Takes four
// bytes of shared memory at flag.
template <class Machine>
ECLD_DEVICE bool LastBlock(Machine& machine, uint32_t* counter, int blocks, uint32_t flag) {
  machine.Fence();
  machine.Barrier();
  if (machine.Thread() == 0) {
    const bool last = machine.Increment(counter) + 1 == static_cast<uint32_t>(blocks);
    if (last) machine.Store(counter, 0u);
    machine.StoreShared(flag, last ? 1u : 0u);
  }
  machine.Barrier();
  if (machine.template LoadShared<uint32_t>(flag) == 0) return false;
  machine.Fence();
  return true;
}

// Grid: (parts of the width, rows).
struct GatherDenseKernel {
  static constexpr int kThreads = kRowThreads;
  GatherStep step;

  LaunchShape Shape() const { return {.x = (step.width + kThreads - 1) / kThreads, .y = step.rows}; }
  template <class Machine>
  ECLD_DEVICE void operator()(Machine& machine) const {
    const int row = machine.BlockY(), at = machine.BlockX() * kThreads + machine.Thread();
    if (at >= step.width) return;
    const int64_t token = machine.Load(step.tokens + row);
    const uint16_t bits = machine.Load(step.table + token * step.table_stride + at);
    machine.Store(step.hidden + int64_t{row} * step.width + at, Widen(step.table_type, bits));
  }
};

// A row of a tiled matrix (gemm/cuda/layout.h) belongs to four lanes of its slab; a thread takes what one of them holds
// of a tile. Grid: (parts of the width, rows).
template <int kBits>
struct GatherPackedKernel {
  static constexpr int kThreads = 128;
  GatherStep step;

  LaunchShape Shape() const { return {.x = (step.packed.tiles_k * 4 + kThreads - 1) / kThreads, .y = step.rows}; }
  template <class Machine>
  ECLD_DEVICE void operator()(Machine& machine) const {
    const Product& packed = step.packed;
    const int row = machine.BlockY(), at = machine.BlockX() * kThreads + machine.Thread();
    const int tile = at / 4, quarter = at % 4;
    if (tile >= packed.tiles_k) return;
    const int token = machine.Load(step.tokens + row);
    const int slab = token / 16, upper = token % 16 / 8;
    const unsigned char* codes =
        packed.codes + (int64_t{slab / 4} * packed.tiles_k + tile) * TileBytes(kBits) + slab % 4 * SlabBytes(kBits);
    const auto read = [&](uint32_t offset, auto& chunk) {
      chunk = machine.LoadOnce(reinterpret_cast<const std::remove_reference_t<decltype(chunk)>*>(codes + offset));
    };
    uint32_t words[kBits];
    ReadLane<kBits>(token % 8 * 4 + quarter, read, words);
    ECLD_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int first = tile * 64 + half * 32;
      if (first >= step.width) break;
      float scale[2];
      uint32_t zero[2];
      LoadGroup(machine, packed, slab, first / 32 >> packed.group_shift, token % 8, scale, zero);
      ECLD_UNROLL
      for (int s = 0; s < 2; ++s) {
        float f[8];
        Floats<kBits>(words, half * 2 + s, f);
        ECLD_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int input = first + s * 16 + quarter * 2 + i % 2 + i / 2 * 8;
          const float code = upper ? f[i / 2 * 4 + 2 + i % 2] : f[i / 2 * 4 + i % 2];
          const float minus = kFloatOffset<kBits> + static_cast<float>(upper ? zero[1] : zero[0]);
          if (input < step.width)
            machine.Store(step.hidden + int64_t{row} * step.width + input,
                          (code - minus) * (upper ? scale[1] : scale[0]));
        }
      }
    }
  }
};

template <class Call>
void WithKernel(const GatherStep& step, const Call& call) {
  if (step.packed.codes == nullptr) return call(GatherDenseKernel{step});
  WithFormat(step.bits, DType::kF16, [&](auto bits, auto) { call(GatherPackedKernel<decltype(bits)::value>{step}); });
}

// Grid: (rows).
struct NormKernel {
  static constexpr int kThreads = kRowThreads;
  NormStep step;

  LaunchShape Shape() const { return {.x = step.rows, .shared_bytes = kThreads / 32 * 4}; }
  template <class Machine>
  ECLD_DEVICE void operator()(Machine& machine) const {
    const int64_t row = machine.BlockX();
    float* hidden = step.hidden + row * step.width;
    float sum = 0;
    for (int i = machine.Thread(); i < step.width; i += kThreads) {
      float value = machine.Load(hidden + i);
      if (step.add != nullptr) {
        value += machine.Load(step.add + row * step.width + i) + (step.bias ? machine.Load(step.bias + i) : 0.0f);
        machine.Store(hidden + i, value);
      }
      sum += value * value;
    }
    sum = WarpSum(machine, sum);
    if (machine.Thread() % 32 == 0) machine.StoreShared(static_cast<uint32_t>(machine.Thread() / 32 * 4), sum);
    machine.Barrier();
    float total = 0;
    ECLD_UNROLL
    for (uint32_t warp = 0; warp < kThreads / 32; ++warp) total += machine.template LoadShared<float>(warp * 4);
    const float inverse = 1.0f / sqrtf(total / static_cast<float>(step.width) + step.eps);
    for (int i = machine.Thread(); i < step.width; i += kThreads)
      machine.Store(step.out + row * step.out_stride + i,
                    Narrow(step.type, machine.Load(hidden + i) * inverse * machine.Load(step.weight + i)));
  }
};

template <class Call>
void WithKernel(const NormStep& step, const Call& call) {
  call(NormKernel{step});
}

// Grid: (parts of the width, rows).
struct GateKernel {
  static constexpr int kThreads = kRowThreads;
  GateStep step;

  LaunchShape Shape() const { return {.x = (step.width + kThreads - 1) / kThreads, .y = step.rows}; }
  template <class Machine>
  ECLD_DEVICE void operator()(Machine& machine) const {
    const int64_t row = machine.BlockY();
    const int at = machine.BlockX() * kThreads + machine.Thread();
    if (at >= step.width) return;
    float gate = machine.Load(step.y + row * 2 * step.width + at);
    float up = machine.Load(step.y + row * 2 * step.width + step.width + at);
    if (step.bias != nullptr) {
      gate += machine.Load(step.bias + at);
      up += machine.Load(step.bias + step.width + at);
    }
    machine.Store(step.out + row * step.out_stride + at, Narrow(step.type, gate / (1.0f + expf(-gate)) * up));
  }
};

template <class Call>
void WithKernel(const GateStep& step, const Call& call) {
  call(GateKernel{step});
}

// A logit and its token. One that is not finite becomes infinity with token -1, which wins.
struct Candidate {
  float logit;
  int token;

  ECLD_LANE static Candidate None() { return {AsFloat(0xff800000u), 0x7fffffff}; }
  ECLD_LANE static Candidate Of(float logit, int token) {
    return logit * 0.0f == 0.0f ? Candidate{logit, token} : Candidate{AsFloat(0x7f800000u), -1};
  }
  ECLD_LANE Candidate Better(const Candidate& other) const {
    return other.logit > logit || (other.logit == logit && other.token < token) ? other : *this;
  }
};

// Grid: (parts of the logits).
struct ArgmaxKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr uint32_t kFlag = kThreads / 32 * 8;
  ArgmaxStep step;

  ECLD_LANE int Blocks() const {
    const int blocks = (step.count + 4 * kThreads - 1) / (4 * kThreads);
    return blocks < kArgmaxMostBlocks ? blocks : kArgmaxMostBlocks;
  }
  LaunchShape Shape() const { return {.x = Blocks(), .shared_bytes = kFlag + 4}; }

  // The best of the block's candidates, in every thread of the first warp.
  template <class Machine>
  ECLD_DEVICE static Candidate BestOfBlock(Machine& machine, Candidate best) {
    best = BestOfWarp(machine, best);
    const auto place = static_cast<uint32_t>(machine.Thread() / 32 * 8);
    if (machine.Thread() % 32 == 0) {
      machine.StoreShared(place, best.logit);
      machine.StoreShared(place + 4, best.token);
    }
    machine.Barrier();
    for (uint32_t warp = 0; warp < kThreads / 32; ++warp)
      best =
          best.Better({machine.template LoadShared<float>(warp * 8), machine.template LoadShared<int>(warp * 8 + 4)});
    return best;
  }
  template <class Machine>
  ECLD_DEVICE static Candidate BestOfWarp(Machine& machine, Candidate best) {
    ECLD_UNROLL
    for (int mask = 1; mask < 32; mask *= 2) {
      const float logit = machine.ShuffleXor(best.logit, mask);
      const float token = machine.ShuffleXor(AsFloat(static_cast<uint32_t>(best.token)), mask);
      best = best.Better({logit, static_cast<int>(AsBits(token))});
    }
    return best;
  }

  template <class Machine>
  ECLD_DEVICE void operator()(Machine& machine) const {
    Candidate best = Candidate::None();
    for (int i = machine.BlockX() * kThreads + machine.Thread(); i < step.count; i += Blocks() * kThreads)
      best = best.Better(Candidate::Of(machine.Load(step.logits + i), i));
    best = BestOfBlock(machine, best);
    if (machine.Thread() == 0) {
      machine.Store(step.best + machine.BlockX(), best.logit);
      machine.Store(step.best_ids + machine.BlockX(), static_cast<int32_t>(best.token));
    }
    if (!LastBlock(machine, step.counter, Blocks(), kFlag) || machine.Thread() >= 32) return;
    best = Candidate::None();
    for (int i = machine.Thread(); i < Blocks(); i += 32)
      best = best.Better({machine.Load(step.best + i), machine.Load(step.best_ids + i)});
    best = BestOfWarp(machine, best);
    if (machine.Thread() != 0) return;
    machine.Store(step.token, static_cast<int32_t>(best.token));
    machine.Store(step.position, machine.Load(step.position) + 1);
  }
};

template <class Call>
void WithKernel(const ArgmaxStep& step, const Call& call) {
  call(ArgmaxKernel{step});
}

}  // namespace ecld::cuda
