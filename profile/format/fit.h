#pragma once
// A profile in a handful of numbers: times of a phase table as sums that a scheduler can work with by hand, in the form
// of DistServe's simulator (Zhong et al. 2024):
//   prefill_ms = a + b * sum(n) + c * sum(n^2)          n: prompt tokens of each request of the batch
//   decode_ms  = a + b_ctx * sum(ctx) + c_batch * batch ctx: tokens in the cache of each request, mean over the steps
// Least squares of the relative error with coefficients of 0 or more, so that more work never takes less time; one that
// the points do not determine is 0. The section `fit` of profile.json.

#include <optional>

#include "core/json.h"
#include "profile/format/table.h"

namespace ecld {

// {"prefill_ms": {"a", "b", "c", "r2", "max_rel_err", "range_tok", "range_batch", "n", "src"}, "decode_ms": {"a",
// "b_ctx", "c_batch", ...}}. r2 is of the times as they are; src the weakest of the rows. A time with fewer than three
// rows has no entry.
Json FitPhase(const Table& phase);

// Milliseconds by the fit, in its range or not; nullopt where the section has no such time.
// THROWS Error when an entry lacks a coefficient.
std::optional<double> FittedPrefillMs(const JsonView& fit, double prompt_tok, double batch);
std::optional<double> FittedDecodeMs(const JsonView& fit, double ctx_tok, double batch);

}  // namespace ecld
