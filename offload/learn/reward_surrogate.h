#pragma once
// What is expensive to measure, from few measurements: small networks fitted on some of the places foretell the others,
// and the next to be measured is the place on which they agree least (arXiv 2406.02616 has one network and all places).

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace ecld::offload {

struct SurrogateSettings {
  int64_t members = 5, hidden = 16;
  int64_t updates = 150;  // after each measurement
  double learning_rate = 1e-2;
};

using Place = std::array<double, 2>;

struct Foretold {
  double value = 0;   // measured, or the members' mean
  double spread = 0;  // their standard deviation; 0 where measured
  bool measured = false;
};

// measure(i): the value at places[i], called for so many of them (looks), each once: the four corners, then one after
// another. REQUIRES: looks of 4 or more, not above the number of places; places in both directions.
std::vector<Foretold> MeasureFew(std::span<const Place> places, size_t looks,
                                 const std::function<double(size_t)>& measure, uint64_t seed,
                                 const SurrogateSettings& settings = {});

}  // namespace ecld::offload
