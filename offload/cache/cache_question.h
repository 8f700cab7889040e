#pragma once
// The question "cache": devices ask a server for variants of one model, by a popularity; the server keeps those that
// its storage holds (placement.h) and fetches what it lacks over a backhaul. Only blocks that a device lacks are sent;
// a device keeps what it got last. A request is a hit when the server has the whole variant and, where there is a
// deadline, it is delivered in time; expected hits reckon with whole variants there, so that runs have more of them.
// The popularity may change when half of the time is over.

#include "offload/study.h"

namespace ecld::offload {

inline constexpr std::string_view kCachePolicies =
    "popular (by popularity, what fits), lru (what was asked for last), separate (greedy by hits for a byte, as if "
    "nothing were shared), greedy (by hits for a byte added, shared ones once), exhaustive (the best of all, up to 20 "
    "variants)";

LoadStudy ReadCache(Options& options);  // THROWS Error

}  // namespace ecld::offload
