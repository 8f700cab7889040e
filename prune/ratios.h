#pragma once
// How much of each block is kept where it need not be as much everywhere. A block's levels are what it may become, from
// the least to all of it, each by as many parameters more than the one before, so that blocks whose levels add up to
// the same are as large together. Pure: no model.

#include <cstddef>
#include <limits>
#include <optional>
#include <vector>

namespace ecld {

// By block and level, nats per token; kNoLevel: the block may not be of that level.
using LevelCosts = std::vector<std::vector<double>>;
inline constexpr double kNoLevel = std::numeric_limits<double>::infinity();

// The level of each block whose costs together are the least of those whose levels add up to `total`; exact. Of equal
// ones that which gives earlier blocks less. REQUIRES: some choice does.
std::vector<size_t> LeastCosts(const LevelCosts& costs, size_t total);

// The predicted costs of each block, multiplied so that going down from its level costs what it was measured to:
// `rises` is by how much KL rose when this block alone was `stride` levels lower; nothing: it cannot be. A rise is
// mostly noise, and how much of a block's error comes to the output changes little from block to block, so a factor is
// its mean with those of the blocks beside it, its own counted twice; it is never less than a tenth of the median. No
// block may move by more than `radius`.
LevelCosts Corrected(const LevelCosts& predicted, const std::vector<size_t>& levels,
                     const std::vector<std::optional<double>>& rises, size_t stride, size_t radius);

}  // namespace ecld
