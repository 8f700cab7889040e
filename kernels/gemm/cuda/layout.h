#pragma once
// The order in which a GPU reads a packed weight matrix: tiles of 64 outputs x 64 inputs, in which every lane of a warp
// finds its operands of the tensor cores' products in chunks of up to 16 bytes. Made once from the row order of
// packed_format.h; the values are the same. All CUDA products read it, the scalar ones too.
//
//   std::vector<std::byte> bytes(CudaTiledBytes(rows));
//   CudaTile(rows, bytes.data());                          // then copied to the device
//   CudaWeight weight = CudaTiled(rows, device_bytes);
//
//   codes   [tiles_n][tiles_k][slab 4] 128 * bits bytes, by lane: below
//   scales  scale_dtype (F16 or BF16) [tiles_n][groups][slab 4][row 8][2]
//   zeros   uint8                     [tiles_n][groups][slab 4][row 8][2]     only asymmetric
//
// A slab is 16 outputs. The 64 inputs of a tile are 4 steps of 16; for each, a lane holds the eight values a0..a7 of
// operand A of mma.m16n8k16: FragmentRow and FragmentColumn of lanes.h say where they lie in slab and step.
//   2 bits  [lane 32] 8 bytes; word w = steps 2w, 2w + 1; pairs of bits, lowest first: a0 a2 a4 a6 of each step, in the
//           upper half a1 a3 a5 a7
//   3 bits  the lower two bits of the codes as above, then [lane 32] 4 bytes of third bits: a0 a2 a4 a6 of each step,
//           in the upper half a1 a3 a5 a7
//   4 bits  [lane 32] 16 bytes; word s = step s; nibbles, lowest first: a0 a2 a4 a6 a1 a3 a5 a7
//   8 bits  [part 2][lane 32] 16 bytes; part p = steps 2p, 2p + 1, two words each; bytes, lowest first: a0..a3, a4..a7
// The two values of (row, 2) are those of outputs row and row + 8 of the slab.
// Outputs and inputs beyond the matrix have code 0, scale 0, zero point 0; kernels read zeros for x there.

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/threads.h"
#include "kernels/packing/weight_view.h"

namespace ecld {

inline constexpr int64_t kCudaTile = 64;  // outputs and inputs of a tile
inline constexpr int64_t kCudaSlab = 16;  // outputs of a slab

// A tiled matrix; the pointers are to the memory of the device that computes.
struct CudaWeight {
  int64_t out_features = 0;
  int64_t in_features = 0;
  PackedFormat format;
  DType scale_dtype = DType::kF16;
  const std::byte* codes = nullptr;  // each on 16 bytes
  const std::byte* scales = nullptr;
  const std::byte* zeros = nullptr;  // null: symmetric

  int64_t TilesN() const { return (out_features + kCudaTile - 1) / kCudaTile; }
  int64_t TilesK() const { return (in_features + kCudaTile - 1) / kCudaTile; }
};

// Whether the layout can hold it: 2, 3, 4 or 8 bits in row order, groups of 32, 64, 128, ... (a power of two) inputs or
// the whole row, scales F16 or BF16.
bool CanCudaTile(const WeightView& rows);

// Bytes of all arrays together. REQUIRES: CanCudaTile.
uint64_t CudaTiledBytes(const WeightView& rows);

// Fills bytes[CudaTiledBytes(rows)]. Every byte is written, so equal weights give equal bytes.
void CudaTile(const WeightView& rows, std::byte* bytes, ThreadPool& pool);

// Matrices that one product can take as one: their rows below each other. The shape has all outputs, and no rows of its
// own: for CudaTiledBytes and CudaTiled. REQUIRES: CanCudaStack.
bool CanCudaStack(const WeightView& above, const WeightView& below);
WeightView CudaStackShape(std::span<const WeightView> parts);
void CudaTile(std::span<const WeightView> parts, std::byte* bytes, ThreadPool& pool);

// The tiled form of rows whose bytes lie at `bytes` (16-byte aligned, of the host or of a device).
CudaWeight CudaTiled(const WeightView& rows, const std::byte* bytes);

}  // namespace ecld
