#pragma once
// Which inputs of a linear go, and what becomes of its weights on the others. Inputs go in units (a feed-forward
// channel, the columns of a head), a few at a time, and the scores of those that are left are brought up to date each
// time. With the moments of moments.h, weights W [out, in] and v^T G v written |v|^2, two refits are carried along,
// each the least of its error and a ridge in units of an input's own energy, so that it does not depend on how inputs
// are scaled:
//   W + U, 0 where inputs went, which puts out what W does:    mean w |(W + U - W) x|^2 + ridge sum_j C_jj |U_j|^2
//   V, 0 there too, which puts out what the states still lack: mean w |r - V x|^2 + ridge sum_j C_jj |V_j|^2
// G is of no matter to them. The windows held out say how much of each is taken: B = W + a U + b V on the inputs left,
// a and b in [0, 1] those of the least error there. What is lacking is mostly what the inputs cannot tell: its fit
// takes many tokens, and without that judge it would be noise.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "prune/moments.h"

namespace ecld {

// How much a unit U is worth. |.|: the Frobenius norm.
enum class Score {
  kMagnitude,    // sum_j |B_j|^2 |weights that make x_j|^2
  kActivation,   // sum_j |B_j|^2 C_jj: Wanda's, its outputs taken together (Sun et al. 2023, arXiv 2306.11695, eq. 1)
  kFluctuation,  // sum_j |B_j|^2 (C_jj - mean_j^2): FLAP's (An et al. 2023, arXiv 2312.11983, eq. 4)
  // tr(B_U^T G B_U C_UU): the expected square of the first-order change of the model's log-likelihood, of its two sides
  // (Molchanov et al. 2019, arXiv 1906.10771, eq. 8).
  kTaylor,
  // What the error grows by, the others at their best: tr(B_U^T G B_U P_UU^-1), P the inverse of its second derivative
  // (Hassibi and Stork 1993; LeCun et al. 1990); its first-order term is 0, since B is at its least. Without a repair
  // there is one: tr(B_U^T G B_U C_UU) + 2 tr(B_U^T G D_U).
  kObs,
};
inline constexpr std::string_view kScoreNames[] = {"magnitude", "activation", "fluctuation", "taylor", "obs"};

struct RemovalOptions {
  Score score = Score::kObs;
  bool repair = true;
  double ridge = 0.01;
  bool output_kl = true;  // moments by what the model's output depends on; without, w = 1 and G the identity

  // Whether a score or the repair looks at products of different inputs.
  bool NeedsProducts() const { return repair || score == Score::kObs || score == Score::kTaylor; }
};

class Survivors {
 public:
  // weight: W. moments: with products where the options need them.
  Survivors(const at::Tensor& weight, PruneMoments moments, const RemovalOptions& options);

  // Inputs that are left are taken as units of `size` in a row, and units as `groups` equally long runs. Takes units
  // away until `keep` are left of each run, `at_once` between two looks at the scores. Of equal ones the first stays.
  void Keep(int64_t size, int64_t groups, int64_t keep, int64_t at_once);

  const at::Tensor& inputs() const { return left_; }  // that are left, ascending, int64
  at::Tensor weight() const;                          // on those, [out, left], float32

  // That of the options, or what it was raised to where the refit had no one answer; 0: nothing was refitted.
  double ridge() const { return ridge_; }

  // a and b; 0 without a repair.
  double taken() const { return Taken().first; }
  double taken_lacking() const { return Taken().second; }
  // On the windows held out, of the energy of what W puts out: mean w |r - (B - W) x|^2, of B and before the repair.
  // REQUIRES: products.
  double Error() const { return ErrorOf(taken(), taken_lacking()); }
  double ErrorUnrepaired() const { return ErrorOf(0, 0); }
  // Half of what the error grew by, by G, in all rounds: with output_kl the nats per token that the model is expected
  // to lose by what went here. REQUIRES: products.
  double Cost() const { return cost_; }
  // Share of the activation scores of all inputs, by W, that is of those left.
  double KeptEnergy() const;

 private:
  at::Tensor ScoresOf(const at::Tensor& units) const;
  at::Tensor Growth(const at::Tensor& units, bool best) const;
  void Remove(const at::Tensor& inputs);
  std::pair<at::Tensor, at::Tensor> Changes() const;
  std::pair<double, double> Judged() const;
  std::pair<double, double> Taken() const;
  at::Tensor WeightOf(double taken, double taken_lacking) const;
  double ErrorOf(double taken, double taken_lacking) const;

  RemovalOptions options_;
  PruneMoments moments_;
  at::Tensor dense_;    // W, double, as all below
  at::Tensor refits_;   // W + U, and V below it, [2 out, in]; V is missing where nothing is repaired
  at::Tensor inverse_;  // P; undefined: nothing is repaired
  at::Tensor missing_;  // D of B as it is, where nothing is repaired and a score looks at it
  double ridge_ = 0, cost_ = 0;
  mutable std::optional<std::pair<double, double>> taken_;  // once it was asked for
  at::Tensor left_;
};

}  // namespace ecld
