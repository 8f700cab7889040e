#pragma once
// How fast this machine multiplies float32 matrices through Torch, for the time estimates of plans.

namespace ecld {

// Floating-point operations per second, the best of a few products. Takes about a tenth of a second.
double MeasureGemmFlops();

}  // namespace ecld
