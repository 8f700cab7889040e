#pragma once
// The tokens of a model as bytes, found by id and by bytes. Filled once with Add, then Index, then read only.
// It knows nothing of alphabets or special tokens: callers give the bytes that a token stands for.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace ecld {

// A 64-bit hash for short byte strings; not for hostile inputs that must not collide.
inline uint64_t HashBytes(std::string_view bytes) {
  const char* p = bytes.data();
  size_t left = bytes.size();
  uint64_t hash = left * 0x9e3779b97f4a7c15u;
  auto mix = [&](uint64_t word) {
    hash = (hash ^ word) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 32;
  };
  for (; left >= 8; p += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    mix(word);
  }
  uint64_t tail = 0;
  std::memcpy(&tail, p, left);
  mix(tail);
  return hash ^ (hash >> 29);
}

class Vocabulary {
 public:
  // matchable: whether Find may return this token (two tokens may stand for the same bytes; only one can be found).
  // REQUIRES id >= 0 and not added before.
  void Add(int32_t id, std::string_view bytes, bool matchable);
  void Index();

  bool Has(int64_t id) const { return id >= 0 && id < size() && tokens_[static_cast<size_t>(id)].present; }
  // REQUIRES Has(id).
  std::string_view Bytes(int32_t id) const {
    const Entry& entry = tokens_[static_cast<size_t>(id)];
    return {bytes_.data() + entry.offset, entry.size};
  }
  // The id of the matchable token with these bytes, or -1.
  int32_t Find(std::string_view bytes) const;
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }  // largest id + 1

 private:
  struct Entry {
    size_t offset = 0;
    uint32_t size = 0;
    bool present = false;
    bool matchable = false;
  };
  std::string bytes_;
  std::vector<Entry> tokens_;   // by id
  std::vector<int32_t> slots_;  // open addressing, a power of two, -1 = empty
};

}  // namespace ecld
