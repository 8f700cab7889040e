#pragma once
// Remembers the ids of short words. Direct-mapped and of fixed size: a new word replaces the one in its slot, so
// memory is bounded and nothing is ever searched. One per thread.

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/vocabulary.h"

namespace ecld {

class WordCache {
 public:
  static constexpr size_t kMaxBytes = 22, kMaxIds = 10;

  // Appends the ids of word and returns true when it is here. slot receives where Store would put it.
  bool Find(std::string_view word, std::vector<int32_t>& ids, size_t& slot) const {
    slot = HashBytes(word) & (kSlots - 1);
    const Entry& entry = entries_[slot];
    if (entry.bytes != word.size() || std::memcmp(entry.word, word.data(), word.size()) != 0) return false;
    ids.insert(ids.end(), entry.ids, entry.ids + entry.count);
    return true;
  }

  // REQUIRES 0 < word.size() <= kMaxBytes, and slot as Find gave it for this word.
  void Store(size_t slot, std::string_view word, std::span<const int32_t> ids) {
    if (ids.size() > kMaxIds) return;
    Entry& entry = entries_[slot];
    entry.bytes = static_cast<uint8_t>(word.size());
    entry.count = static_cast<uint8_t>(ids.size());
    std::memcpy(entry.word, word.data(), word.size());
    std::copy(ids.begin(), ids.end(), entry.ids);
  }

 private:
  static constexpr size_t kSlots = size_t{1} << 15;
  struct alignas(64) Entry {  // one cache line
    int32_t ids[kMaxIds];
    char word[kMaxBytes];
    uint8_t bytes = 0;  // 0 = empty: no word is empty
    uint8_t count = 0;
  };
  static_assert(sizeof(Entry) == 64);
  std::vector<Entry> entries_ = std::vector<Entry>(kSlots);
};

}  // namespace ecld
