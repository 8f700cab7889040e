#include "profile/lookup.h"

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "core/error.h"

namespace ecld {
namespace {

struct Point {
  double value;
  char src;
};
using Grid = std::map<double, std::map<double, Point>>;  // [batch][prompt_tok]

Grid ReadGrid(const Table& phase, std::string_view column) {
  bool found = false;
  for (const Column& declared : phase.schema().columns)
    found |= declared.name == column && (declared.type == ColumnType::kNumber || declared.type == ColumnType::kCount);
  if (!found) Fail(fmt::format("{}.csv", phase.schema().name), "has no column of numbers \"{}\"", column);
  Grid grid;
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    auto batch = phase.Number(row, "batch"), prompt = phase.Number(row, "prompt_tok"),
         value = phase.Number(row, column);
    if (batch && prompt && value && *batch >= 1 && *prompt >= 1)
      grid[*batch][*prompt] = {*value, phase.Text(row, "src")[0]};
  }
  return grid;
}

// The neighbours of x among the keys of an axis with the share of the upper one; empty outside the axis.
struct Side {
  double at;
  double share;
};
template <class Axis>
std::vector<Side> Bracket(const Axis& axis, double x) {
  auto above = axis.lower_bound(x);
  if (above == axis.end()) return {};
  if (above->first == x) return {{x, 1}};
  if (above == axis.begin()) return {};
  auto below = std::prev(above);
  double share = std::log(x / below->first) / std::log(above->first / below->first);
  return {{below->first, 1 - share}, {above->first, share}};
}

char Weaker(char a, char b) {
  for (const Source& source : Sources()) {
    if (source.letter == a) return b;
    if (source.letter == b) return a;
  }
  return a;
}

}  // namespace

Estimate LookUpPhase(const Table& phase, std::string_view column, double prompt_tok, double batch) {
  if (!(prompt_tok >= 1 && batch >= 1) || !std::isfinite(prompt_tok) || !std::isfinite(batch))
    Fail("look-up", "prompt_tok {} and batch {} must be numbers of 1 or more", prompt_tok, batch);
  const Estimate nothing{.value = std::numeric_limits<double>::quiet_NaN(), .src = 'i', .in_range = false};
  Grid grid = ReadGrid(phase, column);

  // A prompt length is on the axis when any batch was measured there.
  std::map<double, bool> prompts;
  for (const auto& [unused, by_prompt] : grid)
    for (const auto& [prompt, point] : by_prompt) prompts[prompt] = true;
  std::vector<Side> batch_sides = Bracket(grid, batch), prompt_sides = Bracket(prompts, prompt_tok);
  if (batch_sides.empty() || prompt_sides.empty()) return nothing;

  Estimate estimate{.value = 0, .src = 'm', .in_range = true};
  if (batch_sides.size() * prompt_sides.size() > 1) estimate.src = 'i';
  for (const Side& b : batch_sides) {
    for (const Side& p : prompt_sides) {
      auto it = grid.at(b.at).find(p.at);
      if (it == grid.at(b.at).end()) return nothing;
      estimate.value += b.share * p.share * it->second.value;
      estimate.src = Weaker(estimate.src, it->second.src);
    }
  }
  return estimate;
}

}  // namespace ecld
