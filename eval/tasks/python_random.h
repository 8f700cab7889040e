#pragma once
// The random numbers of CPython's random.Random(seed), so that what lm-evaluation-harness draws (few-shot examples,
// bootstrap samples) is drawn here too: MT19937 (Matsumoto and Nishimura 1998) seeded by its init_by_array, and the
// algorithms of random(), sample() and choices() of CPython 3.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ecld {

class PythonRandom {
 public:
  explicit PythonRandom(uint32_t seed);

  double Uniform();                // random(): in [0, 1), 53 bits
  uint64_t Below(uint64_t bound);  // _randbelow. REQUIRES 0 < bound < 2^32
  // sample(range(population), count): distinct indices in the order drawn. REQUIRES count <= population < 2^32.
  std::vector<size_t> Sample(size_t population, size_t count);

 private:
  uint32_t Next();

  std::array<uint32_t, 624> state_;
  size_t at_ = 624;
};

}  // namespace ecld
