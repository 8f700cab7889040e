#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "cli/device/output.h"
#include "cli/device/runtime_flags.h"
#include "cli/device/verbs.h"
#include "profiler/profile_device.h"

namespace ecld {
namespace {

struct Flags {
  ProfileOptions profile;
  bool only_scores = false;
  std::string as_device, catalogue;
  std::string json, split_text;
};

DeviceProfile Make(const Flags& flags) {
  const ProfileOptions& options = flags.profile;
  if (flags.only_scores) return RescoreProfile(options.out, options.model, options.scores);
  if (!flags.as_device.empty()) return ModelProfile(options, flags.as_device, flags.catalogue);
  return MeasureProfile(options);
}

void Run(Flags flags) {
  ProfileOptions& options = flags.profile;
  options.split_text = ParseTextSource(flags.split_text, true);
  const DeviceProfile profile = Make(flags);
  if (WriteJson(flags.json, ReadJsonFile(options.out / "profile.json"))) return;
  std::vector<std::vector<std::string>> rows = {{"table", "rows", "status"}};
  for (const auto& [name, table] : profile.tables)
    rows.push_back({name, std::to_string(table.table.rows().size()), std::string(Name(table.status))});
  PrintTable(rows);
  fmt::print("\n{}\n", options.out.string());
}

}  // namespace

std::function<void()> AddProfile(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  ProfileOptions& options = flags->profile;
  verb.add_option("model", options.model, "checkpoint directory")->type_name("DIR");
  verb.add_option("--out", options.out, "profile directory to write, replaced whole")->type_name("DIR");
  auto* eval = verb.add_option("--eval", options.scores.results,
                               "results of `eval --json` for this checkpoint, for the table of quality")
                   ->type_name("FILE");
  auto* samples = verb.add_option("--samples", options.scores.samples,
                                  "what `eval --tasks --samples` wrote with them, for the tables of uncertainty")
                      ->type_name("DIR")
                      ->needs(eval);
  verb.add_option("--planned-lengths", options.scores.planned_lengths,
                  "lengths of answers as a planner foresaw them, {\"gsm8k/0\": tokens, ...} (default: their mean)")
      ->type_name("FILE")
      ->needs(samples);
  auto* only_scores =
      verb.add_flag("--only-scores", flags->only_scores, "add these to the profile in --out; measure nothing")
          ->needs(eval);
  auto* as = verb.add_option("--as", flags->as_device,
                             "a device of the catalogue: model its times by its roofline; measure nothing")
                 ->type_name("ID");
  verb.add_option("--catalogue", flags->catalogue, "devices (YAML; default: those that ship)")
      ->type_name("FILE")
      ->needs(as);
  auto* split = verb.add_option("--split-text", flags->split_text,
                                "a text on which to measure what damage between two blocks costs")
                    ->type_name("FILE[:KEY=VALUE,...]")
                    ->excludes(as)
                    ->excludes(only_scores);
  verb.add_option("--split-windows", options.split_windows, "windows of 512 tokens of it; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->needs(split);
  verb.add_flag("--split-full", options.split_full, "the whole grid of cuts and damages (9 by 22), as with --full")
      ->needs(split);
  verb.add_flag("--full", options.full, "the whole grid of prompt lengths and batch sizes; takes long");
  verb.add_option("--budget", options.budget_s, "seconds after which no new point starts; 0: no limit")
      ->capture_default_str();
  verb.add_option("--energy-window", options.energy_window_s,
                  "seconds over which energy is measured, each time (default: 2; with --full 10)")
      ->check(CLI::PositiveNumber);
  verb.add_option("--threads", options.threads, "CPU threads (default: all)")->check(CLI::NonNegativeNumber);
  verb.add_option("--device-id", options.device_id, "name of this device (default: its CPU)");
  verb.add_option("--variant-id", options.variant_id, "name of the model variant (default: the directory)");
  verb.add_option("--base-model", options.base_model, "what the variant was made from");
  AddRuntimeFlags(verb, &options.runtime);
  AddJsonFlag(verb, &flags->json);
  verb.footer(
      "Examples:\n"
      "  ecld-device profile model-w4 --out model-w4.profile\n"
      "  ecld-device profile model-w4 --out model-w4.profile --eval result.json --full\n"
      "  ecld-device profile model-w4 --out model-w4.profile --only-scores --eval tasks.json --samples log\n"
      "  ecld-device profile model-w4 --out model-w4.profile --split-text held-out.txt --split-windows 8\n"
      "  ecld-device profile model-w4 --out phone.profile --as raspberry-pi-5-8gb\n"
      "  ecld-device profile export model-w4.profile --format vidur --out model-w4.vidur");
  CLI::App* exported = verb.add_subcommand("export", "write a profile in the form of another program");
  verb.callback([flags, exported] {
    if (exported->parsed()) return;
    if (flags->profile.model.empty()) throw CLI::RequiredError("model");
    if (flags->profile.out.empty()) throw CLI::RequiredError("--out");
  });
  return
      [flags, exported, run_export = AddProfileExport(*exported)] { exported->parsed() ? run_export() : Run(*flags); };
}

}  // namespace ecld
