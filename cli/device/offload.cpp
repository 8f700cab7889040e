#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>

#include "cli/device/output.h"
#include "cli/device/verbs.h"
#include "core/files.h"
#include "offload/experiment.h"
#include "offload/policies.h"
#include "offload/simulator.h"

namespace ecld {
namespace {

using namespace offload;

constexpr size_t kQueueSamples = 240;

struct Flags {
  ExperimentOptions experiment;
  std::string policy, requests, json;
};

std::string Shown(const MeanInterval& mean) {
  constexpr double kRounding = 1e-9;
  const double reach = mean.high - mean.mean;
  if (!std::isfinite(reach) || reach < kRounding * std::abs(mean.mean)) return fmt::format("{:.4g}", mean.mean);
  return fmt::format("{:.4g} ± {:.2g}", mean.mean, reach);
}

// Rows of metrics that some policy knows, a column for each policy.
std::vector<std::vector<std::string>> Rows(const Study& study, const PointResult& point, bool less_first,
                                           const std::string& heading) {
  std::vector<std::vector<std::string>> rows = {{heading}};
  for (size_t p = less_first ? 1 : 0; p < point.policies.size(); ++p) rows[0].push_back(point.policies[p].policy);
  for (size_t m = 0; m < study.metrics.size(); ++m) {
    const MetricInfo& metric = study.metrics[m];
    std::vector<std::string> row = {
        fmt::format("{}{}", metric.name, metric.unit == "1" ? "" : fmt::format(", {}", metric.unit))};
    bool known = false;
    for (size_t p = less_first ? 1 : 0; p < point.policies.size(); ++p) {
      const auto& mean = (less_first ? point.policies[p].less_first : point.policies[p].metrics)[m];
      row.push_back(mean ? Shown(*mean) : "not known");
      known |= mean.has_value();
    }
    if (known) rows.push_back(std::move(row));
  }
  return rows;
}

void ShowFindings(const Study& study) {
  for (const std::string& line : study.findings) fmt::print("{}\n", line);
  fmt::print("Not measured:\n");
  for (const std::string& line : study.modelled) fmt::print("  {}\n", line);
}

void Show(const ExperimentResult& result, const std::string& json) {
  if (WriteJson(json, ToJson(result))) return;
  for (const PointResult& point : result.points) {
    PrintTable(Rows(result.study, point, false,
                    point.value.empty() ? result.study.name : fmt::format("{}={}", result.swept, point.value)));
    fmt::print("\n");
    if (point.policies.size() < 2 || !point.value.empty()) continue;
    PrintTable(Rows(result.study, point, true, fmt::format("less {}, run by run", point.policies[0].policy)));
    fmt::print("\n");
  }
  fmt::print("Simulated; mean ± half of the 95 % interval, {} runs.\n", result.study.replications);
  ShowFindings(result.study);
}

void WriteRequests(const ExperimentOptions& options, const std::string& file) {
  const World world = LoadWorld(ReadScenario(options.scenario, options.overrides), options.catalogue);
  const std::string& policy = (options.policies.empty() ? world.scenario.policies : options.policies)[0];
  std::string lines = RequestCsvHeader();
  Simulate(world, policy, {.seed = world.scenario.seed, .on_request = [&](const RequestRecord& record) {
                             lines += RequestCsvLine(world, record);
                           }});
  WriteFileAtomically(file, lines);
}

void RunValidate(const Flags& flags) {
  const ExperimentOptions& options = flags.experiment;
  const Study study = ReadStudy(options.scenario, options.overrides, options.catalogue);
  for (const std::string& policy : study.policies) study.require(policy);
  fmt::print("{}: ", study.file);
  ShowFindings(study);
}

void RunSimulate(const Flags& flags) {
  ExperimentOptions options = flags.experiment;
  if (!flags.policy.empty()) options.policies = {flags.policy};
  options.first_policy = true;
  if (!flags.requests.empty()) WriteRequests(options, flags.requests);
  options.queue_samples = kQueueSamples;
  Show(RunExperiment(options), flags.json);
}

void RunCompare(const Flags& flags) {
  ExperimentOptions options = flags.experiment;
  options.queue_samples = kQueueSamples;
  Show(RunExperiment(options), flags.json);
}

void RunSweep(const Flags& flags) { Show(RunExperiment(flags.experiment), flags.json); }

using Run = void (*)(const Flags& flags);

CLI::App* AddPart(CLI::App& verb, const char* name, const char* summary, const std::shared_ptr<Flags>& flags) {
  CLI::App* part = verb.add_subcommand(name, summary);
  ExperimentOptions& options = flags->experiment;
  part->add_option("scenario", options.scenario, "scenario (YAML)")->required()->type_name("FILE");
  part->add_option("--set", options.overrides, "replace a value of the scenario: devices.0.count=50")
      ->allow_extra_args(false)
      ->type_name("PATH=VALUE");
  part->add_option("--catalogue", options.catalogue, "devices (YAML) for \"as\" (default: those that ship)")
      ->type_name("FILE");
  return part;
}

CLI::App* AddRunPart(CLI::App& verb, const char* name, const char* summary, const std::shared_ptr<Flags>& flags) {
  CLI::App* part = AddPart(verb, name, summary, flags);
  part->add_option("--threads", flags->experiment.threads, "runs at once (default: all cores)")
      ->check(CLI::NonNegativeNumber);
  AddJsonFlag(*part, &flags->json);
  return part;
}

void AddPolicies(CLI::App* part, const std::shared_ptr<Flags>& flags) {
  part->add_option("--policies", flags->experiment.policies, "policies (default: those of the scenario)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME,...");
}

}  // namespace

std::function<void()> AddOffload(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  verb.require_subcommand(1);
  std::vector<std::pair<CLI::App*, Run>> parts;
  parts.emplace_back(AddPart(verb, "validate", "check a scenario and all that it names", flags), RunValidate);
  CLI::App* simulate = AddRunPart(verb, "simulate", "run one policy", flags);
  simulate->add_option("--policy", flags->policy, "policy (default: the first of the scenario)")->type_name("NAME");
  simulate->add_option("--requests", flags->requests, "write a line for each request of the first run (CSV)")
      ->type_name("FILE");
  parts.emplace_back(simulate, RunSimulate);
  CLI::App* compare = AddRunPart(verb, "compare", "run policies side by side, with the same chance", flags);
  AddPolicies(compare, flags);
  parts.emplace_back(compare, RunCompare);
  CLI::App* sweep = AddRunPart(verb, "sweep", "compare policies at several values of a number", flags);
  AddPolicies(sweep, flags);
  sweep->add_option("--over", flags->experiment.swept, "users, rate, budget, or a path like network.up_Mbps")
      ->required()
      ->type_name("WHAT");
  sweep->add_option("--values", flags->experiment.values, "values of it")
      ->required()
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("X,...");
  parts.emplace_back(sweep, RunSweep);
  std::string policies;
  for (const Policy& policy : Policies()) policies += fmt::format("  {:<12}{}\n", policy.name, policy.summary);
  policies += fmt::format("  {:<12}{}\n", "learned:DIR", "one that `ecld offload train` wrote");
  for (const Question& question : Questions())
    policies += fmt::format("\nAnd where a scenario asks \"{}\" ({}):\n  {}\n", question.name, question.summary,
                            question.policies);
  verb.footer("Policies:\n" + policies +
              "\nExamples:\n"
              "  ecld-device offload validate offload/scenarios/home.yaml\n"
              "  ecld-device offload simulate offload/scenarios/home.yaml --policy latency --requests requests.csv\n"
              "  ecld-device offload compare offload/scenarios/home.yaml --json offload.json\n"
              "  ecld-device offload sweep offload/scenarios/home.yaml --over users --values 5,10,20,50");
  return [flags, parts] {
    for (const auto& [part, run] : parts)
      if (part->parsed()) run(*flags);
  };
}

}  // namespace ecld
