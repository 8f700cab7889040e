#include "report/report.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/device/verbs.h"
#include "core/error.h"
#include "core/files.h"
#include "report/report_charts.h"

namespace ecld {
namespace {

struct Flags {
  std::vector<std::filesystem::path> inputs;
  std::filesystem::path catalogue, out, charts;
};

void Run(const Flags& flags) {
  for (const std::filesystem::path& input : flags.inputs)
    if (std::error_code error; std::filesystem::equivalent(input, flags.out, error))
      Fail(flags.out.string(), "is an input, and would be replaced");
  const Report report = ReadReport(flags.inputs, flags.catalogue);
  WriteFileAtomically(flags.out, ReportHtml(report));
  fmt::print("{}\n", flags.out.string());
  if (flags.charts.empty()) return;
  for (const std::filesystem::path& chart : WriteCharts(report, flags.charts)) fmt::print("{}\n", chart.string());
}

}  // namespace

std::function<void()> AddReport(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  verb.add_option("inputs", flags->inputs,
                  "results of `eval`, `scores` and `offload` with --json, device profiles, a run's report.json, or "
                  "folders of these; what has the same weights is one checkpoint")
      ->required()
      ->check(CLI::ExistingPath)
      ->type_name("FILE|DIR");
  verb.add_option("--out", flags->out, "page to write (HTML, needs nothing else)")->required()->type_name("FILE");
  verb.add_option(
          "--catalogue", flags->catalogue,
          "devices (YAML) to ask whether they can run it, and what energy takes there (default: those that ship)")
      ->type_name("FILE");
  verb.add_option("--charts", flags->charts, "folder that gets its charts as files of their own (SVG)")
      ->type_name("DIR");
  verb.footer(
      "Examples:\n"
      "  ecld-device report dense.json w4.json model.profile model-w4.profile --out report.html\n"
      "  ecld-device report results-dense results-w4 results-w3 --out report.html\n"
      "  ecld-device report results --out report.html --charts charts");
  return [flags] { Run(*flags); };
}

}  // namespace ecld
