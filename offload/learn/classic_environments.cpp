#include "offload/learn/classic_environments.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/random.h"

namespace ecld::offload {
namespace {

constexpr double kPi = std::numbers::pi;

// What all of them share: a shape, a stream of chance, episodes of at most so many steps.
class Classic : public Environment {
 public:
  Classic(Spaces spaces, int most_steps) : spaces_(std::move(spaces)), most_steps_(most_steps) {}

  const Spaces& spaces() const override { return spaces_; }
  void Seed(uint64_t seed) override { random_ = Random(seed); }
  void Begin() override {
    steps_ = 0;
    First();
  }
  Transition Step(std::span<const float> action, std::span<float>) override {
    Transition made = Move(action);
    made.truncated = ++steps_ >= most_steps_;
    return made;
  }

 protected:
  virtual void First() = 0;
  virtual Transition Move(std::span<const float> action) = 0;
  double Between(double low, double high) { return low + (high - low) * random_.Uniform(); }

  Random random_{0};

 private:
  Spaces spaces_;
  int most_steps_, steps_ = 0;
};

void Write(std::initializer_list<double> values, std::span<float> observation) {
  std::ranges::transform(values, observation.begin(), [](double value) { return static_cast<float>(value); });
}

class IdentityEnvironment : public Classic {
 public:
  explicit IdentityEnvironment(size_t choices) : Classic({.observed = choices, .choices = {choices}}, 100) {}

  void Observe(std::span<float> observation, std::span<uint8_t>) override {
    std::ranges::fill(observation, 0.0f);
    observation[state_] = 1;
  }

 private:
  void First() override { state_ = random_.Below(spaces().observed); }
  Transition Move(std::span<const float> action) override {
    const bool right = static_cast<size_t>(action[0]) == state_;
    First();
    return {.reward = right ? 1.0 : 0.0};
  }

  size_t state_ = 0;
};

class CartPoleEnvironment : public Classic {
 public:
  CartPoleEnvironment() : Classic({.observed = 4, .choices = {2}}, 500) {}

  void Observe(std::span<float> observation, std::span<uint8_t>) override {
    Write({state_.x, state_.v, state_.angle, state_.spin}, observation);
  }

 private:
  void First() override {
    for (double* each : {&state_.x, &state_.v, &state_.angle, &state_.spin}) *each = Between(-0.05, 0.05);
  }
  Transition Move(std::span<const float> action) override {
    state_ = CartPoleStep(state_, action[0] > 0.5f);
    return {.reward = 1, .terminated = std::abs(state_.x) > 2.4 || std::abs(state_.angle) > 12 * 2 * kPi / 360};
  }

  CartPoleState state_;
};

// Two links, of which the joint between them is driven; in the equations of Sutton and Barto's book.
class AcrobotEnvironment : public Classic {
 public:
  AcrobotEnvironment() : Classic({.observed = 6, .choices = {3}}, 500) {}

  void Observe(std::span<float> observation, std::span<uint8_t>) override {
    Write({std::cos(s_[0]), std::sin(s_[0]), std::cos(s_[1]), std::sin(s_[1]), s_[2], s_[3]}, observation);
  }

 private:
  using State = std::array<double, 4>;  // two angles, two angular speeds

  void First() override {
    for (double& each : s_) each = Between(-0.1, 0.1);
  }

  static State Change(const State& s, double torque) {
    constexpr double m = 1, l = 1, lc = 0.5, inertia = 1, g = 9.8;
    const double d1 = m * lc * lc + m * (l * l + lc * lc + 2 * l * lc * std::cos(s[1])) + 2 * inertia;
    const double d2 = m * (lc * lc + l * lc * std::cos(s[1])) + inertia;
    const double phi2 = m * lc * g * std::cos(s[0] + s[1] - kPi / 2);
    const double phi1 = -m * l * lc * s[3] * s[3] * std::sin(s[1]) - 2 * m * l * lc * s[3] * s[2] * std::sin(s[1]) +
                        (m * lc + m * l) * g * std::cos(s[0] - kPi / 2) + phi2;
    const double a2 = (torque + d2 / d1 * phi1 - m * l * lc * s[2] * s[2] * std::sin(s[1]) - phi2) /
                      (m * lc * lc + inertia - d2 * d2 / d1);
    return {s[2], s[3], -(d2 * a2 + phi1) / d1, a2};
  }

  Transition Move(std::span<const float> action) override {
    constexpr double kStep = 0.2;  // Runge and Kutta's fourth order
    const double torque = static_cast<double>(action[0]) - 1;
    const auto ahead = [&](const State& k, double by) {
      State moved = s_;
      for (size_t i = 0; i < 4; ++i) moved[i] += by * k[i];
      return moved;
    };
    const State k1 = Change(s_, torque), k2 = Change(ahead(k1, kStep / 2), torque),
                k3 = Change(ahead(k2, kStep / 2), torque), k4 = Change(ahead(k3, kStep), torque);
    for (size_t i = 0; i < 4; ++i) s_[i] += kStep / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
    for (size_t i = 0; i < 2; ++i) s_[i] = std::remainder(s_[i], 2 * kPi);
    s_[2] = std::clamp(s_[2], -4 * kPi, 4 * kPi);
    s_[3] = std::clamp(s_[3], -9 * kPi, 9 * kPi);
    const bool up = -std::cos(s_[0]) - std::cos(s_[1] + s_[0]) > 1;
    return {.reward = up ? 0.0 : -1.0, .terminated = up};
  }

  State s_{};
};

class PendulumEnvironment : public Classic {
 public:
  PendulumEnvironment() : Classic({.observed = 3, .numbers = 1, .bound = 2}, 200) {}

  void Observe(std::span<float> observation, std::span<uint8_t>) override {
    Write({std::cos(angle_), std::sin(angle_), spin_}, observation);
  }

 private:
  void First() override {
    angle_ = Between(-kPi, kPi);
    spin_ = Between(-1, 1);
  }
  Transition Move(std::span<const float> action) override {
    constexpr double g = 10, kStep = 0.05;
    const double torque = std::clamp(static_cast<double>(action[0]), -2.0, 2.0);
    const double off = std::remainder(angle_, 2 * kPi);
    const double cost = off * off + 0.1 * spin_ * spin_ + 0.001 * torque * torque;
    spin_ = std::clamp(spin_ + (1.5 * g * std::sin(angle_) + 3 * torque) * kStep, -8.0, 8.0);
    angle_ += spin_ * kStep;
    return {.reward = -cost};
  }

  double angle_ = 0, spin_ = 0;
};

}  // namespace

CartPoleState CartPoleStep(const CartPoleState& s, bool right) {
  constexpr double g = 9.8, kCart = 1, kPole = 0.1, kHalf = 0.5, kForce = 10, kStep = 0.02;
  const double sine = std::sin(s.angle), cosine = std::cos(s.angle);
  const double pushed = ((right ? kForce : -kForce) + kPole * kHalf * s.spin * s.spin * sine) / (kCart + kPole);
  const double turns = (g * sine - cosine * pushed) / (kHalf * (4.0 / 3 - kPole * cosine * cosine / (kCart + kPole)));
  const double moves = pushed - kPole * kHalf * turns * cosine / (kCart + kPole);
  return {s.x + kStep * s.v, s.v + kStep * moves, s.angle + kStep * s.spin, s.spin + kStep * turns};
}

MakeEnvironment Identity(size_t choices) {
  return [choices] { return std::make_unique<IdentityEnvironment>(choices); };
}
MakeEnvironment CartPole() {
  return [] { return std::make_unique<CartPoleEnvironment>(); };
}
MakeEnvironment Acrobot() {
  return [] { return std::make_unique<AcrobotEnvironment>(); };
}
MakeEnvironment Pendulum() {
  return [] { return std::make_unique<PendulumEnvironment>(); };
}

}  // namespace ecld::offload
