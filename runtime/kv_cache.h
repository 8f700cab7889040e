#pragma once
// Keys (rotated) and values of one sequence in every layer, stored as the model's options say. Layers with a sliding
// window keep all positions too; the window is applied when attending. Copyable: two sequences with one beginning.

#include <cstdint>
#include <vector>

#include "core/large_pages.h"
#include "kernels/attention/kv.h"
#include "runtime/model.h"

namespace ecld {

class KvCache {
 public:
  // Holds nothing and takes no memory yet.
  explicit KvCache(const RuntimeModel& model);

  int64_t length() const { return length_; }  // tokens held
  uint64_t Bytes() const;                     // of the memory taken
  // Forgets all but the first length tokens. REQUIRES: 0 <= length <= length().
  void Truncate(int64_t length) { length_ = length; }

  // Makes room for so many tokens at once. Without, the room grows by half whenever it is used up.
  void Reserve(int64_t tokens);
  // Of one token in all layers. Room is taken for whole blocks of tokens, see kernels/attention/kv.h.
  static uint64_t BytesPerToken(const RuntimeModel& model);

 private:
  friend class Session;
  struct alignas(64) Line {
    std::byte bytes[64];
  };

  // Room for so many tokens, with some to spare.
  void Grow(int64_t tokens);
  KvView View(size_t layer);

  std::vector<KvShape> shapes_;  // of each layer
  using Lines = std::vector<Line, LargePages<Line>>;
  std::vector<Lines> layers_;
  std::vector<int64_t> capacities_;  // of each layer: an allocation that fails leaves some grown
  int64_t length_ = 0;
  int64_t rope_length_ = 0;  // by what the last tokens were turned, see RopeLength
};

}  // namespace ecld
