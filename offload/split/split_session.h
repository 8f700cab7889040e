#pragma once
// An answer of a model that is cut between a device and a server, with what the published process (published_split.h)
// leaves out: every token crosses the cut, waits for a round trip and takes energy, and a cut that moves takes the
// caches of the layers between along. The link goes from regime to regime by a Markov chain, step by step of the
// answer; before each step a cut is chosen, for the first one with the prompt. Exact over (step, regime, cut).

#include <optional>
#include <string>
#include <vector>

#include "offload/split/finite_process.h"
#include "offload/split/layer_times.h"

namespace ecld::offload {

struct SplitRegime {
  double up_bps = 0, down_bps = 0, rtt_s = 0;
  double noise = 0;       // the level of the damage to what crosses a cut
  double mean_steps = 1;  // that it lasts
};

struct SplitWeights {
  double latency = 1, energy = 0, quality = 0;  // of a second, a joule, a nat
};

// Where the time of an answer goes, or of a part of it.
struct SplitUse {
  double device_s = 0, send_s = 0, round_trips_s = 0, server_s = 0, receive_s = 0, move_s = 0;
  double joules = 0;  // of the device; 0 where they are not known
  double nats = 0;    // lost by damage: tokens times the logarithm of the perplexity's ratio

  double Seconds() const { return device_s + send_s + round_trips_s + server_s + receive_s + move_s; }
  SplitUse& operator+=(const SplitUse& more);
};

struct SplitPlan {
  int64_t prompt_tok = 1, answer_tok = 1, step_tok = 1;
  double send_W = 0;
  std::string sent_as;        // a dtype of cuts.csv
  std::vector<int64_t> cuts;  // rising; the choices
  std::vector<SplitRegime> regimes;
  SplitWeights weights;
};

class SplitSession : public FiniteProcess {
 public:
  // ppl_ratio: by cut and noise; the ends of the model are not damaged. cuts: the table of that name.
  // THROWS Error: a length, a cut or a level that the tables do not tell. where: for errors.
  SplitSession(const LayerTimes& device, const LayerTimes& server, const Table& cuts, const EstimateGrid& ppl_ratio,
               SplitPlan plan, const std::string& where);

  int steps() const override { return static_cast<int>(parts_.size()); }
  int states() const override { return regimes() * (choices() + 1); }
  int choices() const override { return static_cast<int>(plan_.cuts.size()); }
  Outcome At(int step, int state, int choice) const override;
  bool Reachable(int step, int state) const override { return (step == 0) == (CutOf(state) == choices()); }

  int regimes() const { return static_cast<int>(plan_.regimes.size()); }
  int First(int regime) const { return regime * (choices() + 1) + choices(); }
  int RegimeOf(int state) const { return state / (choices() + 1); }
  SplitUse UseAt(int step, int state, int choice) const;
  // Of one token in a step, without moves.
  SplitUse TokenAt(int step, int regime, int choice) const;
  bool knows_energy() const { return knows_energy_; }
  const SplitPlan& plan() const { return plan_; }

 private:
  struct Part {  // of the answer; by cut
    double tokens = 0, ctx_tok = 0;
    std::vector<double> device_s, server_s, joules;  // [cuts], of a token
  };

  int CutOf(int state) const { return state % (choices() + 1); }  // choices(): none yet
  SplitUse Prompt(int regime, int choice) const;
  SplitUse Move(int step, int regime, int from, int to) const;

  SplitPlan plan_;
  std::vector<Part> parts_;                                                       // [steps]
  Part prompt_;                                                                   // of all of it
  std::vector<double> prompt_up_bits_, token_up_bits_, down_bits_, round_trips_;  // [cuts]
  std::vector<std::vector<double>> nats_;                                         // [regimes][cuts], of a token
  double cache_bits_per_tok_ = 0;                                                 // of a layer
  bool knows_energy_ = true;
};

}  // namespace ecld::offload
