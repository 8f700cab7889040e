#pragma once
// Copies of one random weight matrix, to be used in turn so that they come from memory and not from a cache.

#include <cstddef>
#include <optional>
#include <vector>

#include "core/large_pages.h"
#include "core/threads.h"
#include "kernels/packing/weight_view.h"

namespace ecld {

class ColdWeights {
 public:
  // Dense bfloat16 without a format. THROWS Error when the copies do not fit into half of the memory that is free.
  ColdWeights(int64_t out_features, int64_t in_features, const std::optional<PackedFormat>& format, bool interleaved,
              ThreadPool& pool);

  const std::vector<WeightView>& views() const { return views_; }
  uint64_t bytes() const { return lines_.size() * sizeof(Line); }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line, LargePages<Line>> lines_;
  std::vector<WeightView> views_;
};

}  // namespace ecld
