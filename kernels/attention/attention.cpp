#include "kernels/attention/attention.h"

#include <array>
#include <cassert>

#include "kernels/attention/implementations.h"

namespace ecld {
namespace {

bool Always(const AttentionArgs&) { return true; }

constexpr std::array kImplementations = {
#if defined(__x86_64__)
    AttentionImplementation{"lanes_avx2", AttentionLanesAvx2Supports, AttentionLanesAvx2},
#endif
    AttentionImplementation{"lanes", AttentionLanesSupports, AttentionLanes},
    AttentionImplementation{"reference", Always, AttentionReference},
};

}  // namespace

std::span<const AttentionImplementation> AttentionImplementations() { return kImplementations; }

void Attention(const AttentionArgs& args, ThreadPool& pool) {
  assert(args.num_kv_heads > 0 && args.num_heads % args.num_kv_heads == 0);
  for (const auto& candidate : kImplementations)
    if (candidate.supports(args)) return candidate.run(args, pool);
}

}  // namespace ecld
