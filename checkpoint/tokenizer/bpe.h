#pragma once
// Byte-pair encoding (Sennrich et al. 2016): a word starts as a list of symbols, and the adjacent pair of lowest rank
// (leftmost among equals) is merged until no pair is in the table. Symbols are bytes (byte-level models) or characters
// with a fallback to byte tokens (models made from sentencepiece). Read only after construction.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/vocabulary.h"

namespace ecld {

// (left id, right id) -> (rank, merged id) in one flat table.
class MergeTable {
 public:
  struct Merge {
    int32_t left, right, merged;
  };
  struct Found {
    uint32_t rank;
    int32_t merged;
  };
  static constexpr uint32_t kNone = 0xffffffffu;

  MergeTable() = default;
  // Ranks are the positions in merges; of a repeated pair the last counts.
  explicit MergeTable(std::span<const Merge> merges);

  // rank is kNone where the pair does not merge.
  Found Find(int32_t left, int32_t right) const {
    uint64_t key = Key(left, right);
    for (size_t slot = Slot(key);; slot = (slot + 1) & mask_) {
      const Entry& entry = entries_[slot];
      if (entry.key == key) return {entry.rank, entry.merged};
      if (entry.key == kEmpty) return {kNone, -1};
    }
  }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  struct Entry {
    uint64_t key = kEmpty;
    uint32_t rank = kNone;
    int32_t merged = -1;
  };
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t Slot(uint64_t key) const {
    key *= 0x9e3779b97f4a7c15u;
    return (key ^ (key >> 32)) & mask_;
  }

  std::vector<Entry> entries_ = std::vector<Entry>(1);
  size_t mask_ = 0;
};

struct BpeOptions {
  bool byte_level = false;     // symbols are bytes; otherwise characters
  bool byte_fallback = false;  // a character without a token becomes its "<0xXX>" tokens
  bool fuse_unk = false;       // a run of unknown characters becomes one unk token
  bool ignore_merges = false;  // a word that is a token is that token, whatever the merges say
  int32_t unk = -1;            // -1: unknown symbols are left out
};

class BpeModel {
 public:
  BpeModel(BpeOptions options, const Vocabulary& vocabulary, MergeTable merges);

  // Memory that Encode reuses; one per thread.
  struct Scratch {
    std::vector<int32_t> symbols;
    std::vector<uint32_t> ranks;
    std::vector<uint32_t> previous, next;
    struct Candidate {
      uint64_t order;  // rank, then position: the smallest merges first
      int32_t left, right;
    };
    std::vector<Candidate> heap;
  };

  // Appends the ids of one word to ids.
  void Encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const;

 private:
  void ToSymbols(std::string_view word, std::vector<int32_t>& symbols) const;
  void MergeShort(Scratch& scratch, std::vector<int32_t>& ids) const;
  void MergeLong(Scratch& scratch, std::vector<int32_t>& ids) const;

  BpeOptions options_;
  const Vocabulary* vocabulary_;
  MergeTable merges_;
  std::array<int32_t, 256> byte_ids_;  // the token of each byte, -1 where there is none
};

// The 256 characters by which byte-level vocabularies (GPT-2) write bytes: printable Latin-1 bytes stand for
// themselves, the others for U+0100 on. Token text -> bytes; false when a character is outside the alphabet.
bool BytesOfByteLevelToken(std::string_view token, std::string& bytes);

}  // namespace ecld
