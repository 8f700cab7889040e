#include "offload/scenario.h"

#include <set>

#include "core/files.h"
#include "core/hash.h"
#include "core/yaml_reader.h"
#include "offload/policies.h"
#include "offload/reading.h"

namespace ecld::offload {
namespace {

constexpr double kMega = 1e6, kMostMB = 1e7, kMostW = 1e5, kMostJ = 1e9, kMostSeconds = 1e9;

ModelSpec ReadModel(Options& options) {
  return {.profile = NeededText(options, "profile"),
          .as = options.Has("as") ? NeededText(options, "as") : "",
          .where = options.Where("profile")};
}

DeviceSpec ReadDevice(Options options) {
  DeviceSpec device{.name = NeededText(options, "name"),
                    .count = options.Int("count", 1, 1, kMostDevices),
                    .memory_B = kMega * Needed(options, "memory_MB", kLeast, kMostMB),
                    .power_W = Optional(options, "power_W", kLeast, kMostW),
                    .send_W = options.Number("send_W", 1, 0, kMostW, "what sending takes"),
                    .energy_budget_J = Optional(options, "energy_budget_J", kLeast, kMostJ)};
  for (Options& entry : options.List("variants")) {
    device.variants.push_back(ReadModel(entry));
    entry.Finish();
  }
  if (device.variants.empty()) Fail(options.Where(), "\"variants\" is missing: the models that it may hold");
  options.Finish();
  return device;
}

ServerSpec ReadServer(Options options) {
  ServerSpec server{.name = NeededText(options, "name"),
                    .model = ReadModel(options),
                    .batch = options.Int("batch", 8, 1, kMostBatch, "requests that it runs at once"),
                    .cache_B = kMega * Needed(options, "cache_MB", kLeast, kMostMB)};
  options.Finish();
  return server;
}

ItemSpec ReadItems(Options options) {
  ItemSpec items{.tasks = options.Strings("tasks", {}),
                 .uncertainty = options.Choice("uncertainty", "first", {"mean", "max", "first", "last", "p90"}),
                 .foretold = options.Bool("foretold", false, "an ideal: it is known when the request comes"),
                 .calibration_share = options.Number("calibration_share", 0.5, 0.05, 0.95)};
  std::set<std::string> known;
  for (const std::string& task : items.tasks)
    if (!known.insert(task).second) Fail(options.Where("tasks"), "names \"{}\" twice", task);
  options.Finish();
  return items;
}

Limits ReadLimits(Options options) {
  const Limits limits{.accuracy = Optional(options, "accuracy", kLeast, 1),
                      .hallucination = Optional(options, "hallucination", 0, 1),
                      .deadline_s = Optional(options, "deadline_s", kLeast, kMostSeconds)};
  options.Finish();
  return limits;
}

Weights ReadWeights(Options options) {
  const Weights weights{.uncertainty = options.Number("uncertainty", 1, 0, 1e6),
                        .threshold = options.Number("threshold", 0.5, 0, 1),
                        .latency = options.Number("latency", 1, 0, 1e6)};
  options.Finish();
  return weights;
}

template <class Specs>
void RequireNames(const Specs& specs, Options& options, const char* key) {
  if (specs.empty()) Fail(options.Where(), "\"{}\" is missing: a list of one or more", key);
  std::set<std::string> names;
  for (const auto& spec : specs)
    if (!names.insert(spec.name).second) Fail(options.Where(key), "a second one is called \"{}\"", spec.name);
}

}  // namespace

Scenario ParseScenario(std::string_view yaml, const std::string& where, const std::vector<std::string>& overrides) {
  const YAML::Node root = ReadYaml(yaml, where);
  for (const std::string& assignment : overrides) ApplyOverride(root, assignment);
  Options options(root, where, "");
  RequireScenarioVersion(options);
  options.Choice("question", "requests", {"requests"});  // others are for study.h
  Scenario made{.file = where, .sha256 = Sha256Hex(yaml), .name = NeededText(options, "name")};
  ReadReplications(options, &made.seed, &made.replications);
  made.horizon_s = Needed(options, "horizon_s", 1e-3, kMostSeconds);
  made.warmup_s = options.Number("warmup_s", 0, 0, kMostSeconds, "requests that come before count nothing");
  if (made.warmup_s >= made.horizon_s)
    Fail(options.Where("warmup_s"), "{} s leave nothing of horizon_s, {} s", made.warmup_s, made.horizon_s);
  made.epoch_s = options.Number("epoch_ms", 0, 0, 1e6, "between decisions; 0: at each arrival") / 1000;
  made.outside_share = options.Number("outside_share", 0.05, 0, 1, "of look-ups outside the measured grids");
  made.B_per_tok = options.Number("B_per_tok", 4.5, kLeast, 1e6, "sent for a token: text");
  int64_t count = 0;
  for (Options& entry : options.List("devices")) {
    made.devices.push_back(ReadDevice(entry));
    if ((count += made.devices.back().count) > kMostDevices)
      Fail(options.Where("devices"), "are more than {} devices", kMostDevices);
  }
  RequireNames(made.devices, options, "devices");
  for (Options& entry : options.List("servers")) made.servers.push_back(ReadServer(entry));
  RequireNames(made.servers, options, "servers");
  made.network = ReadKind(options, "network", NetworkKinds(), &made.network_kind);
  made.link_known_after_s =
      options.Number("link_known_after_s", 0, 0, kMostSeconds, "policies are shown how a link was so long ago");
  made.requests = ReadKind(options, "requests", RequestKinds(), &made.requests_kind);
  const std::string where_items = options.Has("items") ? options.Where("items") : where;
  made.items = ReadItems(options.Map("items"));
  made.items.where = where_items;
  made.limits = ReadLimits(options.Map("limits"));
  made.weights = ReadWeights(options.Map("weights"));
  made.policies = options.Strings("policies", {"local", "nearest", "random", "latency"});
  if (made.policies.empty()) Fail(options.Where("policies"), "is empty");
  for (const std::string& policy : made.policies)
    if (!policy.starts_with(kLearned)) FindPolicy(policy, options.Where("policies"));
  options.Finish();
  made.resolved = WriteYaml(options.resolved());
  return made;
}

Scenario ReadScenario(const std::string& file, const std::vector<std::string>& overrides) {
  return ParseScenario(ReadTextFile(file), file, overrides);
}

}  // namespace ecld::offload
