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
  // products: at least one, of the same x, m and exact, each supported.
  void (*run)(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
};

std::span<const GemmImplementation> GemmImplementations();

void GemmReference(const GemmArgs& args, ThreadPool& pool);
void GemmPortable(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
bool GemmInt8Supports(const GemmArgs& args);  // what any processor can run
void GemmInt8Portable(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
#if defined(__x86_64__)
bool GemmInt8Avx2Supports(const GemmArgs& args);
void GemmInt8Avx2(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
bool GemmInt8Avx512Supports(const GemmArgs& args);
void GemmInt8Avx512(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
bool GemmAvx2Supports(const GemmArgs& args);
void GemmAvx2(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
bool GemmAvx512Bf16DotSupports(const GemmArgs& args);
void GemmAvx512Bf16Dot(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
bool GemmAvx512Bf16Supports(const GemmArgs& args);
void GemmAvx512Bf16(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
bool GemmAvx512Supports(const GemmArgs& args);
void GemmAvx512(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
#elif defined(__aarch64__)
bool GemmInt8NeonDotSupports(const GemmArgs& args);
void GemmInt8NeonDot(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
void GemmInt8Neon(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
void GemmNeon(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch);
#endif

}  // namespace ecld
