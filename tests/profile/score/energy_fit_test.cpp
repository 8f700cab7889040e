#include "profile/score/energy_fit.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/random.h"
#include "tests/profile/small_profile.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

// Prompts and steps of a device with these coefficients, each off by a factor of exp(noise * normal).
std::vector<EnergyPoint> Points(const EnergyCoefficients& c, size_t count, double noise) {
  Random random(3);
  std::vector<EnergyPoint> points;
  for (size_t i = 0; i < count; ++i) {
    EnergyPoint point{.seconds = 0.01 * double(1 + random.Below(100)),
                      .bytes = 1e8 * double(1 + random.Below(20)),
                      .ops = 1e9 * double(1 + random.Below(500))};
    point.joules = c.static_W * point.seconds + c.J_per_B * point.bytes + c.J_per_op * point.ops;
    point.joules *= std::exp(noise * random.Normal());
    points.push_back(point);
  }
  return points;
}

std::array<double, 3> Of(const EnergyCoefficients& c) { return {c.static_W, c.J_per_B, c.J_per_op}; }

TEST(FitEnergy, FindsTheCoefficientsThatMadeThePoints) {
  for (const EnergyCoefficients& truth : {EnergyCoefficients{.static_W = 3, .J_per_B = 2e-10, .J_per_op = 5e-12},
                                          {.static_W = 0, .J_per_B = 2e-10, .J_per_op = 5e-12},
                                          {.static_W = 3, .J_per_B = 0, .J_per_op = 0}}) {
    const auto fit = FitEnergy(Points(truth, 8, 0));
    ASSERT_TRUE(fit);
    const auto found = Of(*fit), wanted = Of(truth);
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-9 * wanted[i] + 1e-20) << i;
    EXPECT_LT(fit->error_frac, 1e-9);
  }
}

TEST(FitEnergy, ItsErrorIsThatOfPointsLeftOut) {
  const EnergyCoefficients truth{.static_W = 3, .J_per_B = 2e-10, .J_per_op = 5e-12};
  const auto fit = FitEnergy(Points(truth, 200, 0.1));
  // The mean of |exp(x) - 1| for a normal x of deviation 0.1 is about 0.08.
  EXPECT_GT(fit->error_frac, 0.06);
  EXPECT_LT(fit->error_frac, 0.11);
  EXPECT_TRUE(Near(std::array{fit->static_W}, std::array{3.0}, Relative(0.1)));
}

TEST(FitEnergy, NoCoefficientIsBelowZero) {
  std::vector<EnergyPoint> points = Points({.static_W = 3, .J_per_B = 0, .J_per_op = 5e-12}, 30, 0);
  for (EnergyPoint& point : points) point.joules -= 1e-11 * point.bytes;  // as if reading gave energy
  const auto fit = FitEnergy(points);
  for (double coefficient : Of(*fit)) EXPECT_GE(coefficient, 0);
  EXPECT_EQ(fit->J_per_B, 0);
}

TEST(FitEnergy, AFewPointsSayNothing) {
  EXPECT_FALSE(FitEnergy(Points({.static_W = 3}, kFewestEnergyPoints - 1, 0)));
  EXPECT_TRUE(FitEnergy(Points({.static_W = 3}, kFewestEnergyPoints, 0)));
}

TEST(MeasuredEnergy, TakesBytesAndOperationsFromTheLayersOfTheShape) {
  DeviceProfile profile = SmallProfile();  // 1000 bytes of weights, 128 a token of cache; layers of a prompt of 16
  Table phase(FindTableSchema("phase", "test"));
  AddPhase(phase, 1, 16, 10);
  phase.Set("prefill_J", 0.5);
  phase.Set("decode_J_per_tok", 0.1);
  phase.Set("idle_sub_J", int64_t{0});
  AddPhase(phase, 1, 64, 50);  // not measured
  const std::vector<EnergyPoint> points = MeasuredEnergy(With(profile, phase));
  ASSERT_EQ(points.size(), 1u) << "no layers are there for a step";
  EXPECT_EQ(points[0].seconds, 0.01);
  EXPECT_EQ(points[0].joules, 0.5);
  EXPECT_EQ(points[0].bytes, 1000 + 16 * 128);
  profile.variant["arch"]["tie_embeddings"] = false;
  EXPECT_EQ(MeasuredEnergy(With(profile, phase))[0].bytes, 1000 - 400 + 16 * 128);
  phase.Set("src", std::string("r"));
  AddPhase(phase, 1, 16, 10);
  phase.Set("prefill_J", 0.5);
  phase.Set("src", std::string("r"));
  phase.Set("idle_sub_J", int64_t{0});
  EXPECT_EQ(MeasuredEnergy(With(profile, phase)).size(), 1u) << "a modelled row proves nothing";
}

}  // namespace
}  // namespace ecld
