#pragma once
// The published process (published_split.h) as an environment to learn in: noise of 0.08 to 0.22 and a split of 3 to 6
// at the start; five steps, then the end. Shown are the noise at the start, the split there, the split now, the step.

#include <limits>

#include "core/random.h"
#include "offload/environments.h"
#include "offload/split/published_split.h"

namespace ecld::offload {

// As published: what an episode begins with.
PublishedStart DrawStart(Random& random);

// ppl_ratio: by split 1 .. 9 and noise; copied. least: what a step is worth at the least; where damage makes the
// perplexity a hundred thousand times as high, all other rewards would be nothing beside.
MakeEnvironment PublishedSplits(const EstimateGrid& ppl_ratio, double least = -std::numeric_limits<double>::infinity());

}  // namespace ecld::offload
