#pragma once
// What profile.json must hold, as data, and the check against it. Used by the reader and the writer alike, so that
// nothing can be written that would not be read.

#include "core/json.h"

namespace ecld {

// THROWS Error naming the key: missing, of another type, a number that is not finite, another schema, a major
// version other than ours, per-layer lists that are not n_layers long.
void CheckManifest(const JsonView& manifest);

}  // namespace ecld
