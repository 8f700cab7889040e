#pragma once
// Where the time of a token goes that crosses a cut, for people.

#include <string>

#include "core/json.h"
#include "offload/split/split_session.h"

namespace ecld::offload {

// What bounds decoding at the best cut between the ends, in a sentence.
std::string BoundOf(const SplitSession& process, int regime);
// By the cut, in the first regime; a picture as Study has them.
Json TokenPicture(const SplitSession& process);

}  // namespace ecld::offload
