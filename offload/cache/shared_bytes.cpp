#include "offload/cache/shared_bytes.h"

#include "core/document.h"
#include "core/error.h"
#include "core/files.h"

namespace ecld::offload {

void SharedBytes::Add(const std::vector<NamedBlock>& blocks, const std::string& where) {
  if (variants_ == kMostVariants) Fail(where, "there are more than {} variants", kMostVariants);
  const VariantSet own = SetOf(variants_++);
  for (const NamedBlock& block : blocks) {
    const auto [found, is_new] = blocks_.try_emplace(block.id, Block{.bytes = block.bytes});
    if (found->second.bytes != block.bytes)
      Fail(where, "block {} has {} bytes, and {} in a variant before: equal blocks are equally long", block.id,
           block.bytes, found->second.bytes);
    found->second.of |= own;
  }
  std::map<VariantSet, double> bytes;
  for (const auto& [id, block] : blocks_) bytes[block.of] += block.bytes;
  pieces_.clear();
  for (const auto& [of, total] : bytes) pieces_.push_back({.bytes = total, .of = of});
}

double SharedBytes::Of(VariantSet variants) const {
  double bytes = 0;
  for (const Block& piece : pieces_)
    if ((piece.of & variants) != 0) bytes += piece.bytes;
  return bytes;
}

std::vector<NamedBlock> ParseInspected(std::string_view json, const std::string& where, const std::string& unit) {
  const Json parsed = ParseJson(json, where);
  const JsonView document(parsed, where);
  RequireKind(document, kInspectDocument);
  const JsonView list = document.At(unit);
  std::vector<NamedBlock> blocks;
  for (size_t i = 0; i < list.Size(); ++i) {
    const int64_t bytes = list.At(i).At("bytes").Int();
    if (bytes < 0) Fail(list.At(i).At("bytes").Where(), "is {}, 0 or more would be right", bytes);
    blocks.push_back({.id = list.At(i).At("sha256").String(), .bytes = static_cast<double>(bytes)});
  }
  if (blocks.empty()) Fail(list.Where(), "is empty");
  return blocks;
}

std::vector<NamedBlock> ReadInspected(const std::string& file, const std::string& unit) {
  return ParseInspected(ReadTextFile(file), file, unit);
}

}  // namespace ecld::offload
