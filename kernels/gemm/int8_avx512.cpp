// The product with 8-bit activations for AVX-512 with VNNI; see int8_tiled.h. A lane is an output: one instruction
// multiplies four inputs' codes of sixteen outputs with four activations that are the same for all lanes. Codes are
// unpacked in registers, for six rows at once, so nothing is unpacked ahead even for long prompts.

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "kernels/gemm/int8_tiled.h"

#define ECLD_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define ECLD_INLINE ECLD_TARGET inline __attribute__((always_inline))

// GCC 12 takes the deliberately undefined operands inside its own intrinsics for a mistake.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace ecld {
namespace {

constexpr int kMaxRows = 6, kTiles = 2;  // 12 integer and 12 float sums, and what is in flight, fill the 32 registers

ECLD_TARGET void Quantize(const float* x, int64_t blocks, int8_t* codes, float* scale, int32_t* minus_sum) {
  const int64_t count = blocks * kBlockInputs;
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i largest = _mm512_setzero_si512();
  for (int64_t i = 0; i < count; i += 16)
    largest = _mm512_max_epi32(largest, _mm512_and_si512(_mm512_loadu_si512(x + i), magnitude));
  const ActivationScale rounding = ScaleOfActivations(static_cast<uint32_t>(_mm512_reduce_max_epi32(largest)));
  *scale = rounding.scale;
  *minus_sum = 0;
  if (rounding.inverse == 0) {
    std::memset(codes, 0, static_cast<size_t>(count));
    return;
  }
  const __m512 inverse = _mm512_set1_ps(rounding.inverse);
  __m512i sum = _mm512_setzero_si512();
  for (int64_t i = 0; i < count; i += 16) {
    const __m512i code = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + i), inverse));
    sum = _mm512_add_epi32(sum, code);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + i), _mm512_cvtepi32_epi8(code));
  }
  *minus_sum = -_mm512_reduce_add_epi32(sum);
}

ECLD_INLINE __m512 LoadScales(DType dtype, const std::byte* from) {
  if (dtype == DType::kF32) return _mm512_loadu_ps(from);
  const __m256i narrow = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  if (dtype == DType::kF16) return _mm512_cvtph_ps(narrow);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

ECLD_INLINE __m512i Broadcast(const int8_t* x) {
  int32_t four;
  std::memcpy(&four, x, 4);
  return _mm512_set1_epi32(four);
}

// Vectors of a block that hold low bits; see INTERLEAVED.md.
template <int kBits>
constexpr int kVectors = kBits == 8   ? 8
                         : kBits == 4 ? 4
                                      : 2;

// The codes of inputs 4 * kFour .. of all lanes, a byte each.
template <int kBits, int kFour>
ECLD_INLINE __m512i Codes(const std::byte* block) {
  constexpr int kVector = kFour % kVectors<kBits>, kPlace = kFour / kVectors<kBits>;
  const __m512i low = _mm512_loadu_si512(block + 64 * kVector);
  if constexpr (kBits == 8) {
    return low;
  } else if constexpr (kBits == 3) {
    const __m512i two = _mm512_srli_epi16(low, 2 * kPlace), high = _mm512_loadu_si512(block + 128);
    const __m512i one = kFour < 2 ? _mm512_slli_epi16(high, (2 - kFour) & 7) : _mm512_srli_epi16(high, (kFour - 2) & 7);
    // Bits 0 and 1 from the one, 2 from the other.
    const __m512i both = _mm512_ternarylogic_epi32(_mm512_set1_epi8(3), two, one, 0xca);
    return _mm512_and_si512(both, _mm512_set1_epi8(7));
  } else {
    return _mm512_and_si512(_mm512_srli_epi16(low, kBits * kPlace), _mm512_set1_epi8((1 << kBits) - 1));
  }
}

// Rows and fours are numbered at compile time, by sequences instead of loops: only then do compilers keep the sums in
// registers.
template <int... kRow>
using RowNumbers = std::integer_sequence<int, kRow...>;
using FourNumbers = std::make_integer_sequence<int, 8>;

ECLD_INLINE void AddRow(const __m512i* codes, const int8_t* x, __m512i* sums) {
  const __m512i inputs = Broadcast(x);
  sums[0] = _mm512_dpbusd_epi32(sums[0], codes[0], inputs);
  sums[1] = _mm512_dpbusd_epi32(sums[1], codes[1], inputs);
}

template <int kBits, int kFour, int... kRow>
ECLD_INLINE void AddFour(const std::byte* const* blocks, const int8_t* x, int64_t stride, __m512i (*sums)[kTiles],
                         RowNumbers<kRow...>) {
  const __m512i codes[kTiles] = {Codes<kBits, kFour>(blocks[0]), Codes<kBits, kFour>(blocks[1])};
  (AddRow(codes, x + kRow * stride + 4 * kFour, sums[kRow]), ...);
}

// All that one vector holds, then the next.
template <int kBits, typename Rows, int... kIndex>
ECLD_INLINE void AddBlock(const std::byte* const* blocks, const int8_t* x, int64_t stride, __m512i (*sums)[kTiles],
                          Rows rows, std::integer_sequence<int, kIndex...>) {
  constexpr int kFours = 8 / kVectors<kBits>;  // in a vector
  (AddFour<kBits, kIndex / kFours + kIndex % kFours * kVectors<kBits>>(blocks, x, stride, sums, rows), ...);
}

// -zero * sum of the activations' codes, where an integer sum starts.
template <int kBits>
ECLD_INLINE __m512i Start(const std::byte* zeros, int32_t minus_sum) {
  const __m512i sum = _mm512_set1_epi32(minus_sum);
  if (!zeros) return _mm512_slli_epi32(sum, kBits - 1);
  const __m512i zero = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(zeros)));
  return _mm512_dpwssd_epi32(_mm512_setzero_si512(), zero, sum);
}

template <int kBits>
ECLD_INLINE void StartRow(const std::byte* const* zeros, int32_t minus_sum, __m512i* sums) {
  sums[0] = Start<kBits>(zeros[0], minus_sum);
  sums[1] = Start<kBits>(zeros[1], minus_sum);
}

ECLD_INLINE void FinishRow(const __m512i* sums, const __m512* scales, float x_scale, __m512* totals) {
  const __m512 scale = _mm512_set1_ps(x_scale);
  totals[0] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums[0]), scales[0]), scale, totals[0]);
  totals[1] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums[1]), scales[1]), scale, totals[1]);
}

template <int kBits, int... kRow>
ECLD_INLINE void MultiplyRows(const Int8Tile& tile, RowNumbers<kRow...> rows) {
  const WeightView& weight = tile.weight;
  const Int8Activations x = tile.x;
  // A tile without a neighbour is computed twice, into the same place.
  const int64_t tiles[kTiles] = {tile.tile, tile.tile + tile.tiles - 1};
  const int64_t all_blocks = Blocks(weight), group_blocks = GroupBlocks(weight);
  const std::byte* blocks[kTiles] = {BlockAt(weight, tiles[0], 0), BlockAt(weight, tiles[1], 0)};
  const DType scale_dtype = weight.scale_dtype;
  const bool symmetric = weight.format.symmetric;
  __m512 totals[sizeof...(kRow)][kTiles] = {{(static_cast<void>(kRow), _mm512_setzero_ps()), _mm512_setzero_ps()}...};
  const int8_t* inputs = x.codes;
  for (int64_t block = 0, group = 0, piece = 0; block < all_blocks; ++group) {
    const int64_t group_end = std::min(all_blocks, block + group_blocks);
    const __m512 scales[kTiles] = {LoadScales(scale_dtype, TileScales(weight, tiles[0], group)),
                                   LoadScales(scale_dtype, TileScales(weight, tiles[1], group))};
    const std::byte* const zeros[kTiles] = {symmetric ? nullptr : TileZeros(weight, tiles[0], group),
                                            symmetric ? nullptr : TileZeros(weight, tiles[1], group)};
    for (; block < group_end; ++piece) {
      __m512i sums[sizeof...(kRow)][kTiles];
      (StartRow<kBits>(zeros, x.minus_sums[kRow * x.groups + piece], sums[kRow]), ...);
      for (const int64_t end = std::min(group_end, block + kActivationBlocks); block < end; ++block) {
        AddBlock<kBits>(blocks, inputs, x.stride, sums, rows, FourNumbers());
        blocks[0] += BlockBytes(kBits);
        blocks[1] += BlockBytes(kBits);
        inputs += kBlockInputs;
      }
      (FinishRow(sums[kRow], scales, x.scales[kRow * x.groups + piece], totals[kRow]), ...);
    }
  }
  for (int t = 0; t < kTiles; ++t) {
    const int64_t first = tiles[t] * kTileOutputs, outputs = std::min(kTileOutputs, weight.out_features - first);
    const auto mask = static_cast<__mmask16>((1u << outputs) - 1);
    (_mm512_mask_storeu_ps(tile.y + kRow * weight.out_features + first, mask,
                           t == 0 ? totals[kRow][0] : totals[kRow][1]),
     ...);
  }
}

template <int kBits, int kRows>
ECLD_TARGET void Multiply(const Int8Tile& tile) {
  MultiplyRows<kBits>(tile, std::make_integer_sequence<int, kRows>());
}

template <int kBits>
constexpr std::array kByRows = {Multiply<kBits, 1>, Multiply<kBits, 2>, Multiply<kBits, 3>,
                                Multiply<kBits, 4>, Multiply<kBits, 5>, Multiply<kBits, 6>};
static_assert(kByRows<4>.size() == kMaxRows);

void MultiplyOf(const Int8Tile& tile) {
  const auto rows = static_cast<size_t>(tile.rows - 1);
  switch (tile.weight.format.bits) {
    case 2:
      return kByRows<2>[rows](tile);
    case 3:
      return kByRows<3>[rows](tile);
    case 4:
      return kByRows<4>[rows](tile);
    default:
      return kByRows<8>[rows](tile);
  }
}

constexpr Int8Kernels kKernels = {.rows = kMaxRows, .tiles = kTiles, .quantize = Quantize, .multiply = MultiplyOf};

}  // namespace

bool GemmInt8Avx512Supports(const GemmArgs& args) {
  return GemmInt8Supports(args) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

void GemmInt8Avx512(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch) {
  GemmInt8(kKernels, products, pool, scratch);
}

}  // namespace ecld

#endif
