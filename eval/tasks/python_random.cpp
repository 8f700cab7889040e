#include "eval/tasks/python_random.h"

#include <bit>
#include <cassert>
#include <cmath>
#include <numeric>
#include <set>

namespace ecld {

PythonRandom::PythonRandom(uint32_t seed) {
  constexpr uint32_t kSize = 624;
  state_[0] = 19650218u;
  for (uint32_t i = 1; i < kSize; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
  // init_by_array with the one word of the seed.
  uint32_t i = 1;
  const auto step = [&] {
    if (++i < kSize) return;
    state_[0] = state_[kSize - 1];
    i = 1;
  };
  for (uint32_t k = 0; k < kSize; ++k) {
    state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1664525u)) + seed;
    step();
  }
  for (uint32_t k = 1; k < kSize; ++k) {
    state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1566083941u)) - i;
    step();
  }
  state_[0] = 0x80000000u;
}

uint32_t PythonRandom::Next() {
  if (at_ == state_.size()) {
    for (size_t i = 0; i < state_.size(); ++i) {
      const uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % 624] & 0x7fffffffu);
      state_[i] = state_[(i + 397) % 624] ^ (y >> 1) ^ ((y & 1u) * 0x9908b0dfu);
    }
    at_ = 0;
  }
  uint32_t y = state_[at_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

double PythonRandom::Uniform() {
  const uint32_t high = Next() >> 5, low = Next() >> 6;
  return (high * 67108864.0 + low) * 0x1p-53;
}

uint64_t PythonRandom::Below(uint64_t bound) {
  assert(bound > 0 && bound < (uint64_t{1} << 32));
  const int bits = std::bit_width(bound);
  while (true)
    if (const uint64_t drawn = Next() >> (32 - bits); drawn < bound) return drawn;
}

std::vector<size_t> PythonRandom::Sample(size_t population, size_t count) {
  assert(count <= population);
  double set_size = 21;
  if (count > 5) set_size += std::pow(4, std::ceil(std::log(static_cast<double>(count) * 3) / std::log(4.0)));
  std::vector<size_t> drawn;
  if (static_cast<double>(population) <= set_size) {
    std::vector<size_t> pool(population);
    std::iota(pool.begin(), pool.end(), size_t{0});
    for (size_t i = 0; i < count; ++i) {
      const size_t at = Below(population - i);
      drawn.push_back(pool[at]);
      pool[at] = pool[population - i - 1];
    }
    return drawn;
  }
  std::set<size_t> seen;
  while (drawn.size() < count)
    if (const size_t index = Below(population); seen.insert(index).second) drawn.push_back(index);
  return drawn;
}

}  // namespace ecld
