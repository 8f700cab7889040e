#pragma once
// Where to cut a model under noise, as Chen et al. published it (arXiv 2406.02616, FITEE 26(2); numbers by the authors'
// code): states are the noise and the split 1 .. 10, a choice is the next split, noise falls by 0.05 % when the split
// rises and the reverse, five steps make an episode, and a step is worth
//   10.5 (PPL at the start - PPL) / PPL at the start + (10 - split) / 10.
// No step takes any time. Splits 1 .. 9 are the cuts that were measured; 10 keeps all on the device, where nothing is
// damaged. Noise takes few values from a given start, so that the process is exact.
//
// The published code never takes the perplexity at the start as that of the last step: staying there is worth what a
// perplexity of 0 (in the first episode; later ones a stale one) makes of it. published_bug: that of a first episode.

#include <optional>

#include "offload/split/finite_process.h"
#include "profile/query/estimate.h"

namespace ecld::offload {

inline constexpr int kPublishedSplits = 10, kPublishedSteps = 5;

struct PublishedStart {
  double noise = 0;
  int split = 1;  // 1 .. 10
};

class PublishedSplit : public FiniteProcess {
 public:
  // ppl_ratio: by split 1 .. 9 and noise; it holds the start's noise and a percent more and less.
  PublishedSplit(const EstimateGrid& ppl_ratio, const PublishedStart& start, bool bug);

  int steps() const override { return kPublishedSteps; }
  int states() const override { return kMoves * kMoves * kPublishedSplits * 2; }
  int choices() const override { return kPublishedSplits; }  // split - 1
  Outcome At(int step, int state, int choice) const override;
  bool Reachable(int step, int state) const override;

  int first() const { return Number({.split = start_.split, .stayed = true}); }
  int SplitAt(int state) const { return Of(state).split; }
  double RatioAt(int state) const { return Ratio(Of(state)); }

 private:
  static constexpr int kMoves = kPublishedSteps + 1;
  struct Place {
    int up = 0, down = 0, split = 1;
    bool stayed = false;  // at the start's split all the time
  };

  int Number(const Place& place) const;
  Place Of(int state) const;
  double Ratio(const Place& place) const;

  PublishedStart start_;
  bool bug_;
  std::vector<double> ratio_;  // [up][down][split - 1]
};

}  // namespace ecld::offload
