#pragma once
// What the arithmetic units of this CPU can do at most: loops of independent multiply-adds in registers, without
// memory. The other half of a roof, besides the rate at which memory is read (measure/roof.h times both).

#include <cstdint>
#include <span>

namespace ecld {

enum class Arithmetic { kFloat32, kBf16Pairs, kInt8Fours };  // sums float32, float32 and int32

struct PeakLoop {
  Arithmetic arithmetic;
  bool (*supported)();                    // by this CPU
  int64_t operations;                     // of a round; a multiply-add is two
  void (*run)(int64_t rounds, void* to);  // to: 64 bytes for what came out
};

// For each arithmetic, the fastest instruction set first.
std::span<const PeakLoop> PeakLoops();

}  // namespace ecld
