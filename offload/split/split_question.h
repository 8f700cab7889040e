#pragma once
// The question "split": where to cut a model between a device and a server. `setting: published` is published_split.h,
// `setting: session` split_session.h. Policies are each fixed cut, not to split at all, at random, the best of the next
// step by the tables, and the exact best.

#include "offload/study.h"

namespace ecld::offload {

inline constexpr std::string_view kSplitPolicies =
    "local (do not split), cuts (each that was measured), cut-N, remote (all on the server), random, table (the best "
    "next step), dp (exact)";

LoadStudy ReadSplit(Options& options);  // THROWS Error

}  // namespace ecld::offload
