#include "offload/cache/cache_scenario.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "offload/reading.h"

namespace ecld::offload {
namespace {

constexpr double kMega = 1e6, kMostMB = 1e9;

VariantSpec ReadVariant(Options& options) {
  VariantSpec variant{.name = NeededText(options, "name"), .where = options.Where()};
  if (options.Has("inspect") == options.Has("blocks"))
    Fail(options.Where(),
         "one of these would be right: \"inspect\" (a file of `ecld-device inspect --json`), \"blocks\"");
  if (options.Has("inspect")) {
    variant.inspected = NeededText(options, "inspect");
  } else {
    Options blocks = options.Map("blocks");
    for (const std::string& id : blocks.Keys())
      variant.blocks.push_back({.id = id, .bytes = std::round(kMega * Needed(blocks, id, kLeast, kMostMB))});
    if (variant.blocks.empty()) Fail(options.Where("blocks"), "is empty");
    blocks.Finish();
  }
  options.Finish();
  return variant;
}

size_t IndexOf(const std::string& name, const std::vector<std::string>& names, const std::string& where) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) Fail(where, "there is no variant \"{}\"{}", name, DidYouMean(name, names));
  return static_cast<size_t>(found - names.begin());
}

// By Zipf's law: the n-th is asked for n^-s as often as the first. Or by a weight for each.
std::vector<double> ReadPopularity(Options options, const std::vector<std::string>& names) {
  std::vector<double> shares(names.size(), 0.0);
  if (options.Has("weights")) {
    Options weights = options.Map("weights");
    for (size_t v = 0; v < names.size(); ++v) shares[v] = Needed(weights, names[v], 0, 1e9);
    weights.Finish();
  } else {
    const double exponent = options.Number("zipf", 0.8, 0, 10, "0: all alike");
    const std::vector<std::string> order = options.Strings("order", names, "those asked for most first");
    if (order.size() != names.size())
      Fail(options.Where("order"), "has {} names, each of the {} variants once would be right", order.size(),
           names.size());
    for (size_t rank = 0; rank < order.size(); ++rank) {
      double& share = shares[IndexOf(order[rank], names, options.Where("order"))];
      if (share > 0) Fail(options.Where("order"), "names \"{}\" twice", order[rank]);
      share = std::pow(static_cast<double>(rank + 1), -exponent);
    }
  }
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (sum <= 0) Fail(options.Where("weights"), "are all 0");
  for (double& share : shares) share /= sum;
  options.Finish();
  return shares;
}

}  // namespace

std::vector<std::string> CacheSpec::Names() const {
  std::vector<std::string> names;
  for (const VariantSpec& variant : variants) names.push_back(variant.name);
  return names;
}

CacheSpec ReadCacheSpec(Options& options) {
  CacheSpec spec;
  spec.horizon_s = Needed(options, "horizon_s", 1e-3, 1e9);
  for (Options& entry : options.List("variants")) {
    spec.variants.push_back(ReadVariant(entry));
    const std::string& name = spec.variants.back().name;
    if (std::ranges::count(spec.variants, name, &VariantSpec::name) > 1)
      Fail(spec.variants.back().where, "a second one is called \"{}\"", name);
  }
  if (spec.variants.empty() || spec.variants.size() > kMostVariants)
    Fail(options.Where(), "\"variants\" has {} entries, 1 to {} would be right", spec.variants.size(), kMostVariants);
  spec.popularity = ReadPopularity(options.Map("popularity"), spec.Names());
  if (options.Has("changed_popularity")) spec.changed = ReadPopularity(options.Map("changed_popularity"), spec.Names());
  spec.unit = options.Choice("unit", "blocks", {"blocks", "tensors"}, "what is stored and sent once");
  spec.whole = options.Choice("delivery", "missing", {"missing", "whole"}) == "whole";
  Need(options, "server");
  Options server = options.Map("server");
  spec.storage_B = kMega * Needed(server, "storage_MB", 0, kMostMB);
  spec.backhaul_bps = kMega * Needed(server, "backhaul_Mbps", kLeast, 1e6);
  spec.backhaul_s = server.Number("backhaul_ms", 50, 0, 1e6, "until what is fetched begins to come") / 1000;
  server.Finish();
  Need(options, "devices");
  Options devices = options.Map("devices");
  spec.devices = devices.Int("count", 1, 1, 10'000);
  spec.device_storage_B = kMega * Needed(devices, "storage_MB", kLeast, kMostMB);
  spec.rate_per_s = Needed(devices, "rate_per_s", kLeast, 1e6);
  devices.Finish();
  if (static_cast<double>(spec.devices) * spec.rate_per_s * spec.horizon_s > 1e9)
    Fail(options.Where("devices"), "would ask more than 1e9 times in {} s", spec.horizon_s);
  spec.deadline_s = Optional(options, "deadline_s", kLeast, 1e9);
  spec.network = ReadKind(options, "network", NetworkKinds(), &spec.network_kind);
  return spec;
}

}  // namespace ecld::offload
