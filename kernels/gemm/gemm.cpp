#include "kernels/gemm/gemm.h"

#include <array>
#include <cassert>
#include <string>
#include <vector>

#include "core/error.h"
#include "kernels/gemm/implementations.h"

namespace ecld {
namespace {

bool Always(const GemmArgs&) { return true; }

constexpr std::array kImplementations = {
#if defined(__x86_64__)
    GemmImplementation{"avx512", GemmAvx512Supports, GemmAvx512},
    GemmImplementation{"avx2", GemmAvx2Supports, GemmAvx2},
#endif
    GemmImplementation{"portable", Always, GemmPortable},
    GemmImplementation{"reference", Always, GemmReference},
};

std::string Describe(const GemmArgs& args) {
  std::string format = args.weight.packed() ? args.weight.format.Name() : std::string(Name(args.weight.dtype));
  return fmt::format("m {}, n {}, k {}, {}", args.m, args.weight.out_features, args.weight.in_features, format);
}

const GemmImplementation& ByName(std::string_view name) {
  std::vector<std::string> known;
  for (const auto& implementation : kImplementations) {
    if (implementation.name == name) return implementation;
    known.emplace_back(implementation.name);
  }
  Fail("", "no matrix product implementation is named \"{}\"{}", name, DidYouMean(name, known));
}

}  // namespace

std::span<const GemmImplementation> GemmImplementations() { return kImplementations; }

void Gemm(const GemmArgs& args, ThreadPool& pool, std::string_view implementation) {
  assert(args.x && args.y && args.m >= 0 && (args.weight.packed() || args.weight.data));
  if (!implementation.empty()) {
    const auto& chosen = ByName(implementation);
    if (!chosen.supports(args))
      Fail("", "the matrix product \"{}\" does not support {} on this processor", implementation, Describe(args));
    return chosen.run(args, pool);
  }
  for (const auto& candidate : kImplementations)
    if (candidate.supports(args)) return candidate.run(args, pool);
  assert(false && "the reference supports everything");
}

}  // namespace ecld
