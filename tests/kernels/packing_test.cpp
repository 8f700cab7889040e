#include "kernels/packing/packing.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "core/random.h"

namespace ecld {
namespace {

std::vector<uint8_t> RandomCodes(int bits, int64_t count, Random& random) {
  std::vector<uint8_t> codes(count);
  for (auto& code : codes) code = static_cast<uint8_t>(random.Below(1u << bits));
  return codes;
}

std::vector<uint32_t> Packed(int bits, const std::vector<uint8_t>& codes) {
  std::vector<uint32_t> words((codes.size() * bits + 31) / 32, 0xdeadbeefu);
  PackBits(bits, codes.data(), static_cast<int64_t>(codes.size()), words.data());
  return words;
}

TEST(Packing, UnpackInvertsPackForEveryWidthLengthAndStride) {
  Random random(1);
  for (int bits : {1, 2, 3, 4, 5, 6, 7, 8})
    for (int64_t count = 0; count <= 100; ++count)
      for (int64_t stride : {1, 3}) {
        auto codes = RandomCodes(bits, count, random);
        std::vector<uint32_t> words((count * bits + 31) / 32 * stride, 0xdeadbeefu);
        PackBits(bits, codes.data(), count, words.data(), stride);
        std::vector<uint8_t> back(count, 0xee);
        UnpackBits(bits, words.data(), 0, count, back.data(), stride);
        ASSERT_EQ(back, codes) << bits << " bits, " << count << " codes, stride " << stride;
        for (size_t i = 0; i < words.size(); ++i)
          if (i % stride != 0) {
            ASSERT_EQ(words[i], 0xdeadbeefu) << "wrote between the strides";
          }
      }
}

TEST(Packing, UnpackStartsAnywhere) {
  Random random(2);
  for (int bits : {2, 3, 4, 5, 6, 8}) {
    auto codes = RandomCodes(bits, 97, random);
    auto words = Packed(bits, codes);
    for (int64_t first = 0; first < 97; ++first)
      for (int64_t count : {int64_t{0}, int64_t{1}, 97 - first}) {
        std::vector<uint8_t> back(count);
        UnpackBits(bits, words.data(), first, count, back.data());
        ASSERT_EQ(back, std::vector<uint8_t>(codes.begin() + first, codes.begin() + first + count));
      }
  }
}

TEST(Packing, UnpackReadsUnalignedWords) {
  Random random(3);
  auto codes = RandomCodes(3, 64, random);
  auto words = Packed(3, codes);
  std::vector<std::byte> shifted(words.size() * 4 + 1);
  std::memcpy(shifted.data() + 1, words.data(), words.size() * 4);
  std::vector<uint8_t> back(codes.size());
  UnpackBits(3, shifted.data() + 1, 0, static_cast<int64_t>(codes.size()), back.data());
  EXPECT_EQ(back, codes);
}

TEST(Packing, UnusedHighBitsAreZero) {
  EXPECT_EQ(Packed(3, {7, 7, 7}), (std::vector<uint32_t>{0x1ff}));
  EXPECT_EQ(Packed(4, {15}), (std::vector<uint32_t>{0xf}));
}

// Words written by compressed-tensors 0.18 for these codes.
TEST(Packing, GoldenWords) {
  auto unsigned_codes = [](std::vector<int> q, int bits) {
    std::vector<uint8_t> codes;
    for (int value : q) codes.push_back(static_cast<uint8_t>(value + (1 << (bits - 1))));
    return codes;
  };
  EXPECT_EQ(Packed(4, unsigned_codes({-8, -7, -1, 0, 1, 2, 6, 7}, 4)), (std::vector<uint32_t>{0xfea98710}));
  EXPECT_EQ(Packed(4, unsigned_codes(std::vector<int>(8, 0), 4)), (std::vector<uint32_t>{0x88888888}));
  EXPECT_EQ(Packed(8, unsigned_codes({-128, -1, 0, 127}, 8)), (std::vector<uint32_t>{0xff807f00}));
  std::vector<uint8_t> ramp(32);
  for (size_t i = 0; i < ramp.size(); ++i) ramp[i] = i % 8;
  EXPECT_EQ(Packed(3, ramp), (std::vector<uint32_t>{0x88fac688, 0xc688fac6, 0xfac688fa}));
}

}  // namespace
}  // namespace ecld
