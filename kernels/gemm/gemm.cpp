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

bool RowOrder(const GemmArgs& args) { return !args.weight.interleaved; }

// For implementations that gain nothing from seeing several products together.
template <void (*kRun)(const GemmArgs&, ThreadPool&)>
void OneByOne(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch&) {
  for (const GemmArgs& args : products) kRun(args, pool);
}

constexpr std::array kImplementations = {
#if defined(__x86_64__)
    GemmImplementation{"int8_avx512", GemmInt8Avx512Supports, GemmInt8Avx512},
    GemmImplementation{"int8_avx2", GemmInt8Avx2Supports, GemmInt8Avx2},
#elif defined(__aarch64__)
    GemmImplementation{"int8_neon_dot", GemmInt8NeonDotSupports, GemmInt8NeonDot},
    GemmImplementation{"int8_neon", GemmInt8Supports, GemmInt8Neon},
#endif
    GemmImplementation{"int8_portable", GemmInt8Supports, GemmInt8Portable},
#if defined(__x86_64__)
    GemmImplementation{"avx512_bf16_dot", GemmAvx512Bf16DotSupports, GemmAvx512Bf16Dot},
    GemmImplementation{"avx512_bf16", GemmAvx512Bf16Supports, GemmAvx512Bf16},
    GemmImplementation{"avx512", GemmAvx512Supports, GemmAvx512},
    GemmImplementation{"avx2", GemmAvx2Supports, GemmAvx2},
#elif defined(__aarch64__)
    GemmImplementation{"neon", RowOrder, GemmNeon},
#endif
    GemmImplementation{"portable", RowOrder, GemmPortable},
    GemmImplementation{"reference", Always, OneByOne<GemmReference>},
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

const GemmImplementation& Choose(const GemmArgs& args, std::string_view name) {
  assert(args.x && args.y && args.m >= 0 && (args.weight.packed() || args.weight.data));
  if (!name.empty()) {
    const auto& chosen = ByName(name);
    if (!chosen.supports(args))
      Fail("", "the matrix product \"{}\" does not support {} on this processor", name, Describe(args));
    return chosen;
  }
  for (const auto& candidate : kImplementations)
    if (candidate.supports(args)) return candidate;
  assert(false && "the reference supports everything");
  return kImplementations.back();
}

}  // namespace

std::byte* GemmScratch::Reserve(size_t bytes) {
  const size_t lines = (bytes + sizeof(Line) - 1) / sizeof(Line);
  if (lines > lines_.size()) lines_ = std::vector<Line>(lines);
  return lines_.empty() ? nullptr : lines_.front().bytes;
}

std::span<const GemmImplementation> GemmImplementations() { return kImplementations; }

void Gemm(const GemmArgs& args, ThreadPool& pool, std::string_view implementation) {
  GemmScratch scratch;
  Gemm(std::span(&args, 1), pool, scratch, implementation);
}

void Gemm(std::span<const GemmArgs> products, ThreadPool& pool, GemmScratch& scratch, std::string_view implementation) {
  while (!products.empty()) {
    const GemmImplementation& chosen = Choose(products.front(), implementation);
    size_t count = 1;  // products that the same implementation takes together
    while (count < products.size() && &Choose(products[count], implementation) == &chosen) ++count;
    chosen.run(products.first(count), pool, scratch);
    products = products.subspan(count);
  }
}

}  // namespace ecld
