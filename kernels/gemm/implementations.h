#pragma once
// The list of matrix product implementations, fastest first. Dispatch takes the first that supports the problem, the
// tests compare every entry with the reference, the bench times every entry. A new one is a file and a line in
// gemm.cpp.

#include <span>

#include "kernels/gemm/gemm.h"

namespace ecld {

struct GemmImplementation {
  const char* name;
  bool (*supports)(const GemmArgs& args);  // also whether this CPU can run it
  void (*run)(const GemmArgs& args, ThreadPool& pool);
};

std::span<const GemmImplementation> GemmImplementations();

void GemmReference(const GemmArgs& args, ThreadPool& pool);

}  // namespace ecld
