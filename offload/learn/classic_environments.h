#pragma once
// Environments that others have learned in, so that it can be told whether learning works: their dynamics, rewards,
// ends and first states are those of Gymnasium's CartPole-v1, Acrobot-v1 and Pendulum-v1 (Barto, Sutton and Anderson
// 1983; Sutton 1996), and of Stable-Baselines3's IdentityEnv. Chance is from our own generator.

#include <string_view>

#include "offload/environments.h"

namespace ecld::offload {

MakeEnvironment Identity(size_t choices = 4);  // right is to name the state that is shown
MakeEnvironment CartPole();
MakeEnvironment Acrobot();
MakeEnvironment Pendulum();

// One step of CartPole's dynamics: position, speed, angle, angular speed.
struct CartPoleState {
  double x = 0, v = 0, angle = 0, spin = 0;
};
CartPoleState CartPoleStep(const CartPoleState& state, bool right);

}  // namespace ecld::offload
