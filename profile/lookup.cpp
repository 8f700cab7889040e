#include "profile/lookup.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "core/error.h"
#include "profile/fit.h"

namespace ecld {
namespace {

struct Point {
  double value;
  char src;
};
using Grid = std::map<double, std::map<double, Point>>;  // [batch][prompt_tok]

constexpr Estimate kNothing{.value = std::numeric_limits<double>::quiet_NaN(), .src = 'i', .in_range = false};

void RequireNumbers(const Table& table, std::string_view column) {
  for (const Column& declared : table.schema().columns)
    if (declared.name == column && (declared.type == ColumnType::kNumber || declared.type == ColumnType::kCount))
      return;
  Fail(fmt::format("{}.csv", table.schema().name), "has no column of numbers \"{}\"", column);
}

Grid ReadGrid(const Table& phase, std::string_view column) {
  RequireNumbers(phase, column);
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

char SourceOf(const JsonView& view) {
  const std::string text = view.String();
  for (const Source& source : Sources())
    if (text == std::string_view(&source.letter, 1)) return source.letter;
  Fail(view.Where(), "expected one of m, f, r, i, c, found \"{}\"", text);
}

// By the roofline of the device, from what the manifest knows of it; the cache's bytes are not in it. 0: not known.
double RooflineMs(const DeviceProfile& profile, std::string_view column, double prompt_tok, double batch) {
  const Json &bandwidth = profile.device["mem_bw_Bps"], &peak = profile.device["peak_fp16_flops"];
  if (!bandwidth.is_number() || bandwidth.get<double>() <= 0) return 0;
  const double read_s = profile.variant["file_B"].get<double>() / bandwidth.get<double>();
  if (column == "tpot_ms") return 1000 * read_s;
  if (!peak.is_number() || peak.get<double>() <= 0) return 0;
  const double flops = 2 * profile.variant["params"].get<double>() * prompt_tok * batch;
  return 1000 * std::max(read_s, flops / peak.get<double>());
}

}  // namespace

Estimate LookUpPhase(const Table& phase, std::string_view column, double prompt_tok, double batch) {
  if (!(prompt_tok >= 1 && batch >= 1) || !std::isfinite(prompt_tok) || !std::isfinite(batch))
    Fail("look-up", "prompt_tok {} and batch {} must be numbers of 1 or more", prompt_tok, batch);
  Grid grid = ReadGrid(phase, column);

  // A prompt length is on the axis when any batch was measured there.
  std::map<double, bool> prompts;
  for (const auto& [unused, by_prompt] : grid)
    for (const auto& [prompt, point] : by_prompt) prompts[prompt] = true;
  std::vector<Side> batch_sides = Bracket(grid, batch), prompt_sides = Bracket(prompts, prompt_tok);
  if (batch_sides.empty() || prompt_sides.empty()) return kNothing;

  Estimate estimate{.value = 0, .src = 'm', .in_range = true};
  if (batch_sides.size() * prompt_sides.size() > 1) estimate.src = 'i';
  for (const Side& b : batch_sides) {
    for (const Side& p : prompt_sides) {
      auto it = grid.at(b.at).find(p.at);
      if (it == grid.at(b.at).end()) return kNothing;
      estimate.value += b.share * p.share * it->second.value;
      estimate.src = WeakerSource(estimate.src, it->second.src);
    }
  }
  return estimate;
}

Estimate LookUpUncertainty(const Table& uncertainty, std::string_view column, std::string_view task,
                           std::string_view aggregate, double of_answer) {
  RequireNumbers(uncertainty, column);
  if (!(of_answer >= 0 && of_answer <= 1)) Fail("look-up", "an uncertainty lies in [0, 1], found {}", of_answer);
  for (size_t row = 0; row < uncertainty.rows().size(); ++row) {
    if (uncertainty.Text(row, "task") != task || uncertainty.Text(row, "agg") != aggregate) continue;
    const auto low = uncertainty.Number(row, "bin_lo"), high = uncertainty.Number(row, "bin_hi");
    if (!low || !high || of_answer < *low || (of_answer >= *high && !(of_answer == 1 && *high == 1))) continue;
    const auto value = uncertainty.Number(row, column);
    if (value) return {.value = *value, .src = uncertainty.Text(row, "src")[0], .in_range = true};
  }
  return kNothing;
}

Estimate LookUp(const DeviceProfile& profile, std::string_view column, double prompt_tok, double batch, Beyond beyond) {
  const Estimate inside = LookUpPhase(profile.At("phase"), column, prompt_tok, batch);
  const bool prefill = column == "prefill_ms";
  if (inside.in_range || beyond == Beyond::kNothing || (!prefill && column != "tpot_ms")) return inside;
  const JsonView fit(profile.fit, "profile.json", "fit");
  const auto fitted = prefill ? FittedPrefillMs(fit, prompt_tok, batch) : FittedDecodeMs(fit, prompt_tok, batch);
  if (fitted) {
    const char rows_src = SourceOf(fit.At(prefill ? "prefill_ms" : "decode_ms").At("src"));
    return {.value = *fitted, .src = WeakerSource('f', rows_src), .in_range = false};
  }
  if (const double ms = RooflineMs(profile, column, prompt_tok, batch); ms > 0)
    return {.value = ms, .src = 'r', .in_range = false};
  return inside;
}

}  // namespace ecld
