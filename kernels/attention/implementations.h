#pragma once
// The list of attention implementations, fastest first; see kernels/gemm/implementations.h.

#include <span>

#include "kernels/attention/attention.h"

namespace ecld {

struct AttentionImplementation {
  const char* name;
  bool (*supports)();  // whether this CPU can run it
  void (*run)(const AttentionArgs& args, ThreadPool& pool, AttentionScratch& scratch);
  void (*append)(const KvView& view, int64_t position, float* key, float* value);
};

std::span<const AttentionImplementation> AttentionImplementations();

// What an instruction set supplies to the frame in tasks.cpp. block: FloatsOfBlocks(...) of scratch of one thread.
struct AttentionKernels {
  void (*run_task)(const AttentionArgs& args, const AttentionTask& task, float* block, float* partials);
};
void RunAttentionTasks(const AttentionKernels& kernels, const AttentionArgs& args, ThreadPool& pool,
                       AttentionScratch& scratch);

inline constexpr int64_t kTaskRows = 64;  // at most
inline constexpr int64_t kKeyStep = 64;   // keys whose scores are held at once
static_assert(kKeyStep % kKeyBlock == 0);

// Scratch of one task, in floats: queries, scores, sums of values, widened keys and values, two numbers a row.
inline int64_t FloatsOfBlocks(const KvShape& shape) {
  return kTaskRows * (shape.head_dim + kKeyStep + shape.ValueStride() + 2) +
         kKeyStep * (shape.head_dim + shape.ValueStride());
}

extern const AttentionImplementation kAttentionReference, kAttentionPortable;
#if defined(__x86_64__)
extern const AttentionImplementation kAttentionAvx2, kAttentionAvx512;
#elif defined(__aarch64__)
extern const AttentionImplementation kAttentionNeon;
#endif

}  // namespace ecld
