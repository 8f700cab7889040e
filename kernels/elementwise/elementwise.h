#pragma once
// What is done to single rows between the matrix products. Each call works on one row (or one stretch) on the calling
// thread; the caller deals rows to threads, several steps at a time.
//
//   Elementwise().rms_norm(x, weight, width, 1e-5f, y);

#include <cstdint>
#include <span>

namespace ecld {

struct ElementwiseKernels {
  const char* name;
  bool (*supports)();  // whether this CPU can run them

  // RMSNorm (Zhang and Sennrich 2019, equation 4): y = x / sqrt(mean(x^2) + eps) * weight. y may be x.
  void (*rms_norm)(const float* x, const float* weight, int64_t width, float eps, float* y);
  // Rotary position embedding (Su et al. 2021, equation 34) of x [heads, head_dim] in place, in the half-split order of
  // Hugging Face checkpoints: element i of a head is paired with element i + head_dim / 2. cosine, sine [head_dim / 2]
  // of position * frequency.
  void (*rotate)(float* x, const float* cosine, const float* sine, int64_t heads, int64_t head_dim);
  // The gate of the feed-forward layer (Shazeer 2020, equation 5, with SiLU): y = gate / (1 + e^-gate) * up. y may be
  // either.
  void (*swiglu)(const float* gate, const float* up, int64_t count, float* y);
  // The same with GELU (Hendrycks and Gimpel 2016, arXiv 1606.08415, section 2) as its approximation by tanh:
  // y = gate / (1 + e^(-2 z)) * up, z = sqrt(2 / pi) (gate + 0.044715 gate^3).
  void (*geglu)(const float* gate, const float* up, int64_t count, float* y);
  void (*add)(const float* x, int64_t count, float* sum);  // sum += x
  bool (*all_finite)(const float* x, int64_t count);
};

// Work for which another thread is worth having, its workers being awake: elements, and rows of so many.
inline constexpr int64_t kMinElements = 1 << 12;
constexpr int64_t MinRows(int64_t width) { return 1 + kMinElements / width; }

// The list, fastest first.
std::span<const ElementwiseKernels> ElementwiseImplementations();

// The first that this CPU can run.
const ElementwiseKernels& Elementwise();

extern const ElementwiseKernels kElementwisePortable;
#if defined(__x86_64__)
extern const ElementwiseKernels kElementwiseAvx2, kElementwiseAvx512;
#elif defined(__aarch64__)
extern const ElementwiseKernels kElementwiseNeon;
#endif

}  // namespace ecld
