#include "checkpoint/rope.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "checkpoint/config.h"
#include "tests/testing/near.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using enum RopeScaling::Kind;

ModelConfig Config(RopeScaling scaling) {
  ModelConfig config;
  config.head_dim = 128;
  config.max_position = 4096;
  config.rope_theta = 500000;
  config.rope_scaling = scaling;
  return config;
}

std::vector<float> Frequencies(RopeScaling scaling, int64_t text_tok = 1) {
  return MakeRope(Config(scaling), text_tok).frequencies;
}

double Plain(double theta, int i) { return std::pow(theta, -i / 64.0); }

TEST(Rope, FallsGeometricallyFromOne) {
  std::vector<double> expected;
  for (int i = 0; i < 64; ++i) expected.push_back(Plain(500000, i));
  EXPECT_TRUE(Near(Frequencies({}), expected, {.max_abs = 1e-7}));
}

TEST(Rope, LinearDividesAll) {
  const auto plain = Frequencies({});
  const auto scaled = Frequencies({.kind = kLinear, .factor = 4});
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_FLOAT_EQ(scaled[i], plain[i] / 4);
}

// The values of Llama 3.1: factor 8, low 1, high 4, 8192 positions in training.
TEST(Rope, Llama3KeepsShortWavelengthsAndDividesLongOnes) {
  const auto plain = Frequencies({});
  const auto scaled = Frequencies({.kind = kLlama3, .factor = 8});
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

// The paper's rule: a pair that turns r times in the original length keeps its frequency for r > beta_fast, is divided
// for r < beta_slow. Its ramp is over pair numbers: (i - low) / (high - low), at the bounds' own pairs.
TEST(Rope, YarnDividesWhatTurnsSeldom) {
  RopeScaling scaling{.kind = kYarn, .factor = 4, .original_max_position = 8192, .truncate = false};
  const auto scaled = Frequencies(scaling);
  const auto pair = [](double turns) {
    return 64 * std::log(8192 / (2 * std::numbers::pi * turns)) / std::log(500000.0);
  };
  std::vector<double> expected, truncated;
  for (int i = 0; i < 64; ++i) {
    const auto blend = [&](double low, double high) {
      const double divided = std::clamp((i - low) / (high - low), 0.0, 1.0);
      return Plain(500000, i) * (1 - divided + divided / 4);
    };
    expected.push_back(blend(pair(32), pair(1)));
    truncated.push_back(blend(std::floor(pair(32)), std::ceil(pair(1))));
    EXPECT_NEAR(8192 * Plain(500000, i) / (2 * std::numbers::pi), std::pow(500000.0, (pair(1) - i) / 64), 1e-6 * 8192);
  }
  EXPECT_TRUE(Near(scaled, expected, {.max_abs = 1e-6}));
  EXPECT_FLOAT_EQ(scaled.front(), 1);
  EXPECT_NEAR(scaled.back(), Plain(500000, 63) / 4, 1e-12);
  scaling.truncate = true;
  EXPECT_TRUE(Near(Frequencies(scaling), truncated, {.max_abs = 1e-6}));
  scaling.beta_fast = scaling.beta_slow = 1;  // one pair at both bounds when not rounded: a step
  scaling.truncate = false;
  const auto step = Frequencies(scaling);
  for (int i = 0; i < 64; ++i)
    EXPECT_NEAR(step[static_cast<size_t>(i)], Plain(500000, i) / (i > pair(1) ? 4 : 1), 1e-6) << i;
}

TEST(Rope, DynamicGrowsThetaWithTheLengthOfTheText) {
  const RopeScaling scaling{.kind = kDynamic, .factor = 2};
  EXPECT_EQ(Frequencies(scaling, 1), Frequencies({}));
  EXPECT_EQ(Frequencies(scaling, 4096), Frequencies({}));
  for (int64_t text_tok : {4097, 8192, 20000}) {
    const double stretch = 2.0 * static_cast<double>(text_tok) / 4096 - 1;
    const double theta = 500000 * std::pow(stretch, 128.0 / 126);
    std::vector<double> expected;
    for (int i = 0; i < 64; ++i) expected.push_back(Plain(theta, i));
    EXPECT_TRUE(Near(Frequencies(scaling, text_tok), expected, {.max_abs = 1e-6}));
    // The slowest pair is slowed by all of it, as if positions were divided.
    EXPECT_NEAR(expected.back(), Plain(500000, 63) / stretch, 1e-12);
  }
}

TEST(Rope, LongRopeHasADivisorForEachPair) {
  RopeScaling scaling{.kind = kLongRope, .original_max_position = 1000, .attention_factor = 1.25};
  for (int i = 0; i < 64; ++i) {
    scaling.short_factor.push_back(1 + 0.01 * i);
    scaling.long_factor.push_back(2 + 0.5 * i);
  }
  for (int64_t text_tok : {1, 1000, 1001}) {
    const Rope rope = MakeRope(Config(scaling), text_tok);
    EXPECT_EQ(rope.attention_factor, 1.25f);
    const auto& divisors = text_tok > 1000 ? scaling.long_factor : scaling.short_factor;
    std::vector<double> expected;
    for (int i = 0; i < 64; ++i) expected.push_back(Plain(500000, i) / divisors[static_cast<size_t>(i)]);
    EXPECT_TRUE(Near(rope.frequencies, expected, {.max_abs = 1e-7}));
  }
}

TEST(Rope, AFactorOfOneChangesNothing) {
  const std::vector<double> ones(64, 1.0);
  for (const RopeScaling& scaling :
       {RopeScaling{.kind = kLinear}, RopeScaling{.kind = kLlama3}, RopeScaling{.kind = kYarn},
        RopeScaling{.kind = kDynamic}, RopeScaling{.kind = kLongRope, .short_factor = ones, .long_factor = ones}})
    for (int64_t text_tok : {1, 4096})
      EXPECT_TRUE(Near(Frequencies(scaling, text_tok), Frequencies({}), {.max_abs = 1e-7})) << Name(scaling.kind);
}

TEST(Rope, AttentionFactorScalesBothSineAndCosine) {
  const Rope rope{.frequencies = {0.5f}, .attention_factor = 2};
  std::vector<float> cosine, sine;
  AppendRotation(rope, 3, &cosine, &sine);
  EXPECT_FLOAT_EQ(cosine[0], 2 * std::cos(1.5f));
  EXPECT_FLOAT_EQ(sine[0], 2 * std::sin(1.5f));
}

TEST(Rope, EqualRopeLengthsHaveEqualFrequencies) {
  for (RopeScaling::Kind kind : {kNone, kLinear, kLlama3, kYarn, kDynamic, kLongRope}) {
    const Json json = TinyConfigJson({.rope_scaling = kind, .max_position = 128});
    const ModelConfig config = ParseConfig(json, "tiny");
    for (int64_t a : {1, 63, 64, 65, 127, 128, 129, 200})
      for (int64_t b : {1, 64, 65, 128, 129, 200}) {
        const bool equal = MakeRope(config, a).frequencies == MakeRope(config, b).frequencies;
        EXPECT_EQ(RopeLength(config, a) == RopeLength(config, b), equal) << Name(kind) << " " << a << " " << b;
      }
  }
}

TEST(Rope, LongestTextIsWhatTheScalingReaches) {
  const auto longest = [](RopeScaling scaling) { return LongestText(Config(scaling)); };
  EXPECT_EQ(longest({}), 4096);
  EXPECT_EQ(longest({.kind = kLinear, .factor = 4}), 16384);
  EXPECT_EQ(longest({.kind = kDynamic, .factor = 2.5}), 10240);
  EXPECT_EQ(longest({.kind = kLlama3, .factor = 8}), 4096) << "its max_position is the length it reaches";
  EXPECT_EQ(longest({.kind = kYarn, .factor = 4, .original_max_position = 4096}), 16384) << "as model cards write it";
  EXPECT_EQ(longest({.kind = kYarn, .factor = 4, .original_max_position = 1024}), 4096);
  EXPECT_EQ(longest({.kind = kLinear, .factor = 1e20}), 2147483647);
}

}  // namespace
}  // namespace ecld
