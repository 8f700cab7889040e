#pragma once
// The list of attention implementations, fastest first; see kernels/gemm/implementations.h.

#include <span>

#include "kernels/attention/attention.h"

namespace ecld {

struct AttentionImplementation {
  const char* name;
  bool (*supports)(const AttentionArgs& args);
  void (*run)(const AttentionArgs& args, ThreadPool& pool);
};

std::span<const AttentionImplementation> AttentionImplementations();

void AttentionReference(const AttentionArgs& args, ThreadPool& pool);
bool AttentionLanesSupports(const AttentionArgs& args);
void AttentionLanes(const AttentionArgs& args, ThreadPool& pool);
#if defined(__x86_64__)
bool AttentionLanesAvx2Supports(const AttentionArgs& args);
void AttentionLanesAvx2(const AttentionArgs& args, ThreadPool& pool);
#endif

}  // namespace ecld
