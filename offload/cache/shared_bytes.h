#pragma once
// Variants of one model as what they share: a block that several have is stored once and sent once. Blocks are told
// apart by their hashes alone, and all that matters of one is which variants have it and how long it is; so those that
// exactly the same variants have are one piece here.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ecld::offload {

using VariantSet = uint64_t;  // bit i: variant i
inline constexpr size_t kMostVariants = 64;
inline constexpr VariantSet SetOf(size_t variant) { return VariantSet{1} << variant; }

struct NamedBlock {
  std::string id;  // equal: the same bytes
  double bytes = 0;
};

class SharedBytes {
 public:
  // Adds the next variant; a block that it has twice counts once. where: for errors. THROWS Error: a block is longer or
  // shorter than it was in a variant before; there are too many variants.
  void Add(const std::vector<NamedBlock>& blocks, const std::string& where);

  size_t variants() const { return variants_; }
  // Of all blocks that any of them has, each once.
  double Of(VariantSet variants) const;
  // Of the variant's blocks, those that none of the others has.
  double Lacking(size_t variant, VariantSet held) const { return Of(held | SetOf(variant)) - Of(held); }

 private:
  struct Block {
    double bytes = 0;
    VariantSet of = 0;
  };

  size_t variants_ = 0;
  std::map<std::string, Block> blocks_;  // by id
  std::vector<Block> pieces_;
};

// The blocks of a checkpoint as `ecld-device inspect --json` wrote them; unit: "blocks" or "tensors". THROWS Error.
std::vector<NamedBlock> ParseInspected(std::string_view json, const std::string& where, const std::string& unit);
std::vector<NamedBlock> ReadInspected(const std::string& file, const std::string& unit);

}  // namespace ecld::offload
