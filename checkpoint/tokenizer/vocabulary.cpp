#include "checkpoint/tokenizer/vocabulary.h"

#include <bit>

namespace ecld {

void Vocabulary::Add(int32_t id, std::string_view bytes, bool matchable) {
  if (id >= size()) tokens_.resize(static_cast<size_t>(id) + 1);
  tokens_[static_cast<size_t>(id)] = {bytes_.size(), static_cast<uint32_t>(bytes.size()), true, matchable};
  bytes_ += bytes;
}

void Vocabulary::Index() {
  slots_.assign(std::bit_ceil(2 * tokens_.size() + 2), -1);
  size_t mask = slots_.size() - 1;
  for (int32_t id = 0; id < size(); ++id) {
    if (!tokens_[static_cast<size_t>(id)].matchable) continue;
    std::string_view bytes = Bytes(id);
    size_t slot = HashBytes(bytes) & mask;
    while (slots_[slot] >= 0 && Bytes(slots_[slot]) != bytes) slot = (slot + 1) & mask;
    if (slots_[slot] < 0) slots_[slot] = id;
  }
}

int32_t Vocabulary::Find(std::string_view bytes) const {
  if (slots_.empty()) return -1;
  size_t mask = slots_.size() - 1;
  for (size_t slot = HashBytes(bytes) & mask;; slot = (slot + 1) & mask) {
    if (slots_[slot] < 0 || Bytes(slots_[slot]) == bytes) return slots_[slot];
  }
}

}  // namespace ecld
