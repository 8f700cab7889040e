#pragma once
// What may happen to hidden states on their way from one device to another, where a model is cut between two blocks.
// Seeded, so that a run repeats.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/random.h"
#include "runtime/session.h"

namespace ecld {

enum class Corruption {
  kDropout,  // an element is lost, and zero at the receiver, with probability `level`
  kAwgn,     // white Gaussian noise; `level` is its standard deviation over the root mean square of the row
  kBitflip,  // elements are sent as float16, each bit turns with probability `level`; what is not finite then is zero
  kQuant4,   // sent in 4 bits, symmetric, to nearest; `level` elements share a scale (float32), 0: a row
  kQuant8,   // the same in 8 bits
};

inline constexpr Corruption kCorruptions[] = {Corruption::kDropout, Corruption::kAwgn, Corruption::kBitflip,
                                              Corruption::kQuant4, Corruption::kQuant8};

std::string_view Name(Corruption corruption);  // as in split_quality.csv

class CorruptingChannel final : public HiddenChannel {
 public:
  // REQUIRES: level of a probability in [0, 1], else at least 0.
  CorruptingChannel(Corruption corruption, double level, uint64_t seed)
      : corruption_(corruption), level_(level), random_(seed) {}

  void Pass(std::span<float> hidden, int64_t width) override;

 private:
  void FlipBits(std::span<float> values);

  Corruption corruption_;
  double level_;
  Random random_;
};

}  // namespace ecld
