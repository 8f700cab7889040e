#pragma once
// The question "plan": tasks fall into parts (task_file.h); a plan says for each part how hard it is, how long its
// answer will be and how likely each node gets it right, and whether to take the task apart at all; a schedule
// (schedule.h) then places and orders the parts, and what puts their answers together. Nodes are the asking device and
// servers; times are those of a roofline, chances a table of the scenario by difficulty.

#include "offload/study.h"

namespace ecld::offload {

inline constexpr std::string_view kPlanPolicies =
    "local (whole, on the device), nearest (whole, at the strongest link), whole (at the best node), list (by list "
    "scheduling), plan (exact up to exact_up_to parts, by list scheduling beyond)";

LoadStudy ReadPlan(Options& options);  // THROWS Error

}  // namespace ecld::offload
