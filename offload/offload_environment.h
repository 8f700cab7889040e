#pragma once
// The simulator as an environment to learn in: a step is the choice for one request. Rewards are the seconds that
// requests spend under way until the next choice, negative, so that all of an episode sum to the latencies of its
// requests. Costs are of the requests that were answered meanwhile, by limit of the scenario: joules over the device's
// budget less 1; the accuracy wanted less what was right in time; what was made up less what may be. An episode is the
// scenario's horizon, and is cut off there, its last requests answered.

#include <memory>

#include "offload/environments.h"
#include "offload/world.h"

namespace ecld::offload {

// world: must outlive what is made.
MakeEnvironment OffloadEnvironments(const World& world);

}  // namespace ecld::offload
