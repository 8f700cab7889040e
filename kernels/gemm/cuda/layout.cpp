#include "kernels/gemm/cuda/layout.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <vector>

#include "kernels/cuda/lanes.h"
#include "kernels/packing/packing.h"

namespace ecld {
namespace {

// Bytes of the arrays, each rounded up so that the next begins on 16 bytes.
struct Sizes {
  uint64_t codes, scales, zeros;
};

uint64_t RoundUp16(int64_t bytes) { return static_cast<uint64_t>((bytes + 15) / 16 * 16); }

Sizes SizesOf(const WeightView& rows) {
  const CudaWeight shape = {.out_features = rows.out_features, .in_features = rows.in_features};
  const int64_t groups = rows.format.Groups(rows.in_features);
  return {.codes = RoundUp16(shape.TilesN() * shape.TilesK() * cuda::TileBytes(rows.format.bits)),
          .scales = RoundUp16(shape.TilesN() * groups * kCudaTile * 2),
          .zeros = rows.format.symmetric ? 0 : RoundUp16(shape.TilesN() * groups * kCudaTile)};
}

// Adds the eight codes of a lane in one step to the words of its tile.
void PackStep(int bits, const uint8_t (&a)[8], int step, uint32_t* words) {
  for (int j = 0; j < 8; ++j) {
    const uint32_t code = a[j];
    const int half = j % 2 * 16, pair = j / 2;
    if (bits == 8)
      words[step * 2 + j / 4] |= code << 8 * (j % 4);
    else if (bits == 4)
      words[step] |= code << (half + 4 * pair);
    else
      words[step / 2] |= (code & 3) << (half + step % 2 * 8 + 2 * pair);
    if (bits == 3) words[2] |= code >> 2 << (half + 4 * step + pair);
  }
}

// codes: [16, padded_in] of one slab.
void TileSlab(int bits, const std::vector<uint8_t>& codes, int64_t tiles_k, int64_t slab, std::byte* tiles) {
  const int64_t padded_in = tiles_k * kCudaTile;
  for (int64_t tile = 0; tile < tiles_k; ++tile) {
    std::byte* bytes = tiles + tile * cuda::TileBytes(bits) + slab * cuda::SlabBytes(bits);
    for (int64_t lane = 0; lane < 32; ++lane) {
      uint32_t words[8] = {};
      for (int step = 0; step < 4; ++step) {
        uint8_t a[8];
        for (int j = 0; j < 8; ++j)
          a[j] = codes[static_cast<size_t>(cuda::FragmentRow(static_cast<int>(lane), j) * padded_in + tile * kCudaTile +
                                           step * 16 + cuda::FragmentColumn(static_cast<int>(lane), j))];
        PackStep(bits, a, step, words);
      }
      if (bits >= 4) {
        for (int part = 0; part < bits / 4; ++part) std::memcpy(bytes + (part * 32 + lane) * 16, words + part * 4, 16);
      } else {
        std::memcpy(bytes + lane * 8, words, 8);
        if (bits == 3) std::memcpy(bytes + 256 + lane * 4, words + 2, 4);
      }
    }
  }
}

// The matrix that holds a row of the stack, and the row's place in it.
struct StackedRow {
  const WeightView& rows;
  int64_t output;
};

StackedRow FindRow(std::span<const WeightView> parts, int64_t output) {
  while (output >= parts.front().out_features) {
    output -= parts.front().out_features;
    parts = parts.subspan(1);
  }
  return {parts.front(), output};
}

}  // namespace

bool CanCudaTile(const WeightView& rows) {
  const auto group = static_cast<uint64_t>(rows.format.group_size);
  return rows.packed() && !rows.interleaved && (rows.format.bits <= 4 || rows.format.bits == 8) &&
         (rows.format.Groups(rows.in_features) == 1 || (group >= 32 && std::has_single_bit(group))) &&
         (rows.scale_dtype == DType::kF16 || rows.scale_dtype == DType::kBF16);
}

uint64_t CudaTiledBytes(const WeightView& rows) {
  const Sizes sizes = SizesOf(rows);
  return sizes.codes + sizes.scales + sizes.zeros;
}

CudaWeight CudaTiled(const WeightView& rows, const std::byte* bytes) {
  assert(CanCudaTile(rows));
  const Sizes sizes = SizesOf(rows);
  return {.out_features = rows.out_features,
          .in_features = rows.in_features,
          .format = rows.format,
          .scale_dtype = rows.scale_dtype,
          .codes = bytes,
          .scales = bytes + sizes.codes,
          .zeros = rows.format.symmetric ? nullptr : bytes + sizes.codes + sizes.scales};
}

void CudaTile(const WeightView& rows, std::byte* bytes, ThreadPool& pool) { CudaTile({&rows, 1}, bytes, pool); }

bool CanCudaStack(const WeightView& above, const WeightView& below) {
  return CanCudaTile(above) && CanCudaTile(below) && above.in_features == below.in_features &&
         above.format == below.format && above.scale_dtype == below.scale_dtype;
}

WeightView CudaStackShape(std::span<const WeightView> parts) {
  WeightView shape = parts.front();
  for (const WeightView& part : parts.subspan(1)) {
    assert(CanCudaStack(shape, part));
    shape.out_features += part.out_features;
  }
  return shape;
}

void CudaTile(std::span<const WeightView> parts, std::byte* bytes, ThreadPool& pool) {
  const WeightView all = CudaStackShape(parts);
  const PackedFormat& format = all.format;
  const Sizes sizes = SizesOf(all);
  const CudaWeight shape = CudaTiled(all, bytes);
  const int64_t groups = format.Groups(all.in_features), tiles_k = shape.TilesK();
  std::memset(bytes, 0, sizes.codes + sizes.scales + sizes.zeros);
  pool.ParallelFor(shape.TilesN() * 4, 1, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> codes;
    for (int64_t index = begin; index < end; ++index) {
      const int64_t tile = index / 4, slab = index % 4;
      codes.assign(static_cast<size_t>(kCudaSlab * tiles_k * kCudaTile), 0);
      for (int64_t row = 0; row < std::min(kCudaSlab, all.out_features - index * kCudaSlab); ++row) {
        const auto [rows, output] = FindRow(parts, index * kCudaSlab + row);
        UnpackBits(format.bits, rows.codes + output * format.CodeWords(rows.in_features) * 4, 0, rows.in_features,
                   codes.data() + row * tiles_k * kCudaTile);
        for (int64_t group = 0; group < groups; ++group) {
          const int64_t place = ((tile * groups + group) * 4 + slab) * kCudaSlab + row % 8 * 2 + row / 8;
          std::memcpy(bytes + sizes.codes + place * 2, rows.scales + (output * groups + group) * 2, 2);
          if (format.symmetric) continue;
          uint8_t zero;
          UnpackBits(format.bits, rows.zero_points + group * 4, output, 1, &zero, groups);
          bytes[sizes.codes + sizes.scales + static_cast<uint64_t>(place)] = std::byte{zero};
        }
      }
      TileSlab(format.bits, codes, tiles_k, slab, bytes + tile * tiles_k * cuda::TileBytes(format.bits));
    }
  });
}

}  // namespace ecld
