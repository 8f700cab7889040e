#pragma once
// The options of a stage that every rounding pass has, read with their defaults and what `ecld passes` says of them.
// THROWS Error for a value that cannot be.

#include <string>

#include "core/options.h"
#include "quantize/grid.h"
#include "quantize/scheme.h"

namespace ecld {

PackedFormat ReadFormat(Options& options, const PackedFormat& fallback);
Clip ReadClip(Options& options, const std::string& fallback);
Scheme ReadScheme(Options& options);

}  // namespace ecld
