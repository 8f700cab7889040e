#include "offload/world.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "offload/items.h"
#include "offload/policies.h"
#include "profile/query/lookup.h"

namespace ecld::offload {
namespace {

double CacheBytes(const LoadedModel& model, int64_t prompt_tok, int64_t answer_tok) {
  return model.kv_B_per_tok * static_cast<double>(prompt_tok + answer_tok);
}

double LoadSeconds(const LoadedModel& model) {
  const auto& tables = model.profile.tables;
  const Estimate ms = tables.contains("load") ? LookUpLoad(model.profile.At("load"), "load_ms", "disk") : Estimate{};
  if (!ms.in_range)
    Fail(model.where,
         "the variants of the device do not fit into its memory together, and load.csv has no load_ms from disk, which "
         "changing between them takes");
  return ms.value / 1000;
}

// The longest answer that anyone gives.
int64_t LongestAnswer(const Answerer& answerer, int64_t of_source) {
  int64_t longest = of_source;
  for (const Answer& answer : answerer.answers) longest = std::max(longest, answer.tok.value_or(0));
  return longest;
}

void RequireMemory(DeviceClass& device, const RequestSource& requests) {
  double most_cache_B = 0, all_weights_B = 0;
  for (const Answerer& variant : device.variants) {
    const int64_t answer_tok = LongestAnswer(variant, requests.longest_answer_tok);
    const double weights_B = static_cast<double>(variant.model->variant.file_B);
    const double cache_B = CacheBytes(*variant.model, requests.longest_prompt_tok, answer_tok);
    most_cache_B = std::max(most_cache_B, cache_B);
    all_weights_B += weights_B;
    if (weights_B + cache_B > device.spec.memory_B)
      Fail(variant.model->where,
           "weights of {:.1f} MB and caches of {:.1f} MB do not fit into memory_MB of \"{}\", {:.1f}", weights_B / 1e6,
           cache_B / 1e6, device.spec.name, device.spec.memory_B / 1e6);
  }
  const bool changes = all_weights_B + most_cache_B > device.spec.memory_B;
  for (const Answerer& variant : device.variants) device.load_s.push_back(changes ? LoadSeconds(*variant.model) : 0);
}

void RequireCache(const ServerClass& server, const RequestSource& requests) {
  const LoadedModel& model = *server.answerer.model;
  const int64_t answer_tok = LongestAnswer(server.answerer, requests.longest_answer_tok);
  const double cache_B = CacheBytes(model, requests.longest_prompt_tok, answer_tok);
  if (cache_B > server.spec.cache_B)
    Fail(model.where, "the caches of one request take {:.1f} MB; cache_MB of \"{}\" is {:.1f}", cache_B / 1e6,
         server.spec.name, server.spec.cache_B / 1e6);
}

std::vector<double> StretchOf(const ServerClass& server, int64_t ctx_tok) {
  PhaseTimes times(server.answerer.model, {});
  std::vector<double> stretch;
  for (int64_t batch = 1; batch <= server.spec.batch; ++batch)
    stretch.push_back(times.StepSeconds(ctx_tok, batch) / times.StepSeconds(ctx_tok, 1));
  return stretch;
}

void RequireBudget(const DeviceClass& device) {
  if (!device.spec.energy_budget_J) return;
  for (const Answerer& variant : device.variants)
    if (!PhaseTimes(variant.model, device.spec.power_W).KnowsEnergy())
      Fail(variant.model->where,
           "\"{}\" has an energy_budget_J, and the profile has no energy; give power_W, and it is modelled",
           device.spec.name);
}

// What stands for joules that were not measured; empty: they were, or nothing does.
std::string ModelledEnergy(const LoadedModel& model, const DeviceSpec& device) {
  if (model.as && model.as->energy) return fmt::format("by the coefficients of {}", model.as->id);
  if (!model.as && model.mean_W) return "";
  const std::optional<double> power_W = device.power_W ? device.power_W : model.mean_W;
  return power_W ? fmt::format("{} W while it runs", *power_W) : "";
}

void NoteModelled(World& world) {
  const auto note = [&](std::string text) {
    if (std::ranges::find(world.modelled, text) == world.modelled.end()) world.modelled.push_back(std::move(text));
  };
  const auto of_model = [&](const LoadedModel& model, const std::string& name) {
    if (model.as)
      note(fmt::format("times of {} on \"{}\": roofline of {}", model.variant.id, name, model.as->id));
    else if (const Table& phase = model.profile.At("phase"); phase.Text(0, "src") != "m")
      note(fmt::format("times of {} on \"{}\": as its profile says", model.variant.id, name));
  };
  bool choices = world.scenario.items.tasks.empty();
  for (const DeviceClass& device : world.classes)
    for (const Answerer& variant : device.variants) {
      of_model(*variant.model, device.spec.name);
      if (const std::string energy = ModelledEnergy(*variant.model, device.spec); !energy.empty())
        note(fmt::format("energy of \"{}\": {}", device.spec.name, energy));
      for (const Answer& answer : variant.answers) choices |= !answer.tok;
    }
  for (const ServerClass& server : world.servers) of_model(*server.answerer.model, server.spec.name);
  note(fmt::format("lengths of prompts: the scenario's ({})", world.scenario.requests_kind));
  if (choices) note("lengths of answers that no item has: the scenario's");
  note(fmt::format("the network: {}", world.scenario.network_kind));
  if (world.scenario.items.foretold) note("uncertainty that is known when a request comes");
}

}  // namespace

World LoadWorld(Scenario scenario, const std::string& catalogue_file) {
  const DeviceCatalogue catalogue = ReadCatalogue(catalogue_file);
  World world;
  world.requests = scenario.requests();
  if (world.requests.ends < FromSeconds(scenario.horizon_s))
    Fail(scenario.file, "horizon_s is {}, and the trace of requests ends after {:.1f} s", scenario.horizon_s,
         Seconds(world.requests.ends));
  world.network = scenario.network();
  for (const DeviceSpec& spec : scenario.devices) {
    world.class_of.insert(world.class_of.end(), static_cast<size_t>(spec.count), world.classes.size());
    DeviceClass made{.spec = spec};
    for (const ModelSpec& model : spec.variants)
      made.variants.push_back({.model = LoadModel(model.profile, model.as, model.where, catalogue)});
    world.classes.push_back(std::move(made));
  }
  for (const ServerSpec& spec : scenario.servers)
    world.servers.push_back(
        {.spec = spec,
         .answerer = {.model = LoadModel(spec.model.profile, spec.model.as, spec.model.where, catalogue)}});
  world.scenario = std::move(scenario);
  JoinItems(world);
  for (DeviceClass& device : world.classes) {
    RequireMemory(device, world.requests);
    RequireBudget(device);
  }
  for (ServerClass& server : world.servers) {
    RequireCache(server, world.requests);
    server.stretch = StretchOf(server, world.requests.typical_prompt_tok);
  }
  NoteModelled(world);
  return world;
}

DecisionShape ShapeOf(const World& world) {
  DecisionShape shape{.variants = 0, .servers = world.servers.size()};
  for (const DeviceClass& device : world.classes) shape.variants = std::max(shape.variants, device.variants.size());
  return shape;
}

Policy PolicyFor(const World& world, std::string_view policy) {
  Policy found = FindPolicy(policy, world.scenario.file);
  if (const DecisionShape shape = ShapeOf(world); found.shape && *found.shape != shape)
    Fail(world.scenario.file,
         "{} was learned where devices hold {} variants at most and there are {} servers, not {} and {}", policy,
         found.shape->variants, found.shape->servers, shape.variants, shape.servers);
  if (found.probes && world.scenario.items.tasks.empty())
    Fail(world.scenario.items.where, "policy {} asks how sure the device is, and no tasks are given whose items tell",
         policy);
  return found;
}

}  // namespace ecld::offload
