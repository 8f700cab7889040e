#pragma once
// The instructions of AVX-512, for whatever is compiled for them.

#include <immintrin.h>

// GCC 12 takes the deliberately undefined operands inside its own intrinsics for a mistake.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
