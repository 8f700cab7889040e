#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "cli/device/output.h"
#include "cli/device/verbs.h"
#include "cli/workbench/verbs.h"
#include "core/document.h"
#include "core/error.h"
#include "core/progress.h"
#include "offload/learn/planner.h"
#include "offload/learn/training.h"

namespace ecld {
namespace {

constexpr const char *kPpo = "ppo", *kWorldModelPpo = "world-model-ppo";
// What a world model is for.
constexpr const char* kParts[] = {"value-targets", "imagination"};

struct Flags {
  std::string scenario, catalogue, policy = "ppo", out, json;
  std::vector<std::string> set, parts = {kParts[0], kParts[1]};
  offload::TrainingOptions options;
  bool dry_run = false;
};

void Show(const Json& result) {
  std::vector<std::vector<std::string>> rows = {{"on held-out seeds"}};
  for (const Json& seed : result.at("seeds")) {
    rows[0].push_back(fmt::format("seed {}", seed.at("seed").get<int64_t>()));
    for (size_t m = 0; m < seed.at("held_out").size(); ++m) {
      const Json& metric = seed.at("held_out")[m];
      if (rows.size() < m + 2) rows.push_back({metric.at("name").get<std::string>()});
      rows[m + 1].push_back(fmt::format("{:.4g}", metric.at("value").get<double>()));
    }
  }
  PrintTable(rows);
  fmt::print("\nSimulated; means of {} runs. The best: {}.\n", result.at("held_out_runs").get<int64_t>(),
             result.at("best").get<std::string>());
}

offload::PpoSettings SettingsOf(const Flags& flags) {
  offload::PpoSettings settings = offload::OffloadSettings();
  if (flags.policy == kPpo) return settings;
  const auto has = [&](const char* part) { return std::ranges::count(flags.parts, part) > 0; };
  settings.foresight = {.value_targets = has(kParts[0]), .imagination = has(kParts[1])};
  return settings;
}

void Run(const Flags& flags) {
  const offload::World world = offload::LoadWorld(offload::ReadScenario(flags.scenario, flags.set), flags.catalogue);
  const offload::PpoSettings settings = SettingsOf(flags);
  const double rate = offload::MeasureTraining(world, settings);
  const auto steps = static_cast<double>(flags.options.seeds * flags.options.steps);
  fmt::print(stderr, "{} seeds of {} steps at {:.0f} steps/s: about {}\n", flags.options.seeds, flags.options.steps,
             rate, FormatDuration(steps / rate));
  if (flags.dry_run) return;
  SetInterruptNote("The same command goes on where it was stopped.");
  offload::TrainingOptions options = flags.options;
  options.out = flags.out;
  const Json result = offload::Train(world, settings, options);
  if (!WriteJson(flags.json, result)) Show(result);
}

void Foretell(const Flags& flags) {
  const offload::World world = offload::LoadWorld(offload::ReadScenario(flags.scenario, flags.set), flags.catalogue);
  if (world.drawn.empty()) Fail(flags.scenario, "has no items; a planner learns from answers to them");
  std::filesystem::create_directories(flags.out);
  const std::filesystem::path out = flags.out;
  Json nodes = Json::array();
  std::vector<std::vector<std::string>> rows = {
      {"node", "items", "auroc", "by uncertainty", "by task", "calibration error", "length off, tok", "by task"}};
  const auto shown = [](const std::optional<double>& value) { return value ? fmt::format("{:.3g}", *value) : "-"; };
  for (const offload::NodeForetold& node : offload::DistillPlanner(world, world.scenario.seed)) {
    nodes.push_back(offload::ToJson(node));
    WriteJsonFile(out / fmt::format("lengths-{}.json", nodes.size()), offload::PlannedLengths(world, node));
    rows.push_back({node.node, std::to_string(node.items), shown(node.auroc), shown(node.auroc_uncertainty),
                    shown(node.auroc_task), shown(node.calibration_error), shown(node.length_error),
                    shown(node.length_error_task)});
  }
  const Json result = NewDocument({"ecld.planner", "1.0.0"}, {{"scenario", world.scenario.name}, {"nodes", nodes}});
  WriteJsonFile(out / "planner.json", result);
  if (!WriteJson(flags.json, result)) PrintTable(rows);
}

}  // namespace

std::function<void()> AddOffloadWithTraining(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  const std::function<void()> others = AddOffload(verb);
  CLI::App* train = verb.add_subcommand("train", "learn a policy on a scenario; the same command goes on after a stop");
  train->add_option("scenario", flags->scenario, "scenario (YAML)")->required()->type_name("FILE");
  train->add_option("--policy", flags->policy, "what learns")
      ->check(CLI::IsMember({kPpo, kWorldModelPpo}))
      ->capture_default_str();
  train->add_option("--parts", flags->parts, "what the world model is for")
      ->check(CLI::IsMember({kParts[0], kParts[1]}))
      ->delimiter(',')
      ->capture_default_str();
  train->add_option("--out", flags->out, "folder for policies, curves and what to go on from")
      ->required()
      ->type_name("DIR");
  train->add_option("--seeds", flags->options.seeds, "runs that learn")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  train->add_option("--steps", flags->options.steps, "choices that each learns from")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}))
      ->capture_default_str();
  train->add_option("--set", flags->set, "replace a value of the scenario: devices.0.count=50")
      ->allow_extra_args(false)
      ->type_name("PATH=VALUE");
  train->add_option("--catalogue", flags->catalogue, "devices (YAML) for \"as\" (default: those that ship)")
      ->type_name("FILE");
  train->add_flag("--dry-run", flags->dry_run, "say what it will take; learn nothing");
  AddJsonFlag(*train, &flags->json);
  train->footer(
      "Example:\n"
      "  ecld offload train offload/scenarios/home.yaml --policy ppo --seeds 5 --out learned\n"
      "  ecld-device offload simulate offload/scenarios/home.yaml --policy learned:learned");
  CLI::App* planner = verb.add_subcommand(
      "planner", "what a device can foretell of each node's answers before there is any; judged on other items");
  planner->add_option("scenario", flags->scenario, "scenario (YAML), with items")->required()->type_name("FILE");
  planner
      ->add_option("--out", flags->out,
                   "folder for planner.json, and lengths-N.json of each node for `profile "
                   "--planned-lengths`")
      ->required()
      ->type_name("DIR");
  planner->add_option("--set", flags->set, "replace a value of the scenario")
      ->allow_extra_args(false)
      ->type_name("PATH=VALUE");
  planner->add_option("--catalogue", flags->catalogue, "devices (YAML) for \"as\"")->type_name("FILE");
  AddJsonFlag(*planner, &flags->json);
  return [flags, train, planner, others] {
    if (planner->parsed()) return Foretell(*flags);
    if (!train->parsed()) return others();
    if (flags->policy == kPpo && train->count("--parts") > 0)
      Fail("--parts", "is of a world model; --policy {} has one", kWorldModelPpo);
    Run(*flags);
  };
}

}  // namespace ecld
