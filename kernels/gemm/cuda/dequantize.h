#pragma once
// The body of the CUDA kernel that writes tiled weights as a dense matrix, as a template over the machine it runs on.
//
// A block takes 64 outputs and kDequantizeTiles tiles of 64 inputs; each of its 4 warps a slab. (u - z) * scale is
// exact in float32 and rounded once to 16 bits; the fragments go through shared memory so that rows are written 128
// bytes at a time. Inputs and outputs beyond the matrix, up to whole tiles, are written too, as finite numbers.

#include "kernels/cuda/lanes.h"
#include "kernels/gemm/cuda/product.h"

namespace ecld::cuda {

inline constexpr int kDequantizeThreads = 128;
inline constexpr int kDequantizeTiles = 4;
inline constexpr uint32_t kDequantizeSharedBytes = 2 * 64 * 128;

struct Dequantize {
  Product product;
  int first_tile;   // of outputs: its output 64 * first_tile is row 0 of dense
  uint16_t* dense;  // [rows, tiles_k * 64], on 16 bytes
};

// One tile: codes of the lane -> 16-bit floats in shared memory at `base`, 16 swizzled rows of 128 bytes.
template <int kBits, DType kType, class Machine>
ECLD_DEVICE void DequantizeTile(Machine& machine, const Product& product, const uint32_t (&words)[kBits], int slab,
                                int tile_k, uint32_t base) {
  const int lane = machine.Thread() % 32, row = lane / 4;
  ECLD_UNROLL
  for (int half = 0; half < 2; ++half) {
    float scale[2] = {};
    uint32_t zero[2] = {};
    const int group = (tile_k * 2 + half) >> product.group_shift;
    if (group < product.groups) LoadGroup(machine, product, slab, group, row, scale, zero);
    ECLD_UNROLL
    for (int step = half * 2; step < half * 2 + 2; ++step) {
      float f[8];
      Floats<kBits>(words, step, f);
      ECLD_UNROLL
      for (int pair = 0; pair < 4; ++pair) {
        const float offset = kFloatOffset<kBits> + static_cast<float>(zero[pair % 2]);
        const uint32_t low = FromFloat<kType>((f[2 * pair] - offset) * scale[pair % 2]);
        const uint32_t high = FromFloat<kType>((f[2 * pair + 1] - offset) * scale[pair % 2]);
        machine.StoreShared(
            base + Swizzle128(row + 8 * (pair % 2), step * 2 + pair / 2) + static_cast<uint32_t>(lane % 4) * 4,
            low | high << 16);
      }
    }
  }
}

// Grid: (tiles of inputs / kDequantizeTiles, tiles of outputs), kDequantizeThreads, kDequantizeSharedBytes.
template <int kBits, DType kType, class Machine>
ECLD_DEVICE void DequantizeBody(Machine& machine, const Dequantize& work) {
  const Product& product = work.product;
  const int lane = machine.Thread() % 32, warp = machine.Thread() / 32, tile_n = work.first_tile + machine.BlockY();
  const int first = machine.BlockX() * kDequantizeTiles;
  const unsigned char* codes = product.codes + int64_t{tile_n} * product.tiles_k * TileBytes(kBits) +
                               static_cast<uint32_t>(warp) * SlabBytes(kBits);
  uint16_t* rows = work.dense + (int64_t{machine.BlockY()} * 64 + warp * 16) * product.tiles_k * 64;

  machine.LetNextStart();
  uint32_t words[kDequantizeTiles][kBits];
  ECLD_UNROLL
  for (int t = 0; t < kDequantizeTiles; ++t) {
    const auto read = [&](uint32_t offset, auto& chunk) {
      chunk = machine.LoadOnce(reinterpret_cast<const std::remove_reference_t<decltype(chunk)>*>(
          codes + int64_t{first + t} * TileBytes(kBits) + offset));
    };
    if (first + t < product.tiles_k) ReadLane<kBits>(lane, read, words[t]);
  }
  machine.WaitForPrevious();  // which may still read the dense matrix
  ECLD_UNROLL
  for (int t = 0; t < kDequantizeTiles; ++t) {
    if (first + t >= product.tiles_k) break;
    const uint32_t base = static_cast<uint32_t>(t % 2 * 64 + warp * 16) * 128;  // two by turns: one barrier a tile
    DequantizeTile<kBits, kType>(machine, product, words[t], tile_n * 4 + warp, first + t, base);
    machine.Barrier();
    ECLD_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int row = i * 4 + lane / 8, chunk = lane % 8;
      machine.Store(
          reinterpret_cast<Words4*>(rows + int64_t{row} * product.tiles_k * 64 + (first + t) * 64 + chunk * 8),
          machine.template LoadShared<Words4>(base + Swizzle128(row, chunk)));
    }
  }
}

}  // namespace ecld::cuda
