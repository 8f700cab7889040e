#pragma once
// The body of the CUDA product on tensor cores, as a template over the machine it runs on (kernels/cuda).
//
// The weights are operand A of mma.m16n8k16 (16 outputs), the rows of x its 8 columns, so a few rows waste little. A
// block has 4 warps, one for each slab of a tile of 64 outputs, and takes 8 * kColumns rows of x and a part of the
// inputs. Codes and x come through shared memory by cp.async, kMmaStages tiles ahead. Codes become exact (u - z) in 16
// bits; a group's products are summed in float32 and the sum multiplied by the scale.
//
// The inputs are split between blocks so that small matrices fill a GPU: into a number of parts that depends on the
// shape of the weights alone. The block of a tile that ends last adds the parts in their order, so neither the order of
// the blocks nor m changes a bit of a row.

#include "kernels/cuda/lanes.h"
#include "kernels/gemm/cuda/parts.h"
#include "kernels/gemm/cuda/product.h"

namespace ecld::cuda {

inline constexpr int kMmaThreads = 128;
inline constexpr int kMmaStages = 4;
inline constexpr int kMmaMaxColumns = 6;  // 48 rows of x in a block

ECLD_LANE constexpr uint32_t MmaStageBytes(int bits, int columns) {
  return TileBytes(bits) + static_cast<uint32_t>(columns) * 8 * 128;
}
ECLD_LANE constexpr uint32_t MmaSharedBytes(int bits, int columns) {
  return kMmaStages * MmaStageBytes(bits, columns) + 16;
}

// Starts the copies of one tile of codes into a stage.
template <int kBits, class Machine>
ECLD_DEVICE void MmaFetchCodes(Machine& machine, const Product& product, int tile_k, uint32_t stage) {
  constexpr int kChunks = TileBytes(kBits) / 16;
  const unsigned char* codes =
      product.codes + (int64_t{machine.BlockX()} * product.tiles_k + tile_k) * TileBytes(kBits);
  ECLD_UNROLL
  for (int at = machine.Thread(); at < kChunks; at += kMmaThreads)
    machine.CopyAsync16(stage + static_cast<uint32_t>(at) * 16, codes + at * 16, 16);
}

// And those of x.
template <int kBits, int kColumns, class Machine>
ECLD_DEVICE void MmaFetchX(Machine& machine, const Product& product, int tile_k, uint32_t stage) {
  const int thread = machine.Thread();
  const uint32_t x_stage = stage + TileBytes(kBits);
  ECLD_UNROLL
  for (int at = thread; at < 8 * kColumns * 8; at += kMmaThreads) {
    const int row = at / 8, chunk = at % 8;
    const int token = machine.BlockZ() * 8 * kColumns + row, input = tile_k * 64 + chunk * 8;
    const int left = token < product.m ? product.in_features - input : 0;
    const int valid = left >= 8 ? 16 : left > 0 ? left * 2 : 0;
    const uint16_t* source = valid > 0 ? product.x + token * product.x_stride + input : product.x;
    machine.CopyAsync16(x_stage + Swizzle128(row, chunk), source, valid);
  }
}

// Half a tile (32 inputs) of one stage: acc += (u - z) * x for this warp's 16 outputs. words: the lane's codes.
template <int kBits, DType kType, int kColumns, class Machine>
ECLD_DEVICE void MmaHalfTile(Machine& machine, uint32_t stage, int half, const uint32_t (&words)[kBits],
                             const uint32_t (&zero)[2], float (&acc)[kColumns][4]) {
  const int lane = machine.Thread() % 32;
  uint32_t a[2][4];
  Fragment<kBits, kType>(words, half * 2, zero, a[0]);
  Fragment<kBits, kType>(words, half * 2 + 1, zero, a[1]);
  ECLD_UNROLL
  for (int c = 0; c < kColumns; ++c) {
    uint32_t b[4];
    machine.LoadMatrix4(stage + TileBytes(kBits) + Swizzle128(c * 8 + lane % 8, half * 4 + lane / 8), b);
    machine.template Mma<kType>(acc[c], a[0], b[0], b[1]);
    machine.template Mma<kType>(acc[c], a[1], b[2], b[3]);
  }
}

template <int kColumns>
ECLD_DEVICE void MmaEndGroup(const float (&scale)[2], float (&acc)[kColumns][4], float (&total)[kColumns][4]) {
  ECLD_UNROLL
  for (int c = 0; c < kColumns; ++c) {
    ECLD_UNROLL
    for (int i = 0; i < 4; ++i) {
      total[c][i] += scale[i / 2] * acc[c][i];
      acc[c][i] = 0;
    }
  }
}

// The sums over tiles [begin, end) of the inputs -> total.
template <int kBits, DType kType, int kColumns, class Machine>
ECLD_DEVICE void MmaMainLoop(Machine& machine, const Product& product, int begin, int end,
                             float (&total)[kColumns][4]) {
  const int slab = machine.BlockX() * 4 + machine.Thread() / 32;
  constexpr uint32_t kStage = MmaStageBytes(kBits, kColumns);
  int group = -1;
  float scale[2] = {};
  uint32_t zero[2] = {};
  float acc[kColumns][4] = {};

  // Codes come while the kernel before this one, which may write x, still runs.
  ECLD_UNROLL
  for (int ahead = 0; ahead < kMmaStages - 1; ++ahead)
    if (begin + ahead < end)
      MmaFetchCodes<kBits>(machine, product, begin + ahead, static_cast<uint32_t>(ahead) * kStage);
  machine.WaitForPrevious();
  ECLD_UNROLL
  for (int ahead = 0; ahead < kMmaStages - 1; ++ahead) {
    if (begin + ahead < end)
      MmaFetchX<kBits, kColumns>(machine, product, begin + ahead, static_cast<uint32_t>(ahead) * kStage);
    machine.CommitCopies();
  }
  for (int tile = begin; tile < end; ++tile) {
    machine.template WaitCopies<kMmaStages - 2>();
    machine.Barrier();
    const int ahead = tile + kMmaStages - 1;
    if (ahead < end) {
      const uint32_t free = static_cast<uint32_t>((ahead - begin) % kMmaStages) * kStage;
      MmaFetchCodes<kBits>(machine, product, ahead, free);
      MmaFetchX<kBits, kColumns>(machine, product, ahead, free);
    }
    machine.CommitCopies();
    const uint32_t stage = static_cast<uint32_t>((tile - begin) % kMmaStages) * kStage;
    const uint32_t codes = stage + static_cast<uint32_t>(machine.Thread() / 32) * SlabBytes(kBits);
    const auto read = [&](uint32_t offset, auto& chunk) {
      chunk = machine.template LoadShared<std::remove_reference_t<decltype(chunk)>>(codes + offset);
    };
    uint32_t words[kBits];
    ReadLane<kBits>(machine.Thread() % 32, read, words);
    ECLD_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int next = (tile * 2 + half) >> product.group_shift;
      if (next >= product.groups) break;  // the padding behind the last input belongs to none
      if (next != group) {
        MmaEndGroup<kColumns>(scale, acc, total);
        group = next;
        LoadGroup(machine, product, slab, group, machine.Thread() % 32 / 4, scale, zero);
        zero[0] = ZeroOperand<kBits, kType>(zero[0]);
        zero[1] = ZeroOperand<kBits, kType>(zero[1]);
      }
      MmaHalfTile<kBits, kType, kColumns>(machine, stage, half, words, zero, acc);
    }
  }
  MmaEndGroup<kColumns>(scale, acc, total);
}

// Grid: (tiles of outputs, splits, blocks of 8 * kColumns rows of x), 128 threads, MmaSharedBytes(kBits, kColumns).
template <int kBits, DType kType, int kColumns, class Machine>
ECLD_DEVICE void MmaBody(Machine& machine, const Product& product) {
  const int64_t split = machine.BlockY();
  const int begin = static_cast<int>(product.tiles_k * split / product.splits);
  const int end = static_cast<int>(product.tiles_k * (split + 1) / product.splits);
  float total[kColumns][4] = {};
  machine.LetNextStart();
  MmaMainLoop<kBits, kType, kColumns>(machine, product, begin, end, total);
  constexpr uint32_t kFlag = kMmaStages * MmaStageBytes(kBits, kColumns);
  const int64_t block = int64_t{machine.BlockZ()} * product.tiles_n + machine.BlockX();
  if (product.splits > 1 && !AddParts<kColumns, kMmaThreads>(
                                machine, product, block, machine.Thread(), kFlag, [&] { machine.Barrier(); }, total))
    return;

  const int lane = machine.Thread() % 32;
  const int output = (machine.BlockX() * 4 + machine.Thread() / 32) * 16 + lane / 4;
  ECLD_UNROLL
  for (int c = 0; c < kColumns; ++c) {
    ECLD_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int token = (machine.BlockZ() * kColumns + c) * 8 + lane % 4 * 2 + i % 2, o = output + 8 * (i / 2);
      if (token < product.m && o < product.out_features) StoreResult<kType>(machine, product, token, o, total[c][i]);
    }
  }
}

}  // namespace ecld::cuda
