#pragma once
// Settings of a world model and of what is done with it.

#include <cstdint>

namespace ecld::offload {

struct WorldModelSettings {
  int64_t members = 3, hidden = 32;
  bool recurrent = true;  // or nothing is remembered
  double learning_rate = 2e-3, max_gradient = 5;
};

struct ForesightSettings {
  bool value_targets = true, imagination = true;
  int64_t horizon = 6;  // imagined steps
  double lambda = 0.95;
  double imagined_rows = 1;  // for each real one, where the model is trusted wholly
  int64_t updates = 4;       // of the model, for each rollout
  int64_t courses = 16;      // of one environment each, that an update is on
  int64_t remembered = 8;    // rollouts that they are drawn from
  WorldModelSettings model;
};

}  // namespace ecld::offload
