#pragma once
// The grid that a group of weights lies on (packed_format.h), and rounding one weight to it.

#include <cstddef>

#include "core/dtype.h"

namespace ecld {

// A weight is (u - zero_point) * scale with u in [0, 2^bits).
struct GroupGrid {
  float scale = 1;
  int zero_point = 0;
};

// A scale as it comes back from the type it is stored in: F32, F16 or BF16.
inline float StoredScale(float scale, DType dtype) {
  std::byte bytes[4];
  FromFloat(dtype, &scale, 1, bytes);
  ToFloat(dtype, bytes, 1, &scale);
  return scale;
}

// The code of one weight, a whole number in [0, max_code], ties to even. Adding 1.5 * 2^23 to a number in [0, 255]
// rounds it to a whole one, which taking the same away leaves; unlike nearbyint, compilers vectorize this.
inline float NearestCode(float weight, float scale, float zero_point, float max_code) {
  float code = weight / scale + zero_point;
  code = code < 0.0f ? 0.0f : code;
  code = code > max_code ? max_code : code;
  return code + 12582912.0f - 12582912.0f;
}

}  // namespace ecld
