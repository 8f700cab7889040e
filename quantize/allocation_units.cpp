#include "quantize/allocation_units.h"

#include <algorithm>
#include <span>

#include "checkpoint/linear_groups.h"
#include "core/error.h"

namespace ecld {
namespace {

using Roles = std::span<const Role>;

std::string NameOf(const std::vector<TensorSpec>& members) {
  std::string name = members.front().module;
  for (size_t i = 1; i < members.size(); ++i) name += "+" + members[i].module.substr(members[i].module.rfind('.') + 1);
  return name;
}

uint64_t BytesOf(const AllocationUnit& unit, const std::optional<PackedFormat>& format, const ModelConfig& config) {
  uint64_t bytes = 0;
  for (TensorSpec member : unit.members) {
    member.format = format;
    for (const StoredTensor& part : StoredForm(member, config)) bytes += part.Bytes();
  }
  return bytes;
}

}  // namespace

AllocationSpace SpaceOf(const ModelConfig& dense, std::vector<std::optional<PackedFormat>> formats, bool fuse,
                        bool embeddings, bool lm_head) {
  const std::vector<TensorSpec> table = TensorTable(dense);
  AllocationSpace space;
  space.formats = std::move(formats);
  auto add = [&](Roles roles, int64_t layer) {
    AllocationUnit unit{.layer = layer};
    for (Role role : roles) unit.members.push_back(Find(table, role, layer));
    unit.name = NameOf(unit.members);
    space.units.push_back(std::move(unit));
  };
  const auto add_one = [&](Role role, int64_t layer) { add({&role, 1}, layer); };
  if (embeddings) add_one(Role::kEmbedding, -1);
  for (int64_t layer = 0; layer < dense.num_layers; ++layer) {
    for (const LinearGroup& group : kLinearGroups) {
      if (fuse)
        add(group.linears, layer);
      else
        for (Role role : group.linears) add_one(role, layer);
    }
  }
  if (lm_head && !dense.tie_embeddings) add_one(Role::kHead, -1);

  space.fixed_B = WeightFileBytes(dense);
  for (const AllocationUnit& unit : space.units) {
    space.fixed_B -= BytesOf(unit, std::nullopt, dense);
    auto& bytes = space.bytes.emplace_back();
    for (const auto& format : space.formats) bytes.push_back(BytesOf(unit, format, dense));
  }
  return space;
}

Allocation AllocationOf(const ModelConfig& dense, const AllocationSpace& space, const std::vector<size_t>& chosen,
                        const std::string& where) {
  // The format of the most matrices is the main one, which the others are exceptions from.
  std::vector<size_t> uses(space.formats.size());
  Scheme scheme;
  for (size_t i = 0; i < space.units.size(); ++i) {
    uses[chosen[i]] += space.formats[chosen[i]] ? space.units[i].members.size() : 0;
    for (const TensorSpec& member : space.units[i].members)
      scheme.overrides.push_back({member.module, space.formats[chosen[i]]});
  }
  const auto most = std::max_element(uses.begin(), uses.end());
  if (*most == 0) Fail(where, "the budget holds all matrices as they are; there is nothing to allocate");
  scheme.format = *space.formats[static_cast<size_t>(most - uses.begin())];
  ModelConfig quantized = dense;
  quantized.quantization = QuantizationOf(scheme, dense, where);
  return {*quantized.quantization, WeightFileBytes(quantized)};
}

}  // namespace ecld
