// The product with 8-bit activations for AVX2; see int8_tiled.h and int8_avx512.cpp. Half a tile fills a vector. Codes
// of at most 4 bits times activations sum up in 16 bits without overflow over a block of 32 inputs (16 products of
// magnitude 15 * 127); of wider codes the lower 4 bits are taken, then the others.

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "kernels/gemm/int8_tiled.h"

#define ECLD_TARGET __attribute__((target("avx2,fma,f16c")))
#define ECLD_INLINE ECLD_TARGET inline __attribute__((always_inline))

namespace ecld {
namespace {

constexpr int kMaxRows = 2, kHalves = 2;  // 4 sums each of 16 bits, 32 bits and float, out of 16 registers

ECLD_INLINE __m256i Load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

ECLD_TARGET void Quantize(const float* x, int64_t blocks, int8_t* codes, float* scale, int32_t* minus_sum) {
  const int64_t count = blocks * kBlockInputs;
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i largest = _mm256_setzero_si256();
  for (int64_t i = 0; i < count; i += 8) largest = _mm256_max_epi32(largest, _mm256_and_si256(Load(x + i), magnitude));
  alignas(32) std::array<int32_t, 8> lanes;
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes.data()), largest);
  const ActivationScale rounding =
      ScaleOfActivations(static_cast<uint32_t>(*std::max_element(lanes.begin(), lanes.end())));
  *scale = rounding.scale;
  *minus_sum = 0;
  if (rounding.inverse == 0) {
    std::memset(codes, 0, static_cast<size_t>(count));
    return;
  }
  const __m256 inverse = _mm256_set1_ps(rounding.inverse);
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // packing works within halves
  __m256i sum = _mm256_setzero_si256();
  for (int64_t i = 0; i < count; i += kBlockInputs) {
    __m256i part[4];
    for (int p = 0; p < 4; ++p) {
      part[p] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + i + 8 * p), inverse));
      sum = _mm256_add_epi32(sum, part[p]);
    }
    const __m256i bytes =
        _mm256_packs_epi16(_mm256_packs_epi32(part[0], part[1]), _mm256_packs_epi32(part[2], part[3]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes + i), _mm256_permutevar8x32_epi32(bytes, order));
  }
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes.data()), sum);
  for (int32_t lane : lanes) *minus_sum -= lane;
}

ECLD_INLINE __m256 LoadScales(DType dtype, const std::byte* scales, int half) {
  if (dtype == DType::kF32) return _mm256_loadu_ps(reinterpret_cast<const float*>(scales) + 8 * half);
  const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales) + half);
  if (dtype == DType::kF16) return _mm256_cvtph_ps(narrow);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16));
}

ECLD_INLINE __m256i Broadcast(const int8_t* x) {
  int32_t four;
  std::memcpy(&four, x, 4);
  return _mm256_set1_epi32(four);
}

// The codes of inputs 4 * kFour .. of half a tile, a byte each, at most 4 bits of them: kHigh takes those above.
template <int kBits, int kFour, bool kHigh>
ECLD_INLINE __m256i Codes(const std::byte* block) {
  constexpr int kVector = kFour % kVectors<kBits>, kPlace = kFour / kVectors<kBits>;
  const __m256i low = Load(block + 64 * kVector);
  if constexpr (kBits == 8) {
    return _mm256_and_si256(_mm256_srli_epi16(low, kHigh ? 4 : 0), _mm256_set1_epi8(15));
  } else if constexpr (kBits > 4 && kHigh) {
    constexpr int kBitsHigh = kBits - 4;  // as many vectors of so many bits
    const __m256i high = Load(block + 64 * (4 + kFour % kBitsHigh));
    return _mm256_and_si256(_mm256_srli_epi16(high, kFour / kBitsHigh * kBitsHigh),
                            _mm256_set1_epi8((1 << kBitsHigh) - 1));
  } else if constexpr (kBits >= 4) {
    return _mm256_and_si256(_mm256_srli_epi16(low, 4 * kPlace), _mm256_set1_epi8(15));
  } else {
    const __m256i two = _mm256_and_si256(_mm256_srli_epi16(low, 2 * kPlace), _mm256_set1_epi8(3));
    if constexpr (kBits == 2) return two;
    const __m256i high = Load(block + 128);
    const __m256i one = kFour < 2 ? _mm256_slli_epi16(high, (2 - kFour) & 7) : _mm256_srli_epi16(high, (kFour - 2) & 7);
    return _mm256_or_si256(two, _mm256_and_si256(one, _mm256_set1_epi8(4)));
  }
}

// Rows and fours are numbered at compile time, as in int8_avx512.cpp.
template <int... kRow>
using RowNumbers = std::integer_sequence<int, kRow...>;
using FourNumbers = std::make_integer_sequence<int, 8>;

ECLD_INLINE void AddRow(const __m256i* codes, const int8_t* x, __m256i* narrow) {
  const __m256i inputs = Broadcast(x);
  narrow[0] = _mm256_add_epi16(narrow[0], _mm256_maddubs_epi16(codes[0], inputs));
  narrow[1] = _mm256_add_epi16(narrow[1], _mm256_maddubs_epi16(codes[1], inputs));
}

template <int kBits, bool kHigh, int kFour, int... kRow>
ECLD_INLINE void AddFour(const std::byte* block, const int8_t* x, int64_t stride, __m256i (*narrow)[kHalves],
                         RowNumbers<kRow...>) {
  const __m256i codes[kHalves] = {Codes<kBits, kFour, kHigh>(block), Codes<kBits, kFour, kHigh>(block + 32)};
  (AddRow(codes, x + kRow * stride + 4 * kFour, narrow[kRow]), ...);
}

ECLD_INLINE void Widen(const __m256i* narrow, __m256i weight, __m256i* sums) {
  sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(narrow[0], weight));
  sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(narrow[1], weight));
}

// Adds the block's dot products to sums; all that one vector holds, then the next.
template <int kBits, bool kHigh, int... kRow, int... kIndex>
ECLD_INLINE void AddBlock(const std::byte* block, const int8_t* x, int64_t stride, __m256i (*sums)[kHalves],
                          RowNumbers<kRow...> rows, std::integer_sequence<int, kIndex...>) {
  constexpr int kFours = 8 / kVectors<kBits>;  // in a vector
  const __m256i none = _mm256_setzero_si256();
  __m256i narrow[sizeof...(kRow)][kHalves] = {{(static_cast<void>(kRow), none), none}...};
  (AddFour<kBits, kHigh, kIndex / kFours + kIndex % kFours * kVectors<kBits>>(block, x, stride, narrow, rows), ...);
  const __m256i weight = _mm256_set1_epi16(kHigh ? 16 : 1);
  (Widen(narrow[kRow], weight, sums[kRow]), ...);
}

// -zero * sum of the activations' codes, where an integer sum starts.
template <int kBits>
ECLD_INLINE __m256i Start(const std::byte* zeros, int half, int32_t minus_sum) {
  const __m256i sum = _mm256_set1_epi32(minus_sum);
  if (!zeros) return _mm256_slli_epi32(sum, kBits - 1);
  const __m256i zero = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(zeros + 8 * half)));
  return _mm256_madd_epi16(zero, sum);
}

template <int kBits>
ECLD_INLINE void StartRow(const std::byte* zeros, int32_t minus_sum, __m256i* sums) {
  sums[0] = Start<kBits>(zeros, 0, minus_sum);
  sums[1] = Start<kBits>(zeros, 1, minus_sum);
}

ECLD_INLINE void FinishRow(const __m256i* sums, const __m256* scales, float x_scale, __m256* totals) {
  const __m256 scale = _mm256_set1_ps(x_scale);
  totals[0] = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[0]), scales[0]), scale, totals[0]);
  totals[1] = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums[1]), scales[1]), scale, totals[1]);
}

ECLD_INLINE void StoreRow(const __m256* totals, int64_t outputs, float* y) {
  std::array<float, kTileOutputs> lanes;
  _mm256_storeu_ps(lanes.data(), totals[0]);
  _mm256_storeu_ps(lanes.data() + 8, totals[1]);
  std::copy_n(lanes.begin(), outputs, y);
}

template <int kBits, int... kRow>
ECLD_INLINE void MultiplyRows(const Int8Tile& tile, RowNumbers<kRow...> rows) {
  const WeightView& weight = tile.weight;
  const Int8Activations x = tile.x;
  const int64_t all_blocks = Blocks(weight), group_blocks = GroupBlocks(weight);
  const int64_t scale_step = kTileOutputs * static_cast<int64_t>(SizeOf(weight.scale_dtype));
  const std::byte* scales_at = TileScales(weight, tile.tile, 0);
  const std::byte* zeros = weight.format.symmetric ? nullptr : TileZeros(weight, tile.tile, 0);
  const std::byte* codes = BlockAt(weight, tile.tile, 0);
  const DType scale_dtype = weight.scale_dtype;
  const int8_t* inputs = x.codes;
  __m256 totals[sizeof...(kRow)][kHalves] = {{(static_cast<void>(kRow), _mm256_setzero_ps()), _mm256_setzero_ps()}...};
  for (int64_t block = 0, piece = 0; block < all_blocks;) {
    const int64_t group_end = std::min(all_blocks, block + group_blocks);
    for (; block < group_end; ++piece) {
      __m256i sums[sizeof...(kRow)][kHalves];
      (StartRow<kBits>(zeros, x.minus_sums[piece * x.group_stride + kRow], sums[kRow]), ...);
      for (const int64_t end = std::min(group_end, block + kActivationBlocks); block < end; ++block) {
        FetchAhead<kBits>(codes);
        AddBlock<kBits, false>(codes, inputs, x.stride, sums, rows, FourNumbers());
        if constexpr (kBits > 4) AddBlock<kBits, true>(codes, inputs, x.stride, sums, rows, FourNumbers());
        codes += BlockBytes(kBits);
        inputs += kBlockInputs;
      }
      const __m256 scales[kHalves] = {LoadScales(scale_dtype, scales_at, 0), LoadScales(scale_dtype, scales_at, 1)};
      (FinishRow(sums[kRow], scales, x.scales[piece * x.group_stride + kRow], totals[kRow]), ...);
    }
    scales_at += scale_step;
    if (zeros) zeros += kTileOutputs;
  }
  (StoreRow(totals[kRow], TileWidth(tile), tile.y + kRow * tile.y_stride), ...);
}

template <int kBits, int kRows>
ECLD_TARGET void Multiply(const Int8Tile& tile) {
  MultiplyRows<kBits>(tile, std::make_integer_sequence<int, kRows>());
}

template <int kBits>
void ByRows(const Int8Tile& tile) {
  tile.rows == 1 ? Multiply<kBits, 1>(tile) : Multiply<kBits, kMaxRows>(tile);
}

void MultiplyOf(const Int8Tile& tile) {
  switch (tile.weight.format.bits) {
    case 2:
      return ByRows<2>(tile);
    case 3:
      return ByRows<3>(tile);
    case 4:
      return ByRows<4>(tile);
    case 5:
      return ByRows<5>(tile);
    case 6:
      return ByRows<6>(tile);
    default:
      return ByRows<8>(tile);
  }
}

constexpr Int8Kernels kKernels = {.rows = kMaxRows, .quantize = Quantize, .multiply = MultiplyOf};

}  // namespace

bool GemmInt8Avx2Supports(const GemmArgs& args) {
  return GemmInt8Supports(args) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

void GemmInt8Avx2(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch) {
  GemmInt8(kKernels, products, pool, scratch);
}

}  // namespace ecld

#endif
