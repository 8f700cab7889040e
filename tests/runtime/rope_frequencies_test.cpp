#include "runtime/rope_frequencies.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "tests/testing/near.h"

namespace ecld {
namespace {

ModelConfig Config(RopeScaling scaling) {
  ModelConfig config;
  config.head_dim = 128;
  config.rope_theta = 500000;
  config.rope_scaling = scaling;
  return config;
}

TEST(RopeFrequencies, FallGeometricallyFromOne) {
  const std::vector<float> frequencies = RopeFrequencies(Config({}));
  std::vector<double> expected;
  for (int i = 0; i < 64; ++i) expected.push_back(std::pow(500000.0, -i / 64.0));
  EXPECT_TRUE(Near(frequencies, expected, {.max_abs = 1e-7}));
}

TEST(RopeFrequencies, LinearDividesAll) {
  const auto plain = RopeFrequencies(Config({}));
  const auto scaled = RopeFrequencies(Config({.kind = RopeScaling::Kind::kLinear, .factor = 4}));
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_FLOAT_EQ(scaled[i], plain[i] / 4);
}

// The values of Llama 3.1: factor 8, low 1, high 4, 8192 positions in training.
TEST(RopeFrequencies, Llama3KeepsShortWavelengthsAndDividesLongOnes) {
  const auto plain = RopeFrequencies(Config({}));
  const auto scaled = RopeFrequencies(Config({.kind = RopeScaling::Kind::kLlama3, .factor = 8}));
  int kept = 0, divided = 0, blended = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    const double wavelength = 2 * std::numbers::pi / plain[i];
    if (wavelength < 8192.0 / 4) {
      EXPECT_EQ(scaled[i], plain[i]);
      ++kept;
    } else if (wavelength > 8192.0) {
      EXPECT_FLOAT_EQ(scaled[i], plain[i] / 8);
      ++divided;
    } else {
      const double smooth = (8192 / wavelength - 1) / 3;
      EXPECT_NEAR(scaled[i] / plain[i], (1 - smooth) / 8 + smooth, 1e-6);
      ++blended;
    }
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(divided, 0);
  EXPECT_GT(blended, 0);
}

}  // namespace
}  // namespace ecld
