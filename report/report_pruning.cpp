// What runs took away, on the page: from the rows of the prune passes in what `compress` wrote.

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "report/report_charts.h"

namespace ecld {
namespace {

std::vector<std::pair<std::string, std::vector<double>>> RowsOf(const JsonView& stage) {
  std::vector<std::pair<std::string, std::vector<double>>> rows;
  const JsonView details = stage.At("details");
  if (!details.Has("blocks")) return rows;
  const JsonView blocks = details.At("blocks");
  for (size_t layer = 0; layer < blocks.Size(); ++layer) {
    const JsonView block = blocks.At(layer);
    const bool channels = block.Has("kept_channels");
    if (!block.Has("of") || !(channels || block.Has("kept_heads"))) return {};
    const int64_t all = block.At("of").Int();
    if (all < 1) Fail(block.At("of").Where(), "expected 1 or more, found {}", all);
    const auto row = [&](size_t index, const std::string& name) -> double& {
      if (index == rows.size()) rows.emplace_back(name, std::vector<double>(blocks.Size()));
      return rows[index].second[layer];
    };
    if (channels) {
      row(0, "FFN") = static_cast<double>(block.At("kept_channels").Int()) / static_cast<double>(all);
      continue;
    }
    for (size_t head = 0; head < static_cast<size_t>(all); ++head) row(head, fmt::format("head {}", head));
    const JsonView kept = block.At("kept_heads");
    for (size_t i = 0; i < kept.Size(); ++i) {
      const int64_t head = kept.At(i).Int();
      if (head < 0 || head >= all) Fail(kept.At(i).Where(), "expected a head below {}, found {}", all, head);
      row(static_cast<size_t>(head), "") = 1;
    }
  }
  return rows;
}

}  // namespace

void AddPruning(const JsonView& run, std::vector<PruningRun>* runs) {
  const JsonView stages = run.At("stages");
  for (size_t i = 0; i < stages.Size(); ++i) {
    if (!stages.At(i).Has("details")) continue;
    PruningRun found{
        .name = fmt::format("{}, {}", run.At("recipe").At("name").String(), stages.At(i).At("pass").String()),
        .kept = RowsOf(stages.At(i))};
    if (!found.kept.empty()) runs->push_back(std::move(found));
  }
}

std::vector<ReportChart> PruningCharts(const Report& report) {
  std::vector<ReportChart> charts;
  for (const PruningRun& run : report.pruned) {
    ReportChart made{.chart = {.title = "what is left of each block: " + run.name,
                               .description = "share of what the block had, the darker the more",
                               .x = {.title = "decoder block"},
                               .y = {},
                               .series = {},
                               .cells = {}},
                     .note = "the darker, the more is left; pointed at, a cell says its share"};
    for (const auto& [name, shares] : run.kept) {
      made.chart.cells.push_back({name, shares});
      const auto [least, most] = std::ranges::minmax(shares);
      if (run.kept.size() == 1) made.note += fmt::format("; {}: {:.3g} to {:.3g}", name, least, most);
    }
    charts.push_back(std::move(made));
  }
  return charts;
}

}  // namespace ecld
