#include "checkpoint/export/export.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "cli/device/output.h"
#include "cli/workbench/verbs.h"
#include "core/document.h"
#include "core/progress.h"
#include "quantize/scheme.h"

namespace ecld {
namespace {

constexpr DocumentKind kExportDocument{"ecld.export", "1.0.0"};

struct Flags {
  ExportRequest request;
  std::string target, json;
  bool dry_run = false;
};

const std::map<std::string, ExportTarget> kTargets = {{"compressed-tensors", ExportTarget::kCompressedTensors},
                                                      {"gptq", ExportTarget::kGptq},
                                                      {"gguf", ExportTarget::kGguf}};

Json ToJson(const ExportPlan& plan, const Flags& flags) {
  Json rows = Json::array();
  for (const auto& row : plan.rows)
    rows.push_back({{"from", row.from}, {"to", row.to}, {"tensors", row.tensors}, {"bytes", row.bytes}});
  return NewDocument(kExportDocument, {{"out", flags.request.out.string()},
                                       {"target", flags.target},
                                       {"written", !flags.dry_run},
                                       {"output_B", plan.output_B},
                                       {"free_disk_B", plan.free_disk_B},
                                       {"formats", rows},
                                       {"notes", plan.notes}});
}

void Print(const ExportPlan& plan, const Flags& flags) {
  std::vector<std::vector<std::string>> rows = {{"from", "to", "tensors", "size"}};
  for (const auto& row : plan.rows)
    rows.push_back({row.from, row.to, std::to_string(row.tensors), FormatBytes(row.bytes)});
  PrintTable(rows);
  for (const std::string& note : plan.notes) fmt::print("note: {}\n", note);
  fmt::print("\n{}: {} of {} free{}\n", flags.request.out.string(), FormatBytes(plan.output_B),
             FormatBytes(plan.free_disk_B), flags.dry_run ? "; every weight would be the same" : ", read back: equal");
}

void Run(Flags flags) {
  flags.request.target = kTargets.at(flags.target);
  SetInterruptNote("nothing was written at " + flags.request.out.string());
  ExportPlan plan = flags.dry_run ? PlanExport(flags.request) : Export(flags.request);
  if (flags.request.target == ExportTarget::kCompressedTensors)
    for (std::string& note : ClientNotes(ReadConfig(flags.request.checkpoint / "config.json")))
      plan.notes.push_back(std::move(note));
  if (!WriteJson(flags.json, ToJson(plan, flags))) Print(plan, flags);
}

}  // namespace

std::function<void()> AddExport(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  std::vector<std::string> names;
  for (const auto& [name, target] : kTargets) names.push_back(name);
  verb.add_option("checkpoint", flags->request.checkpoint, "checkpoint directory")->required()->type_name("DIR");
  verb.add_option("out,--out", flags->request.out, "what to make: a directory, or for gguf a file")
      ->required()
      ->type_name("PATH");
  verb.add_option("--to", flags->target, "compressed-tensors, gptq or gguf")
      ->required()
      ->check(CLI::IsMember(names).description(""))
      ->type_name("FORMAT");
  verb.add_flag("--dry-run", flags->dry_run, "only check that nothing is lost, and say what it will be");
  verb.add_flag("--overwrite", flags->request.overwrite, "replace an existing output");
  AddJsonFlag(verb, &flags->json);
  verb.footer(
      "Examples:\n"
      "  ecld export model-w4 --to gguf model-w4.gguf\n"
      "  ecld export model-w4 --to gptq model-w4-gptq --dry-run\n"
      "No weight changes: what the format cannot hold exactly is refused by name.");
  return [flags] { Run(*flags); };
}

}  // namespace ecld
