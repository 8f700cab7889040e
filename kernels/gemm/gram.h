#pragma once
// What second-order methods gather from the inputs of a linear: sums += x^T x, the Hessian of its squared error but for
// a factor (Frantar et al. 2023, "GPTQ", section 3). Symmetric: only the lower triangle is computed, half the
// operations of a product. Sums of one call are float32, and of a call's own before they are added.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/gemm/gemm.h"

namespace ecld {

struct GramArgs {
  const float* x = nullptr;  // [tokens, features], row-major
  int64_t tokens = 0, features = 0;
  float* sums = nullptr;  // [features, features]; above the diagonal anything may be left
  bool exact = true;      // false: x may be rounded to bfloat16, as Gemm's
};

struct GramScratch {
  GemmScratch gemm, pairs;
  std::vector<float> columns, panel;
  std::vector<uint16_t> rounded;
};

struct GramImplementation {
  const char* name;
  bool (*supports)(const GramArgs& args);
  void (*run)(const GramArgs& args, ThreadPool& pool, GramScratch& scratch);
};

// The list, fastest first.
std::span<const GramImplementation> GramImplementations();

// Runs the first that supports the problem. The result does not depend on the pool's size.
void Gram(const GramArgs& args, ThreadPool& pool, GramScratch& scratch);

// Bytes of scratch, for plans.
uint64_t GramScratchBytes(int64_t tokens, int64_t features);

#if defined(__x86_64__)
bool GramAvx512Bf16Supports(const GramArgs& args);
void GramAvx512Bf16(const GramArgs& args, ThreadPool& pool, GramScratch& scratch);
#endif

}  // namespace ecld
