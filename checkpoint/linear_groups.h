#pragma once
// A decoder block as groups of linears: which of them read the same input, what makes that input, and where their
// outputs go. Whoever runs, rounds, scales, prunes, rotates or fuses linears reads this table; the roles of a group are
// listed nowhere else.

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "checkpoint/tensor_table.h"

namespace ecld {

struct LinearGroup {
  std::string_view name;          // in reports
  std::span<const Role> linears;  // that read the same input; runtimes fuse them
  // What makes that input: a norm of the hidden states, or a linear of this block. To divide an element of the norm, or
  // a row of the linear, and to multiply the column of that channel in this group changes nothing. A head of v stands
  // for the channels of each query head that reads it.
  Role feeder;
  // The linears whose rows go when channels of the input go (of o: whole heads). Empty: channels of the hidden states,
  // which belong to all blocks.
  std::span<const Role> makers;
  // Set where its output is added to the hidden states: the norm behind it, which not every architecture has.
  std::optional<Role> out_norm;

  bool ReadsHidden() const { return makers.empty(); }  // through the norm that feeds it
  bool AddsToHidden() const { return out_norm.has_value(); }
};

namespace linear_groups {
inline constexpr Role kQueryKeyValue[] = {Role::kQuery, Role::kKey, Role::kValue};
inline constexpr Role kOutput[] = {Role::kOutput};
inline constexpr Role kGateUp[] = {Role::kGate, Role::kUp};
inline constexpr Role kDown[] = {Role::kDown};
}  // namespace linear_groups

// In the order in which a block runs them.
inline constexpr std::array<LinearGroup, 4> kLinearGroups = {{
    {"attention", linear_groups::kQueryKeyValue, Role::kInputNorm, {}, std::nullopt},
    {"output", linear_groups::kOutput, Role::kValue, linear_groups::kQueryKeyValue, Role::kAttentionOutNorm},
    {"mlp", linear_groups::kGateUp, Role::kMlpNorm, {}, std::nullopt},
    {"down", linear_groups::kDown, Role::kUp, linear_groups::kGateUp, Role::kMlpOutNorm},
}};

// The index of a linear's group in kLinearGroups; of any other role its size.
constexpr size_t GroupIndex(Role role) {
  for (size_t i = 0; i < kLinearGroups.size(); ++i)
    for (Role linear : kLinearGroups[i].linears)
      if (linear == role) return i;
  return kLinearGroups.size();
}
constexpr bool IsBlockLinear(Role role) { return GroupIndex(role) < kLinearGroups.size(); }

// REQUIRES: IsBlockLinear(role).
constexpr const LinearGroup& GroupOf(Role role) { return kLinearGroups[GroupIndex(role)]; }

// Whether a linear reads what the first of its group reads, so that it is enough to look at that one's input.
constexpr bool SharesInput(Role role) { return IsBlockLinear(role) && GroupOf(role).linears.front() != role; }

// Whether this is the norm in front of a group.
constexpr bool FeedsGroup(Role norm) {
  for (const LinearGroup& group : kLinearGroups)
    if (group.feeder == norm && !IsBlockLinear(norm)) return true;
  return false;
}

inline constexpr auto kBlockLinears = [] {
  std::array<Role, 7> all{};
  size_t count = 0;
  for (const LinearGroup& group : kLinearGroups)
    for (Role linear : group.linears) all[count++] = linear;
  return all;
}();

}  // namespace ecld
