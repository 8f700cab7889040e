#include "core/word_sum.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <vector>

namespace ecld {
namespace {

using Words = uint64_t __attribute__((vector_size(64)));

constexpr size_t kPieceBytes = 1 << 20;

// Mixes what is folded so far with one more number; the order matters.
uint64_t Fold(uint64_t sum, uint64_t number) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
  return std::rotl((sum ^ number) * kOdd, 29);
}

uint64_t SumPiece(std::span<const std::byte> bytes) {
  Words once = {}, twice = {};
  for (size_t i = 0; i < bytes.size(); i += sizeof(Words)) {
    Words words;
    std::memcpy(&words, bytes.data() + i, sizeof(words));
    once += words;
    twice += once;
  }
  uint64_t sum = bytes.size();
  for (int lane = 0; lane < 8; ++lane) sum = Fold(Fold(sum, once[lane]), twice[lane]);
  return sum;
}

}  // namespace

uint64_t WordSum(std::span<const std::byte> bytes, ThreadPool& pool) {
  assert(bytes.size() % sizeof(Words) == 0);
  std::vector<uint64_t> sums((bytes.size() + kPieceBytes - 1) / kPieceBytes);
  pool.ParallelFor(static_cast<int64_t>(sums.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      sums[i] = SumPiece(bytes.subspan(i * kPieceBytes, std::min(kPieceBytes, bytes.size() - i * kPieceBytes)));
  });
  uint64_t sum = bytes.size();
  for (uint64_t piece : sums) sum = Fold(sum, piece);
  return sum;
}

}  // namespace ecld
