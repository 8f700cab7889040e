#include "checkpoint/tokenizer/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "core/unicode.h"

namespace ecld {
namespace {

// Up to here a scan over all pairs beats a heap.
constexpr size_t kShortWord = 48;
constexpr uint32_t kEnd = 0xffffffffu;

bool StandsForItself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

// code point -> byte for the byte-level alphabet, -1 elsewhere
const std::array<int16_t, 324>& ByteLevelAlphabet() {
  static const std::array<int16_t, 324> table = [] {
    std::array<int16_t, 324> bytes;
    bytes.fill(-1);
    size_t next = 256;
    for (unsigned byte = 0; byte < 256; ++byte)
      bytes[StandsForItself(byte) ? byte : next++] = static_cast<int16_t>(byte);
    return bytes;
  }();
  return table;
}

}  // namespace

bool BytesOfByteLevelToken(std::string_view token, std::string& bytes) {
  bytes.clear();
  const auto& alphabet = ByteLevelAlphabet();
  for (size_t i = 0; i < token.size();) {
    Utf8Char c = CharAt(token, i);
    if (c.code >= alphabet.size() || alphabet[c.code] < 0) return false;
    bytes += static_cast<char>(alphabet[c.code]);
    i += c.size;
  }
  return true;
}

MergeTable::MergeTable(std::span<const Merge> merges)
    : entries_(std::bit_ceil(2 * merges.size() + 2)), mask_(entries_.size() - 1) {
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    uint64_t key = Key(merges[rank].left, merges[rank].right);
    size_t slot = Slot(key);
    while (entries_[slot].key != kEmpty && entries_[slot].key != key) slot = (slot + 1) & mask_;
    entries_[slot] = {key, static_cast<uint32_t>(rank), merges[rank].merged};
  }
}

BpeModel::BpeModel(BpeOptions options, const Vocabulary& vocabulary, MergeTable merges)
    : options_(options), vocabulary_(&vocabulary), merges_(std::move(merges)) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    char c = static_cast<char>(byte);
    byte_ids_[byte] = options_.byte_level ? vocabulary.Find({&c, 1}) : vocabulary.Find(fmt::format("<0x{:02X}>", byte));
  }
}

void BpeModel::ToSymbols(std::string_view word, std::vector<int32_t>& symbols) const {
  symbols.clear();
  bool last_unknown = false;
  auto unknown = [&] {
    if (options_.unk >= 0 && !(last_unknown && options_.fuse_unk)) symbols.push_back(options_.unk);
    last_unknown = true;
  };
  if (options_.byte_level) {
    for (char c : word) {
      int32_t id = byte_ids_[static_cast<unsigned char>(c)];
      if (id < 0) {
        unknown();
      } else {
        symbols.push_back(id);
        last_unknown = false;
      }
    }
    return;
  }
  for (size_t i = 0; i < word.size();) {
    std::string_view bytes = word.substr(i, CharAt(word, i).size);
    i += bytes.size();
    int32_t id = vocabulary_->Find(bytes);
    bool has_bytes = options_.byte_fallback && std::all_of(bytes.begin(), bytes.end(), [&](char c) {
                       return byte_ids_[static_cast<unsigned char>(c)] >= 0;
                     });
    if (id < 0 && !has_bytes) {
      unknown();
      continue;
    }
    last_unknown = false;
    if (id >= 0)
      symbols.push_back(id);
    else
      for (char c : bytes) symbols.push_back(byte_ids_[static_cast<unsigned char>(c)]);
  }
}

void BpeModel::Encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (options_.ignore_merges) {
    if (int32_t id = vocabulary_->Find(word); id >= 0) {
      ids.push_back(id);
      return;
    }
  }
  ToSymbols(word, scratch.symbols);
  if (scratch.symbols.size() <= kShortWord)
    MergeShort(scratch, ids);
  else
    MergeLong(scratch, ids);
}

void BpeModel::MergeShort(Scratch& scratch, std::vector<int32_t>& ids) const {
  std::vector<int32_t>& symbols = scratch.symbols;
  std::vector<uint32_t>& ranks = scratch.ranks;  // of the pair that starts at each symbol
  size_t count = symbols.size();
  ranks.assign(count, MergeTable::kNone);
  auto rank_at = [&](size_t i) {
    ranks[i] = i + 1 < count ? merges_.Find(symbols[i], symbols[i + 1]).rank : MergeTable::kNone;
  };
  for (size_t i = 0; i + 1 < count; ++i) rank_at(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i)
      if (ranks[i] < ranks[best]) best = i;
    if (ranks[best] == MergeTable::kNone) break;
    symbols[best] = merges_.Find(symbols[best], symbols[best + 1]).merged;
    std::copy(symbols.begin() + static_cast<ptrdiff_t>(best) + 2, symbols.begin() + static_cast<ptrdiff_t>(count),
              symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    std::copy(ranks.begin() + static_cast<ptrdiff_t>(best) + 2, ranks.begin() + static_cast<ptrdiff_t>(count),
              ranks.begin() + static_cast<ptrdiff_t>(best) + 1);
    --count;
    rank_at(best);
    if (best > 0) rank_at(best - 1);
  }
  ids.insert(ids.end(), symbols.begin(), symbols.begin() + static_cast<ptrdiff_t>(count));
}

void BpeModel::MergeLong(Scratch& scratch, std::vector<int32_t>& ids) const {
  std::vector<int32_t>& symbols = scratch.symbols;  // -1 once merged into its left neighbour
  auto count = static_cast<uint32_t>(symbols.size());
  scratch.previous.resize(count);
  scratch.next.resize(count);
  scratch.heap.clear();
  auto later = [](const Scratch::Candidate& a, const Scratch::Candidate& b) { return a.order > b.order; };
  auto candidate = [&](uint32_t at, uint32_t right) {
    uint32_t rank = merges_.Find(symbols[at], symbols[right]).rank;
    return Scratch::Candidate{uint64_t{rank} << 32 | at, symbols[at], symbols[right]};
  };
  for (uint32_t i = 0; i < count; ++i) {
    scratch.previous[i] = i == 0 ? kEnd : i - 1;
    scratch.next[i] = i + 1 == count ? kEnd : i + 1;
    if (i + 1 == count) break;
    auto pair = candidate(i, i + 1);
    if (pair.order >> 32 != MergeTable::kNone) scratch.heap.push_back(pair);
  }
  std::make_heap(scratch.heap.begin(), scratch.heap.end(), later);
  auto push = [&](uint32_t at, uint32_t right) {
    auto pair = candidate(at, right);
    if (pair.order >> 32 == MergeTable::kNone) return;
    scratch.heap.push_back(pair);
    std::push_heap(scratch.heap.begin(), scratch.heap.end(), later);
  };
  while (!scratch.heap.empty()) {
    Scratch::Candidate top = scratch.heap.front();
    std::pop_heap(scratch.heap.begin(), scratch.heap.end(), later);
    scratch.heap.pop_back();
    auto at = static_cast<uint32_t>(top.order);
    uint32_t right = scratch.next[at];
    // An entry outlives the pair it was made for when either side was merged meanwhile.
    if (symbols[at] != top.left || right == kEnd || symbols[right] != top.right) continue;
    symbols[at] = merges_.Find(top.left, top.right).merged;
    symbols[right] = -1;
    scratch.next[at] = scratch.next[right];
    if (scratch.next[at] != kEnd) {
      scratch.previous[scratch.next[at]] = at;
      push(at, scratch.next[at]);
    }
    if (scratch.previous[at] != kEnd) push(scratch.previous[at], at);
  }
  for (uint32_t i = 0; i != kEnd; i = scratch.next[i]) ids.push_back(symbols[i]);
}

}  // namespace ecld
