#pragma once
// What a scheduler asks of a profile: the value of a phase column at a prompt length and batch size that need not be
// on the measured grid; how often answers as sure as this one are right, and the answers themselves; how long loading
// takes. Where a model is cut in two: split_lookup.h.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "profile/format/profile.h"
#include "profile/query/estimate.h"

namespace ecld {

// Bilinear in (log prompt, log batch) between the four grid points around the question; on a grid point, that row.
// Outside the grid, or where one of the four has no value, nothing is invented: in_range is false.
// THROWS Error when phase has no such column of numbers, or when prompt_tok or batch is below 1.
Estimate LookUpPhase(const Table& phase, std::string_view column, double prompt_tok, double batch);

enum class Beyond { kNothing, kModel };

// The same of a profile. With Beyond::kModel, prefill_ms and tpot_ms outside the grid are those of the profile's fit
// (`f`, or weaker where its rows are), else of the device's roofline (`r`; time to read the weights, for a prompt that
// of 2 * params * tokens operations at the peak where it is more); in_range stays false.
// THROWS Error as LookUpPhase does, and when the profile has no phase table.
Estimate LookUp(const DeviceProfile& profile, std::string_view column, double prompt_tok, double batch,
                Beyond beyond = Beyond::kNothing);

// The figure in `column` of uncertainty.csv for an answer of this uncertainty to a task, by an aggregate ("mean",
// "max", ...): that of the bin which it falls into. No bin there, or no value in it: in_range is false.
// THROWS Error when uncertainty has no such column of numbers, or when the question is not in [0, 1].
Estimate LookUpUncertainty(const Table& uncertainty, std::string_view column, std::string_view task,
                           std::string_view aggregate, double of_answer);

// The figure in `column` of load.csv, from a state ("ram", "disk", "cold"). THROWS Error: no such column of numbers.
Estimate LookUpLoad(const Table& load, std::string_view column, std::string_view from_state);

// An answer behind uncertainty.csv; absent is not known.
struct AnswerItem {
  std::string id;  // "<task>/<item>"
  std::optional<bool> correct, hallucination;
  std::optional<int64_t> gen_tok;
  std::optional<double> uncertainty;  // by the aggregate asked for
};
// Those to a task, in their order. THROWS Error: no such aggregate ("mean", "max", ...).
std::vector<AnswerItem> AnswersTo(const Table& uncertainty_items, std::string_view task, std::string_view aggregate);

}  // namespace ecld
