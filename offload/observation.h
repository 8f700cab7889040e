#pragma once
// What a learned policy sees of a request that waits, as numbers in a fixed order, and what its choices are: the
// variants of the device, then the servers. All of it is in the question that every policy is asked (decide.h). The
// same in training and after it.

#include <algorithm>
#include <cstdint>
#include <span>

#include "offload/decide.h"

namespace ecld::offload {

struct DecisionShape {
  size_t variants = 1;  // that a device may hold, at most
  size_t servers = 0;

  size_t choices() const { return variants + servers; }
  size_t observed() const;
  bool operator==(const DecisionShape&) const = default;
};

// joined: [servers], how many of this moment's requests go to each so far. observation: [observed]; allowed: [choices],
// 1 for what the device has and where a link is.
void ObserveRequest(const Pending& pending, const State& state, std::span<const int64_t> joined, DecisionShape shape,
                    std::span<float> observation, std::span<uint8_t> allowed);

Decision DecisionOf(size_t choice, DecisionShape shape);

// A number as networks see it: in standard deviations from its mean, and what is beyond kFar as far as that.
inline constexpr float kFar = 10;
inline float Scaled(float observed, float mean, float scale) {
  return std::clamp((observed - mean) * scale, -kFar, kFar);
}

// The likeliest of the choices that are allowed, of equal ones the first. REQUIRES: one is.
size_t BestChoice(std::span<const float> logits, std::span<const uint8_t> allowed);

}  // namespace ecld::offload
