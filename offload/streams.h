#pragma once
// A stream of random numbers for each thing that draws any, so that what one of them does changes nothing of another's:
// two policies meet the same arrivals, the same questions and the same weather (common random numbers).

#include <cmath>
#include <cstdint>

#include "core/random.h"

namespace ecld::offload {

enum class Draws : uint64_t { kArrivals = 1, kItems, kChoices, kPlaces, kFading, kRegimes };

// The stream of entity number a (of a pair: and b) for a purpose.
inline Random StreamOf(uint64_t seed, Draws what, uint64_t a, uint64_t b = 0) {
  uint64_t mixed = seed;
  for (const uint64_t part : {static_cast<uint64_t>(what), a, b}) mixed = Random(mixed ^ part).Next();
  return Random(mixed);
}

// Exponential of this mean. The logarithm's argument is never 0.
inline double Exponential(Random& random, double mean) { return -mean * std::log(1.0 - random.Uniform()); }

}  // namespace ecld::offload
