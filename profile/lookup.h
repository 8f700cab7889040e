#pragma once
// What a scheduler asks of a profile: the value of a phase column at a prompt length and batch size that need not be
// on the measured grid.

#include <string_view>

#include "profile/profile.h"

namespace ecld {

struct Estimate {
  double value = 0;  // NaN when not in_range
  char src = 'i';    // of the row on a grid point; 'i' between measured ones; else the weakest of those used
  bool in_range = false;
};

// Bilinear in (log prompt, log batch) between the four grid points around the question; on a grid point, that row.
// Outside the grid, or where one of the four has no value, nothing is invented: in_range is false.
// THROWS Error when phase has no such column of numbers, or when prompt_tok or batch is below 1.
Estimate LookUpPhase(const Table& phase, std::string_view column, double prompt_tok, double batch);

}  // namespace ecld
