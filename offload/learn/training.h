#pragma once
// Learning on a scenario from beginning to end: several seeds, each a run of its own that is saved as it goes, so that
// the same command goes on where it was stopped and ends in the same bytes; curves; every policy tried on seeds that
// none has learned on, and the best of them.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/json.h"
#include "offload/learn/ppo.h"
#include "offload/world.h"

namespace ecld::offload {

struct TrainingOptions {
  std::filesystem::path out;  // seed-1/, seed-2/, ...; curves.csv, curves.svg, training.json, and the best policy
  int64_t steps = 200'000;    // of each seed
  int64_t seeds = 5;
  int64_t tried = 5;                            // runs on held-out seeds
  std::function<void(int64_t steps)> on_saved;  // after each time
};

// For offloading: many environments, short sight.
PpoSettings OffloadSettings();

// Steps in a second, by one rollout and the descent on it.
double MeasureTraining(const World& world, const PpoSettings& settings);

// Returns what training.json has. THROWS Error: out is of another scenario, steps or settings; as Ppo::Iterate does,
// the last state then kept; as Simulate does.
Json Train(const World& world, const PpoSettings& settings, const TrainingOptions& options);

}  // namespace ecld::offload
