#pragma once
// The body of the CUDA product of one or two rows of x, as a template over the machine it runs on (kernels/cuda).
//
// A block makes 16 outputs (a slab). Its 8 warps take the tiles of 64 inputs in turn; a lane holds the 32 weights of
// two outputs at 16 inputs, has the loads of several tiles under way, and multiplies in float32. Scales are applied to
// the sum over at most 32 inputs, sum_i (u_i - z) x_i = sum_i (u_i + c) x_i - (c + z) sum_i x_i with c of lanes.h, so
// that no weight is converted by itself. The lanes' and then the warps' sums are added in a fixed order.

#include "kernels/cuda/lanes.h"
#include "kernels/gemm/cuda/product.h"

namespace ecld::cuda {

inline constexpr int kGemvWarps = 8;
inline constexpr int kGemvWordsAhead = 16;  // of codes, in each lane

ECLD_LANE constexpr uint32_t GemvSharedBytes(int rows) { return static_cast<uint32_t>(kGemvWarps * 16 * rows) * 4; }

// Two neighbouring elements of x; those from in_features on are zero.
template <DType kType, class Machine>
ECLD_DEVICE void LoadPair(Machine& machine, const Product& product, int row, int at, float (&pair)[2]) {
  const uint16_t* x = product.x + row * product.x_stride + at;
  uint32_t bits = 0;
  if (at + 1 < product.in_features)
    bits = machine.Load(reinterpret_cast<const uint32_t*>(x));
  else if (at < product.in_features)
    bits = machine.Load(x);
  pair[0] = ToFloat<kType>(bits & 0xffffu);
  pair[1] = ToFloat<kType>(bits >> 16);
}

// Half a tile: 32 inputs from `input` on, which share a group. words: the lane's codes of the tile.
template <int kBits, DType kType, int kRows, class Machine>
ECLD_DEVICE void GemvHalfTile(Machine& machine, const Product& product, const uint32_t* words, int half, int slab,
                              int input, float (&total)[2][kRows]) {
  const int lane = machine.Thread() % 32, column = lane % 4 * 2;
  float dot[2][kRows] = {}, sum[kRows] = {};
  ECLD_UNROLL
  for (int step = 0; step < 2; ++step) {
    float f[8];
    Floats<kBits>(words, half * 2 + step, f);
    ECLD_UNROLL
    for (int r = 0; r < kRows; ++r) {
      float low[2], high[2];
      LoadPair<kType>(machine, product, r, input + step * 16 + column, low);
      LoadPair<kType>(machine, product, r, input + step * 16 + column + 8, high);
      dot[0][r] += f[0] * low[0] + f[1] * low[1] + f[4] * high[0] + f[5] * high[1];
      dot[1][r] += f[2] * low[0] + f[3] * low[1] + f[6] * high[0] + f[7] * high[1];
      sum[r] += low[0] + low[1] + high[0] + high[1];
    }
  }
  float scale[2];
  uint32_t zero[2];
  LoadGroup(machine, product, slab, input / 32 >> product.group_shift, lane / 4, scale, zero);
  ECLD_UNROLL
  for (int i = 0; i < 2; ++i) {
    const float offset = kFloatOffset<kBits> + static_cast<float>(zero[i]);
    ECLD_UNROLL
    for (int r = 0; r < kRows; ++r) total[i][r] += scale[i] * (dot[i][r] - offset * sum[r]);
  }
}

// Grid: (slabs), 256 threads, GemvSharedBytes(kRows). REQUIRES: product.m == kRows.
template <int kBits, DType kType, int kRows, class Machine>
ECLD_DEVICE void GemvBody(Machine& machine, const Product& product) {
  constexpr int kTilesAhead = kGemvWordsAhead / kBits;
  const int lane = machine.Thread() % 32, warp = machine.Thread() / 32, slab = machine.BlockX();
  const unsigned char* codes =
      product.codes + int64_t{slab / 4} * product.tiles_k * TileBytes(kBits) + slab % 4 * SlabBytes(kBits);

  float total[2][kRows] = {};
  machine.LetNextStart();
  for (int first = warp; first < product.tiles_k; first += kGemvWarps * kTilesAhead) {
    uint32_t words[kTilesAhead][kBits];
    ECLD_UNROLL
    for (int ahead = 0; ahead < kTilesAhead; ++ahead) {
      const int64_t tile = first + ahead * kGemvWarps;
      const auto read = [&](uint32_t offset, auto& chunk) {
        chunk = machine.LoadOnce(reinterpret_cast<const std::remove_reference_t<decltype(chunk)>*>(
            codes + tile * TileBytes(kBits) + offset));
      };
      if (tile < product.tiles_k) ReadLane<kBits>(lane, read, words[ahead]);
    }
    // The first codes come while the kernel before this one, which may write x, still runs.
    if (first == warp) machine.WaitForPrevious();
    ECLD_UNROLL
    for (int ahead = 0; ahead < kTilesAhead; ++ahead) {
      ECLD_UNROLL
      for (int half = 0; half < 2; ++half) {
        const int input = (first + ahead * kGemvWarps) * 64 + half * 32;
        if (input >= product.in_features) continue;
        GemvHalfTile<kBits, kType, kRows>(machine, product, words[ahead], half, slab, input, total);
      }
    }
  }

  ECLD_UNROLL
  for (int i = 0; i < 2; ++i) {
    ECLD_UNROLL
    for (int r = 0; r < kRows; ++r) {
      float value = total[i][r];
      value += machine.ShuffleXor(value, 1);
      value += machine.ShuffleXor(value, 2);
      const int place = (warp * 16 + lane / 4 + 8 * i) * kRows + r;
      if (lane % 4 == 0) machine.StoreShared(static_cast<uint32_t>(place) * 4, value);
    }
  }
  machine.WaitForPrevious();  // of warps without a tile
  machine.Barrier();
  const int row = machine.Thread() / kRows, r = machine.Thread() % kRows, output = slab * 16 + row;
  if (row >= 16 || output >= product.out_features) return;
  float value = 0;
  for (int w = 0; w < kGemvWarps; ++w)
    value += machine.template LoadShared<float>(static_cast<uint32_t>((w * 16 + row) * kRows + r) * 4);
  StoreResult<kType>(machine, product, r, output, value);
}

}  // namespace ecld::cuda
