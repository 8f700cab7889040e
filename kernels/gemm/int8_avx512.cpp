// The product with 8-bit activations for AVX-512 with VNNI; see int8_tiled.h. A lane is an output: one instruction
// multiplies four inputs' codes of sixteen outputs with four activations that are the same for all lanes. Codes are
// unpacked in registers, for eight rows at once, so nothing is unpacked ahead even for long prompts.

#if defined(__x86_64__)

#include <array>
#include <cstring>
#include <utility>

#include "kernels/gemm/int8_tiled.h"
#include "kernels/simd/avx512_intrinsics.h"

#define ECLD_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define ECLD_INLINE ECLD_TARGET inline __attribute__((always_inline))

namespace ecld {
namespace {

constexpr int kMaxRows = kMaxInt8Rows;  // more would share the unpacking further, but not leave their sums in registers

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

// The codes of inputs 4 * kFour .. of all lanes, a byte each.
template <int kBits, int kFour>
ECLD_INLINE __m512i Codes(const std::byte* block) {
  constexpr int kVector = kFour % kVectors<kBits>, kPlace = kFour / kVectors<kBits>;
  const __m512i low = _mm512_loadu_si512(block + 64 * kVector);
  if constexpr (kBits == 8) {
    return low;
  } else if constexpr (kBits == 3 || kBits > 4) {
    constexpr int kLowBits = kBits == 3 ? 2 : 4, kHighVectors = kBits - kLowBits;
    const __m512i high = _mm512_loadu_si512(block + 64 * (kVectors<kBits> + kFour % kHighVectors));
    constexpr int kUp = kLowBits - kFour / kHighVectors * kHighVectors;  // from where the high bits lie to their place
    const __m512i moved = kUp > 0 ? _mm512_slli_epi16(high, kUp & 7) : _mm512_srli_epi16(high, -kUp & 7);
    // The low bits from the one, the rest from the other.
    const __m512i mask = _mm512_set1_epi8((1 << kLowBits) - 1);
    const __m512i both = _mm512_ternarylogic_epi32(mask, _mm512_srli_epi16(low, kLowBits * kPlace), moved, 0xca);
    return _mm512_and_si512(both, _mm512_set1_epi8((1 << kBits) - 1));
  } else {
    return _mm512_and_si512(_mm512_srli_epi16(low, kBits * kPlace), _mm512_set1_epi8((1 << kBits) - 1));
  }
}

// Rows and fours are numbered at compile time, by sequences instead of loops: only then do compilers keep the sums in
// registers.
template <int... kRow>
using RowNumbers = std::integer_sequence<int, kRow...>;
using FourNumbers = std::make_integer_sequence<int, 8>;

// Rows are taken in threes: an address is one of three registers plus a small multiple of the stride.
struct RowPointers {
  const int8_t* threes[(kMaxRows + 2) / 3];
  int64_t stride;

  template <int kRow>
  ECLD_INLINE const int8_t* At(int offset) const {
    return threes[kRow / 3] + kRow % 3 * stride + offset;
  }
};

template <int kBits, int kFour, int... kRow>
ECLD_INLINE void AddFour(const std::byte* block, const RowPointers& x, __m512i* sums, RowNumbers<kRow...>) {
  const __m512i codes = Codes<kBits, kFour>(block);
  ((sums[kRow] = _mm512_dpbusd_epi32(sums[kRow], codes, Broadcast(x.At<kRow>(4 * kFour)))), ...);
}

// All that one vector holds, then the next.
template <int kBits, typename Rows, int... kIndex>
ECLD_INLINE void AddBlock(const std::byte* block, const RowPointers& x, __m512i* sums, Rows rows,
                          std::integer_sequence<int, kIndex...>) {
  constexpr int kFours = 8 / kVectors<kBits>;  // in a vector
  (AddFour<kBits, kIndex / kFours + kIndex % kFours * kVectors<kBits>>(block, x, sums, rows), ...);
}

// -zero * sum of the activations' codes, where an integer sum starts. zero: of the sixteen outputs, if asymmetric.
template <int kBits, bool kSymmetric>
ECLD_INLINE __m512i Start(__m512i zero, int32_t minus_sum) {
  const __m512i sum = _mm512_set1_epi32(minus_sum);
  return kSymmetric ? _mm512_slli_epi32(sum, kBits - 1) : _mm512_dpwssd_epi32(_mm512_setzero_si512(), zero, sum);
}

ECLD_INLINE __m512 Finish(__m512i sum, __m512 scale, float x_scale, __m512 total) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(scale, _mm512_set1_ps(x_scale)), total);
}

template <int kBits, bool kSymmetric, int... kRow>
ECLD_INLINE void MultiplyRows(const Int8Tile& tile, RowNumbers<kRow...> rows) {
  const WeightView& weight = tile.weight;
  const DType scale_dtype = weight.scale_dtype;
  const int64_t scale_step = kTileOutputs * static_cast<int64_t>(SizeOf(scale_dtype)), x_step = tile.x.group_stride;
  const int64_t group_bytes = GroupBlocks(weight) * BlockBytes(kBits);
  const std::byte* block = BlockAt(weight, tile.tile, 0);
  const std::byte* const end = block + Blocks(weight) * BlockBytes(kBits);
  const std::byte* scales = TileScales(weight, tile.tile, 0);
  const std::byte* zeros = kSymmetric ? nullptr : TileZeros(weight, tile.tile, 0);
  const float* x_scales = tile.x.scales;
  const int32_t* minus_sums = tile.x.minus_sums;
  RowPointers x{.threes = {tile.x.codes, tile.x.codes + 3 * tile.x.stride, tile.x.codes + 6 * tile.x.stride},
                .stride = tile.x.stride};
  __m512 totals[] = {(static_cast<void>(kRow), _mm512_setzero_ps())...};
  while (block < end) {
    const __m512 scale = LoadScales(scale_dtype, scales);
    const __m512i zero = kSymmetric ? _mm512_setzero_si512()
                                    : _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(zeros)));
    const std::byte* const group_end = std::min(end, block + group_bytes);
    do {
      __m512i sums[] = {Start<kBits, kSymmetric>(zero, minus_sums[kRow])...};
      const std::byte* const piece_end = std::min(group_end, block + kActivationBlocks * BlockBytes(kBits));
      do {
        FetchAhead<kBits>(block);
        AddBlock<kBits>(block, x, sums, rows, FourNumbers());
        block += BlockBytes(kBits);
#pragma GCC unroll 4
        for (const int8_t*& three : x.threes) three += kBlockInputs;
      } while (block < piece_end);
      ((totals[kRow] = Finish(sums[kRow], scale, x_scales[kRow], totals[kRow])), ...);
      x_scales += x_step;
      minus_sums += x_step;
    } while (block < group_end);
    scales += scale_step;
    if constexpr (!kSymmetric) zeros += kTileOutputs;
  }
  const auto mask = static_cast<__mmask16>((1u << TileWidth(tile)) - 1);
  (_mm512_mask_storeu_ps(tile.y + kRow * tile.y_stride, mask, totals[kRow]), ...);
}

template <int kBits, int kRows>
ECLD_TARGET void Multiply(const Int8Tile& tile) {
  if (tile.weight.format.symmetric) return MultiplyRows<kBits, true>(tile, std::make_integer_sequence<int, kRows>());
  MultiplyRows<kBits, false>(tile, std::make_integer_sequence<int, kRows>());
}

template <int kBits, int... kRow>
void ByRows(const Int8Tile& tile, RowNumbers<kRow...>) {
  constexpr std::array kFunctions = {Multiply<kBits, kRow + 1>...};
  kFunctions[static_cast<size_t>(tile.rows - 1)](tile);
}

void MultiplyOf(const Int8Tile& tile) {
  constexpr std::make_integer_sequence<int, kMaxRows> kRows;
  switch (tile.weight.format.bits) {
    case 2:
      return ByRows<2>(tile, kRows);
    case 3:
      return ByRows<3>(tile, kRows);
    case 4:
      return ByRows<4>(tile, kRows);
    case 5:
      return ByRows<5>(tile, kRows);
    case 6:
      return ByRows<6>(tile, kRows);
    default:
      return ByRows<8>(tile, kRows);
  }
}

constexpr Int8Kernels kKernels = {.rows = kMaxRows, .quantize = Quantize, .multiply = MultiplyOf};

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
