#pragma once
// What one lane of a warp computes by itself: 16-bit floats, and packed codes turned into operands. The same functions
// run in the CUDA kernels and in the tests on the CPU, where every code is tried.
//
// A "fragment" is what a lane holds of the 16 x 16 operand A of mma.sync.m16n8k16 (PTX manual, "Matrix Fragments for
// mma.m16n8k16 with floating point type"): eight values a0..a7, two to a register, the lower index in the low half.

#include <bit>
#include <cstdint>
#include <type_traits>

#include "core/dtype.h"

#if defined(__CUDACC__)
#define ECLD_LANE __host__ __device__ __forceinline__  // runs on both
#define ECLD_DEVICE __device__ __forceinline__         // a kernel's body; plain C++ for the tests' executor
#define ECLD_UNROLL _Pragma("unroll")
#else
#define ECLD_LANE inline
#define ECLD_DEVICE inline
#define ECLD_UNROLL
#endif

namespace ecld::cuda {

struct alignas(16) Words4 {
  uint32_t word[4];
};
struct alignas(8) Words2 {
  uint32_t word[2];
};

// Where value j (0..7) of a lane lies in the 16 x 16 operand A.
ECLD_LANE constexpr int FragmentRow(int lane, int j) { return lane / 4 + 8 * (j / 2 % 2); }
ECLD_LANE constexpr int FragmentColumn(int lane, int j) { return lane % 4 * 2 + j % 2 + 8 * (j / 4); }

ECLD_LANE float AsFloat(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}

ECLD_LANE uint32_t AsBits(float value) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(value);
#else
  return std::bit_cast<uint32_t>(value);
#endif
}

// The 16-bit float in the low half of bits, and back (to nearest, ties to even).
template <DType kType>
ECLD_LANE float ToFloat(uint32_t bits) {
  if constexpr (kType == DType::kBF16) return AsFloat(bits << 16);
#if defined(__CUDA_ARCH__)
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(static_cast<uint16_t>(bits)));
  return value;
#else
  return HalfToFloat(static_cast<uint16_t>(bits));
#endif
}

template <DType kType>
ECLD_LANE uint16_t FromFloat(float value) {
#if defined(__CUDA_ARCH__)
  uint16_t bits;
  if constexpr (kType == DType::kBF16)
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  else
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
#else
  return kType == DType::kBF16 ? FloatToBf16(value) : FloatToHalf(value);
#endif
}

// a - b for two 16-bit floats at once. bfloat16 as a fused multiply-add, which sm_80 has.
template <DType kType>
ECLD_LANE uint32_t Subtract2(uint32_t a, uint32_t b) {
#if defined(__CUDA_ARCH__)
  uint32_t difference;
  if constexpr (kType == DType::kBF16)
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(difference) : "r"(b), "r"(0xbf80bf80u), "r"(a));
  else
    asm("sub.f16x2 %0, %1, %2;" : "=r"(difference) : "r"(a), "r"(b));
  return difference;
#else
  const uint32_t low = FromFloat<kType>(ToFloat<kType>(a & 0xffffu) - ToFloat<kType>(b & 0xffffu));
  const uint32_t high = FromFloat<kType>(ToFloat<kType>(a >> 16) - ToFloat<kType>(b >> 16));
  return low | high << 16;
#endif
}

// Bytes of the eight in (a, b) chosen by the four nibbles of selector, lowest first: PTX's prmt.b32.
ECLD_LANE uint32_t Permute(uint32_t a, uint32_t b, uint32_t selector) {
#if defined(__CUDA_ARCH__)
  return __byte_perm(a, b, selector);
#else
  const uint64_t both = uint64_t{b} << 32 | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) result |= static_cast<uint32_t>(both >> ((selector >> 4 * i & 7) * 8) & 0xff) << 8 * i;
  return result;
#endif
}

// Unsigned codes become floats by taking their place in the mantissa of a power of two: 0x6400 | u is the half
// 1024 + u, 0x4300 | u the bfloat16 128 + u (up to 4 bits), 0x4b000000 | u the float 2^23 + u.

// The zero point of a row in the form in which Fragment subtracts it.
template <int kBits, DType kType>
ECLD_LANE uint32_t ZeroOperand(uint32_t zero) {
  if constexpr (kType == DType::kBF16 && kBits == 8) return AsBits(8388608.0f + static_cast<float>(zero));
  return (zero | (kType == DType::kBF16 ? 0x4300u : 0x6400u)) * 0x10001u;
}

// Codes of 2, 3 and 4 bits: those of a[2 pair] and a[2 pair + 1] in the two halves of a word. words: what the lane
// holds of a tile, in the order of gemm/cuda/layout.h. step and pair are known when compiled, once loops are unrolled.
template <int kBits>
ECLD_LANE uint32_t CodePair(const uint32_t* words, int step, int pair) {
  static_assert(kBits >= 2 && kBits <= 4);
  if constexpr (kBits == 4) return words[step] >> 4 * pair & 0x000f000fu;
  const uint32_t low = words[step / 2] >> (step % 2 * 8 + 2 * pair) & 0x00030003u;
  if constexpr (kBits == 2) return low;
  const int bit = 4 * step + pair;  // of the plane of third bits: moved to where they count 4
  return low | ((bit < 2 ? words[2] << (2 - bit) : words[2] >> (bit - 2)) & 0x00040004u);
}

// The codes of a lane for one 16 x 16 step -> fragment of (u - zero), exact. words: the kBits that it holds of a tile.
// zero: ZeroOperand of row lane / 4 and of row lane / 4 + 8.
template <int kBits, DType kType>
ECLD_LANE void Fragment(const uint32_t* words, int step, const uint32_t (&zero)[2], uint32_t (&a)[4]) {
  for (int pair = 0; pair < 4; ++pair) {
    const uint32_t minus = zero[pair % 2];
    if constexpr (kBits < 8) {
      const uint32_t magic = kType == DType::kBF16 ? 0x43004300u : 0x64006400u;
      a[pair] = Subtract2<kType>(CodePair<kBits>(words, step, pair) | magic, minus);
      continue;
    }
    const uint32_t bytes = words[step * 2 + pair / 2];
    if constexpr (kType == DType::kF16) {
      a[pair] = Subtract2<kType>(Permute(bytes, 0x64646464u, pair % 2 ? 0x4342u : 0x4140u), minus);
    } else {  // eight bits do not fit behind a power of two in a bfloat16, but their difference does
      const uint32_t low = Permute(bytes, 0x4b000000u, pair % 2 ? 0x7442u : 0x7440u);
      const uint32_t high = Permute(bytes, 0x4b000000u, pair % 2 ? 0x7443u : 0x7441u);
      a[pair] = Permute(AsBits(AsFloat(low) - AsFloat(minus)), AsBits(AsFloat(high) - AsFloat(minus)), 0x7632u);
    }
  }
}

// The same codes as floats u + kOffset, for kernels which subtract the offset and the zero point from a sum.
template <int kBits>
inline constexpr float kFloatOffset = kBits < 8 ? 128.0f : 0.0f;

template <int kBits>
ECLD_LANE void Floats(const uint32_t* words, int step, float (&f)[8]) {
  for (int pair = 0; pair < 4; ++pair) {
    if constexpr (kBits < 8) {
      const uint32_t both = CodePair<kBits>(words, step, pair) | 0x43004300u;
      f[2 * pair] = AsFloat(both << 16);
      f[2 * pair + 1] = AsFloat(both & 0xffff0000u);
    } else {
      const uint32_t bytes = words[step * 2 + pair / 2];
      f[2 * pair] = AsFloat(Permute(bytes, 0x4b000000u, pair % 2 ? 0x7442u : 0x7440u)) - 8388608.0f;
      f[2 * pair + 1] = AsFloat(Permute(bytes, 0x4b000000u, pair % 2 ? 0x7443u : 0x7441u)) - 8388608.0f;
    }
  }
}

// Bytes of the codes of a tile of 64 x 64 and of a slab of 16 x 64.
ECLD_LANE constexpr uint32_t TileBytes(int bits) { return 512 * static_cast<uint32_t>(bits); }
ECLD_LANE constexpr uint32_t SlabBytes(int bits) { return TileBytes(bits) / 4; }

// Where 16 bytes `chunk` of row `row` lie in rows of 128 bytes of shared memory whose chunks are exchanged so that the
// same chunk of 8 rows meets all banks. The 128-byte swizzle of the PTX manual, for memory that begins on 1024 bytes.
ECLD_LANE constexpr uint32_t Swizzle128(int row, int chunk) {
  return static_cast<uint32_t>(row * 128 + ((chunk ^ (row & 7)) * 16));
}

// The words that a lane holds of its slab of a tile: read(byte offset in the slab, Words4, Words2 or uint32_t to fill).
template <int kBits, class Read>
ECLD_LANE void ReadLane(int lane, const Read& read, uint32_t (&words)[kBits]) {
  if constexpr (kBits >= 4) {
    for (int part = 0; part < kBits / 4; ++part) {
      Words4 four;
      read(static_cast<uint32_t>((part * 32 + lane) * 16), four);
      for (int i = 0; i < 4; ++i) words[part * 4 + i] = four.word[i];
    }
  } else {
    Words2 two;
    read(static_cast<uint32_t>(lane * 8), two);
    words[0] = two.word[0];
    words[1] = two.word[1];
    if constexpr (kBits == 3) read(static_cast<uint32_t>(256 + lane * 4), words[2]);
  }
}

}  // namespace ecld::cuda
