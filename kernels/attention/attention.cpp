#include "kernels/attention/attention.h"

#include <array>
#include <cassert>

#include "kernels/attention/implementations.h"

namespace ecld {
namespace {

const AttentionImplementation& Chosen() {
  static const AttentionImplementation& chosen = []() -> const AttentionImplementation& {
    for (const AttentionImplementation& candidate : AttentionImplementations())
      if (candidate.supports()) return candidate;
    return kAttentionReference;
  }();
  return chosen;
}

}  // namespace

std::span<const AttentionImplementation> AttentionImplementations() {
  static const std::array implementations = {
#if defined(__x86_64__)
    kAttentionAvx512,
    kAttentionAvx2,
#elif defined(__aarch64__)
    kAttentionNeon,
#endif
    kAttentionPortable,
    kAttentionReference
  };
  return implementations;
}

void Attention(const AttentionArgs& args, ThreadPool& pool, AttentionScratch& scratch) {
  for ([[maybe_unused]] const AttentionPiece& piece : args.pieces)
    assert(args.num_heads % piece.kv.shape.num_kv_heads == 0 && piece.first_position + piece.rows <= piece.kv.capacity);
  Chosen().run(args, pool, scratch);
}

void AppendKv(const KvView& view, int64_t position, float* key, float* value) {
  assert(position < view.capacity);
  Chosen().append(view, position, key, value);
}

}  // namespace ecld
