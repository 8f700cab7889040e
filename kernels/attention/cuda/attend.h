#pragma once
// The body of AttendStep, as a template over the machine it runs on (kernels/cuda).
//
// A block takes some query heads of one key head, one row, and every splits-th stretch of four blocks of 32 keys, one
// for each of its warps. Of such a block a warp reads keys in the order in which they lie, 128 bytes at a time: a lane
// has the same few positions in all of them, so that scores are summed in lanes. Values are read a position at a time,
// each lane having kDims elements of the sums. The softmax runs along (Milakov and Gimelshein 2018, algorithm 3): sums
// are scaled down where a larger score appears. Warps', then blocks' sums are added in their order.

#include "kernels/elementwise/cuda/rows.h"

namespace ecld::cuda {

// kHeads: query heads of a block. kDims: elements of a value in each lane, 32 kDims >= head_dim.
template <bool kQ8, int kHeads, int kDims>
struct AttendKernel {
  static constexpr int kThreads = 128;
  static constexpr int kWarps = kThreads / 32;
  static constexpr int kPer = kQ8 ? 4 : 2;  // positions of a lane
  static constexpr int kLanes = 32 / kPer;  // that hold 32 positions
  static constexpr int kWidth = 32 * kDims;
  // Shared memory, in floats: queries, each warp's sums, its largest score and sum of weights, a flag.
  static constexpr int kSums = kHeads * kMaxHeadDim, kLargest = kSums + kWarps * kHeads * kWidth;
  static constexpr int kTotals = kLargest + kWarps * kHeads, kFlag = kTotals + kWarps * kHeads;
  static constexpr float kLowest = -3.402823466e38f;

  AttendStep step;

  // What a warp has of each head.
  struct Sums {
    float largest[kHeads], total[kHeads], value[kHeads][kDims];
  };
  struct Place {
    int kv_head, first_head, heads;  // query heads first_head .. first_head + heads
    int64_t position, first_key;
  };

  ECLD_LANE int HeadsOfKey() const { return step.num_heads / step.kv.num_heads; }
  ECLD_LANE int Chunks() const { return (HeadsOfKey() + kHeads - 1) / kHeads; }
  LaunchShape Shape() const {
    return {.x = step.kv.num_heads * Chunks(), .y = step.splits, .z = step.rows, .shared_bytes = (kFlag + 1) * 4};
  }

  template <class Machine>
  ECLD_DEVICE static float Shared(Machine& machine, int place) {
    return machine.template LoadShared<float>(static_cast<uint32_t>(place) * 4);
  }
  template <class Machine>
  ECLD_DEVICE static void Share(Machine& machine, int place, float value) {
    machine.StoreShared(static_cast<uint32_t>(place) * 4, value);
  }

  template <class Machine>
  ECLD_DEVICE Place Find(Machine& machine) const {
    Place place;
    place.kv_head = machine.BlockX() / Chunks();
    const int first = machine.BlockX() % Chunks() * kHeads;
    place.first_head = place.kv_head * HeadsOfKey() + first;
    place.heads = HeadsOfKey() - first < kHeads ? HeadsOfKey() - first : kHeads;
    place.position = machine.Load(step.position) + machine.BlockZ();
    place.first_key = step.window > 0 && place.position + 1 > step.window ? place.position + 1 - step.window : 0;
    return place;
  }

  template <class Machine>
  ECLD_DEVICE void ShareQueries(Machine& machine, const Place& place) const {
    const int head_dim = step.kv.head_dim;
    const float* query = step.query + (int64_t{machine.BlockZ()} * step.num_heads + place.first_head) * head_dim;
    for (int i = machine.Thread(); i < kHeads * head_dim; i += kThreads)
      Share(machine, i, i < place.heads * head_dim ? machine.Load(query + i) * step.scale : 0.0f);
    machine.Barrier();
  }

  // Scores of a block of 32 keys: lane l has positions l % kLanes * kPer + i.
  template <class Machine>
  ECLD_DEVICE void Score(Machine& machine, int64_t first, float (&score)[kHeads][kPer]) const {
    const int head_dim = step.kv.head_dim, lane = machine.Thread() % 32;
    const auto* words = reinterpret_cast<const uint32_t*>(step.kv.keys + first * head_dim * (kQ8 ? 1 : 2)) + lane;
    ECLD_UNROLL
    for (int h = 0; h < kHeads; ++h) {
      ECLD_UNROLL
      for (int i = 0; i < kPer; ++i) score[h][i] = 0;
    }
#if defined(__CUDACC__)
#pragma unroll 4
#endif
    for (int at = 0; at < head_dim; at += kPer) {
      const int d = at + lane / kLanes;
      if (d >= head_dim) continue;
      const uint32_t word = machine.Load(words + at / kPer * 32);
      float key[kPer];
      ECLD_UNROLL
      for (int i = 0; i < kPer; ++i) {
        if constexpr (kQ8)
          key[i] = static_cast<float>(static_cast<int8_t>(word >> 8 * i & 0xff));
        else
          key[i] = ToFloat<DType::kF16>(word >> 16 * i & 0xffff);
      }
      ECLD_UNROLL
      for (int h = 0; h < kHeads; ++h) {
        const float q = Shared(machine, h * head_dim + d);
        ECLD_UNROLL
        for (int i = 0; i < kPer; ++i) score[h][i] += q * key[i];
      }
    }
    ECLD_UNROLL
    for (int h = 0; h < kHeads; ++h) {
      ECLD_UNROLL
      for (int i = 0; i < kPer; ++i) {
        ECLD_UNROLL
        for (int mask = kLanes; mask < 32; mask *= 2) score[h][i] += machine.ShuffleXor(score[h][i], mask);
      }
    }
  }

  // Scores of [from, to] become weights, and the sums fit for them. Others get none.
  template <class Machine>
  ECLD_DEVICE void Weigh(Machine& machine, int64_t first, int from, int to, float (&score)[kHeads][kPer],
                         Sums& sums) const {
    const int mine = machine.Thread() % kLanes * kPer;
    bool seen[kPer];
    float value_scale[kPer];
    ECLD_UNROLL
    for (int i = 0; i < kPer; ++i) {
      seen[i] = mine + i >= from && mine + i <= to;
      value_scale[i] = 1;
      if constexpr (kQ8) {
        value_scale[i] = seen[i] ? machine.Load(step.kv.value_scales + first + mine + i) : 0.0f;
        const float key_scale = seen[i] ? machine.Load(step.kv.key_scales + first + mine + i) : 0.0f;
        ECLD_UNROLL
        for (int h = 0; h < kHeads; ++h) score[h][i] *= key_scale;
      }
    }
    ECLD_UNROLL
    for (int h = 0; h < kHeads; ++h) {
      float largest = sums.largest[h];
      ECLD_UNROLL
      for (int i = 0; i < kPer; ++i)
        if (seen[i]) largest = fmaxf(largest, score[h][i]);
      ECLD_UNROLL
      for (int mask = 1; mask < kLanes; mask *= 2) largest = fmaxf(largest, machine.ShuffleXor(largest, mask));
      float total = 0;
      ECLD_UNROLL
      for (int i = 0; i < kPer; ++i) {
        const float weight = seen[i] ? expf(score[h][i] - largest) : 0.0f;
        total += weight;
        score[h][i] = weight * value_scale[i];
      }
      ECLD_UNROLL
      for (int mask = 1; mask < kLanes; mask *= 2) total += machine.ShuffleXor(total, mask);
      const float factor = expf(sums.largest[h] - largest);
      sums.total[h] = sums.total[h] * factor + total;
      sums.largest[h] = largest;
      ECLD_UNROLL
      for (int d = 0; d < kDims; ++d) sums.value[h][d] *= factor;
    }
  }

  // kDims elements of a value, from the lane's first on.
  template <class Machine>
  ECLD_DEVICE static void LoadValue(Machine& machine, const std::byte* from, float (&value)[kDims]) {
    constexpr int kBytes = kDims * (kQ8 ? 1 : 2);
    uint32_t words[(kBytes + 3) / 4];
    if constexpr (kBytes == 2) {
      words[0] = machine.Load(reinterpret_cast<const uint16_t*>(from));
    } else if constexpr (kBytes == 4) {
      words[0] = machine.Load(reinterpret_cast<const uint32_t*>(from));
    } else if constexpr (kBytes == 8) {
      const Words2 both = machine.Load(reinterpret_cast<const Words2*>(from));
      words[0] = both.word[0];
      words[1] = both.word[1];
    } else {
      const Words4 all = machine.Load(reinterpret_cast<const Words4*>(from));
      ECLD_UNROLL
      for (int i = 0; i < 4; ++i) words[i] = all.word[i];
    }
    ECLD_UNROLL
    for (int d = 0; d < kDims; ++d) {
      if constexpr (kQ8)
        value[d] = static_cast<float>(static_cast<int8_t>(words[d / 4] >> 8 * (d % 4) & 0xff));
      else
        value[d] = ToFloat<DType::kF16>(words[d / 2] >> 16 * (d % 2) & 0xffff);
    }
  }

  // Adds the values of positions [from, to] of a block with their weights.
  template <class Machine>
  ECLD_DEVICE void AddValues(Machine& machine, int64_t first, int from, int to, const float (&weight)[kHeads][kPer],
                             Sums& sums) const {
    const int mine = machine.Thread() % 32 * kDims, stride = step.kv.value_stride;
    const std::byte* values = step.kv.values + (first * stride + mine) * (kQ8 ? 1 : 2);
    for (int lane = from / kPer; lane <= to / kPer; ++lane) {
      ECLD_UNROLL
      for (int i = 0; i < kPer; ++i) {
        const int position = lane * kPer + i;
        if (position < from || position > to) continue;
        float value[kDims] = {};
        if (mine < stride) LoadValue(machine, values + int64_t{position} * stride * (kQ8 ? 1 : 2), value);
        ECLD_UNROLL
        for (int h = 0; h < kHeads; ++h) {
          const float w = machine.ShuffleFrom(weight[h][i], lane);
          ECLD_UNROLL
          for (int d = 0; d < kDims; ++d) sums.value[h][d] += w * value[d];
        }
      }
    }
  }

  // Sums of several, each given by read(which, element), largest(which), total(which): to elements of heads, their
  // largest score and total. write(head, element, sum, largest, total).
  template <class Machine, class Read, class Largest, class Total, class Write>
  ECLD_DEVICE void Merge(Machine& machine, const Place& place, int count, const Largest& largest_of,
                         const Total& total_of, const Read& read, const Write& write) const {
    const int head_dim = step.kv.head_dim;
    for (int i = machine.Thread(); i < place.heads * head_dim; i += kThreads) {
      const int h = i / head_dim, d = i % head_dim;
      float largest = kLowest;
      for (int which = 0; which < count; ++which) largest = fmaxf(largest, largest_of(which, h));
      float sum = 0, total = 0;
      for (int which = 0; which < count; ++which) {
        const float factor = expf(largest_of(which, h) - largest);
        sum += read(which, h, d) * factor;
        total += total_of(which, h) * factor;
      }
      write(h, d, sum, largest, total);
    }
  }

  template <class Machine>
  ECLD_DEVICE void Finish(Machine& machine, const Place& place, const Sums& sums) const {
    const int warp = machine.Thread() / 32, lane = machine.Thread() % 32, head_dim = step.kv.head_dim;
    ECLD_UNROLL
    for (int h = 0; h < kHeads; ++h) {
      const int mine = warp * kHeads + h;
      ECLD_UNROLL
      for (int d = 0; d < kDims; ++d) Share(machine, kSums + mine * kWidth + lane * kDims + d, sums.value[h][d]);
      if (lane == 0) {
        Share(machine, kLargest + mine, sums.largest[h]);
        Share(machine, kTotals + mine, sums.total[h]);
      }
    }
    machine.Barrier();
    const int64_t row = machine.BlockZ(), head = row * step.num_heads + place.first_head;
    const auto result = [&](int h, int d, float sum, float, float total) {
      machine.Store(step.out + row * step.out_stride + int64_t{place.first_head + h} * head_dim + d,
                    Narrow(step.type, sum / total));
    };
    const auto shared_largest = [&](int w, int h) { return Shared(machine, kLargest + w * kHeads + h); };
    const auto shared_total = [&](int w, int h) { return Shared(machine, kTotals + w * kHeads + h); };
    const auto shared_sum = [&](int w, int h, int d) { return Shared(machine, kSums + (w * kHeads + h) * kWidth + d); };
    if (step.splits == 1) return Merge(machine, place, kWarps, shared_largest, shared_total, shared_sum, result);

    const int64_t stride = head_dim + 2;
    const auto part = [&](int split, int h) { return step.parts + ((head + h) * step.splits + split) * stride; };
    const auto store_part = [&](int h, int d, float sum, float largest, float total) {
      float* to = part(machine.BlockY(), h);
      machine.Store(to + d, sum);
      if (d != 0) return;
      machine.Store(to + head_dim, largest);
      machine.Store(to + head_dim + 1, total);
    };
    Merge(machine, place, kWarps, shared_largest, shared_total, shared_sum, store_part);
    if (!LastBlock(machine, step.counters + head, step.splits, kFlag * 4)) return;
    Merge(
        machine, place, step.splits, [&](int s, int h) { return machine.Load(part(s, h) + head_dim); },
        [&](int s, int h) { return machine.Load(part(s, h) + head_dim + 1); },
        [&](int s, int h, int d) { return machine.Load(part(s, h) + d); }, result);
  }

  // Grid: (key heads, each as often as its query heads need, splits, rows).
  template <class Machine>
  ECLD_DEVICE void operator()(Machine& machine) const {
    const Place place = Find(machine);
    ShareQueries(machine, place);
    Sums sums;
    ECLD_UNROLL
    for (int h = 0; h < kHeads; ++h) {
      sums.largest[h] = kLowest;
      sums.total[h] = 0;
      ECLD_UNROLL
      for (int d = 0; d < kDims; ++d) sums.value[h][d] = 0;
    }
    const int64_t begin = place.first_key / 32, end = place.position / 32;
    for (int64_t block = begin + machine.BlockY() * kWarps + machine.Thread() / 32; block <= end;
         block += step.splits * kWarps) {
      const int64_t first = place.kv_head * step.kv.capacity + block * 32;
      const int from = block == begin ? static_cast<int>(place.first_key % 32) : 0;
      const int to = block == end ? static_cast<int>(place.position % 32) : 31;
      float score[kHeads][kPer];
      Score(machine, first, score);
      Weigh(machine, first, from, to, score, sums);
      AddValues(machine, first, from, to, score, sums);
    }
    Finish(machine, place, sums);
  }
};

template <bool kQ8, int kHeads, class Call>
void WithDims(const AttendStep& step, const Call& call) {
  if (step.kv.head_dim <= 64) return call(AttendKernel<kQ8, kHeads, 2>{step});
  if (step.kv.head_dim <= 128) return call(AttendKernel<kQ8, kHeads, 4>{step});
  call(AttendKernel<kQ8, kHeads, 8>{step});
}

template <bool kQ8, class Call>
void WithHeads(const AttendStep& step, const Call& call) {
  const int heads = step.num_heads / step.kv.num_heads;
  if (heads == 1) return WithDims<kQ8, 1>(step, call);
  if (heads <= 4) return WithDims<kQ8, 4>(step, call);
  WithDims<kQ8, 8>(step, call);
}

template <class Call>
void WithKernel(const AttendStep& step, const Call& call) {
  if (step.kv.q8) return WithHeads<true>(step, call);
  WithHeads<false>(step, call);
}

}  // namespace ecld::cuda
