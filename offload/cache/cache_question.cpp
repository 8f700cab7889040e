#include "offload/cache/cache_question.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/progress.h"
#include "offload/cache/cache_scenario.h"
#include "offload/cache/placement.h"
#include "offload/reading.h"
#include "offload/streams.h"

namespace ecld::offload {
namespace {

constexpr double kMega = 1e6;

struct PolicyRow {
  const char* name;
  Placement (*place)(const PlacementProblem&);  // nullptr: by what was asked for last
};
constexpr PolicyRow kPolicies[] = {{"popular", PopularFirst},
                                   {"lru", nullptr},
                                   {"separate", GreedySeparate},
                                   {"greedy", Greedy},
                                   {"exhaustive", Exhaustive}};

const PolicyRow& RowOf(const std::string& policy, const std::string& where) {
  std::vector<std::string> names;
  for (const PolicyRow& row : kPolicies) {
    if (policy == row.name) return row;
    names.emplace_back(row.name);
  }
  Fail(where, "there is no policy \"{}\"{}", policy, DidYouMean(policy, names));
}

struct CacheWorld {
  CacheSpec spec;
  SharedBytes bytes;
  StartNetwork network;

  bool small() const { return bytes.variants() <= kMostExhaustive; }
};

// What a device gets for a request, and how long that takes.
struct Delivery {
  double sent_B = 0, fetched_B = 0, seconds = 0;
};

Delivery DeliveryOf(const CacheWorld& world, size_t variant, VariantSet on_device, VariantSet on_server,
                    const Link& link) {
  const CacheSpec& spec = world.spec;
  const VariantSet held = spec.whole ? 0 : on_device;
  Delivery made{.sent_B = world.bytes.Lacking(variant, held),
                .fetched_B = world.bytes.Lacking(variant, held | on_server)};
  if (made.sent_B > 0) made.seconds += link.rtt_s + 8 * made.sent_B / link.down_bps;
  if (made.fetched_B > 0) made.seconds += spec.backhaul_s + 8 * made.fetched_B / spec.backhaul_bps;
  return made;
}

// Requests by a popularity are hits where a variant is kept: of those whose devices get it in time, at the beginning
// and whole.
PlacementProblem ProblemOf(const CacheWorld& world, const std::vector<double>& popularity,
                           const std::vector<Link>& links) {
  PlacementProblem problem{.bytes = &world.bytes, .worth = popularity, .storage_B = world.spec.storage_B};
  if (!world.spec.deadline_s) return problem;
  for (size_t v = 0; v < popularity.size(); ++v) {
    const auto in_time = std::ranges::count_if(links, [&](const Link& link) {
      return DeliveryOf(world, v, 0, SetOf(v), link).seconds <= *world.spec.deadline_s;
    });
    problem.worth[v] *= static_cast<double>(in_time) / static_cast<double>(links.size());
  }
  return problem;
}

struct Sums {
  double requests = 0, hits = 0, seconds = 0, sent_B = 0, fetched_B = 0;

  std::optional<double> PerRequest(double sum) const {
    return requests > 0 ? std::optional(sum / requests) : std::nullopt;
  }
};

// What one run says.
struct CacheRun {
  using Figure = std::optional<double>;
  Figure hit_rate, hit_expected, below_exhaustive, delivery_mean, delivery_p95, sent, fetched, kept, stored;
  Figure changed_hit_rate, changed_delivery_mean, changed_hit_expected, anew_hit_expected, anew_fetched;
};

struct CacheMetric {
  MetricInfo info;
  CacheRun::Figure CacheRun::*of;
};
constexpr CacheMetric kCacheMetrics[] = {{{"hit_rate", "1", true}, &CacheRun::hit_rate},
                                         {{"hit_expected", "1", true}, &CacheRun::hit_expected},
                                         {{"below_exhaustive", "1", false}, &CacheRun::below_exhaustive},
                                         {{"delivery_mean", "s", false}, &CacheRun::delivery_mean},
                                         {{"delivery_p95", "s", false}, &CacheRun::delivery_p95},
                                         {{"sent", "MB/request", false}, &CacheRun::sent},
                                         {{"fetched", "MB/request", false}, &CacheRun::fetched},
                                         {{"kept", "variants", true}, &CacheRun::kept},
                                         {{"stored", "MB", false}, &CacheRun::stored},
                                         {{"changed_hit_rate", "1", true}, &CacheRun::changed_hit_rate},
                                         {{"changed_delivery_mean", "s", false}, &CacheRun::changed_delivery_mean},
                                         {{"changed_hit_expected", "1", true}, &CacheRun::changed_hit_expected},
                                         {{"anew_hit_expected", "1", true}, &CacheRun::anew_hit_expected},
                                         {{"anew_fetched", "MB", false}, &CacheRun::anew_fetched}};

// What is known of a placement before any request.
void AddExpected(const CacheWorld& world, const PolicyRow& row, const std::vector<Link>& links,
                 const Placement& placement, CacheRun* run) {
  const PlacementProblem problem = ProblemOf(world, world.spec.popularity, links);
  run->hit_expected = placement.worth;
  if (world.small()) run->below_exhaustive = Exhaustive(problem).worth - placement.worth;
  run->kept = std::popcount(placement.kept);
  run->stored = world.bytes.Of(placement.kept) / kMega;
  if (world.spec.changed.empty()) return;
  const PlacementProblem changed = ProblemOf(world, world.spec.changed, links);
  const Placement anew = row.place(changed);
  run->changed_hit_expected = WorthOf(changed, placement.kept);
  run->anew_hit_expected = anew.worth;
  run->anew_fetched = (world.bytes.Of(placement.kept | anew.kept) - world.bytes.Of(placement.kept)) / kMega;
}

size_t Drawn(const std::vector<double>& shares, double uniform) {
  size_t v = 0;
  while (v + 1 < shares.size() && (uniform -= shares[v]) >= 0) ++v;
  return v;
}

OneRun RunCache(const CacheWorld& world, const PolicyRow& row, uint64_t seed) {
  const CacheSpec& spec = world.spec;
  const auto devices = static_cast<size_t>(spec.devices);
  const auto network = world.network({devices, 1}, seed);
  std::vector<Link> links;
  for (size_t d = 0; d < devices; ++d) links.push_back(network->At(d, 0, 0));
  Placement placement;
  if (row.place) placement = row.place(ProblemOf(world, spec.popularity, links));
  RecentlyUsed recent(&world.bytes, spec.storage_B);
  std::vector<RecentlyUsed> on_device(devices, RecentlyUsed(&world.bytes, spec.device_storage_B));
  Random arrivals = StreamOf(seed, Draws::kArrivals, 0), items = StreamOf(seed, Draws::kItems, 0);
  DurationHistogram times;
  Sums before, after;
  for (double now_s = 0;;) {
    now_s += Exponential(arrivals, 1 / (spec.rate_per_s * static_cast<double>(devices)));
    if (now_s >= spec.horizon_s) break;
    const auto device = static_cast<size_t>(arrivals.Below(devices));
    const bool changed = !spec.changed.empty() && now_s >= spec.horizon_s / 2;
    const size_t variant = Drawn(changed ? spec.changed : spec.popularity, items.Uniform());
    const VariantSet kept = row.place ? placement.kept : recent.held();
    const Delivery delivery =
        DeliveryOf(world, variant, on_device[device].held(), kept, network->At(device, 0, FromSeconds(now_s)));
    on_device[device].Use(variant);
    recent.Use(variant);
    Sums& sums = changed ? after : before;
    ++sums.requests;
    sums.hits += (kept & SetOf(variant)) != 0 && delivery.seconds <= spec.deadline_s.value_or(INFINITY);
    sums.seconds += delivery.seconds;
    sums.sent_B += delivery.sent_B;
    sums.fetched_B += delivery.fetched_B;
    if (!changed) times.Add(FromSeconds(delivery.seconds));
  }
  CacheRun found;
  found.hit_rate = before.PerRequest(before.hits);
  found.delivery_mean = before.PerRequest(before.seconds);
  if (before.requests > 0) found.delivery_p95 = times.Quantile(0.95);
  found.sent = before.PerRequest(before.sent_B / kMega);
  found.fetched = before.PerRequest(before.fetched_B / kMega);
  found.changed_hit_rate = after.PerRequest(after.hits);
  found.changed_delivery_mean = after.PerRequest(after.seconds);
  if (row.place) AddExpected(world, row, links, placement, &found);
  OneRun run;
  run.arrived = run.completed = static_cast<int64_t>(before.requests + after.requests);
  for (const CacheMetric& metric : kCacheMetrics) run.values.push_back(found.*metric.of);
  return run;
}

// Hits over the server's storage, of what is chosen in advance.
Json StoragePicture(const CacheWorld& world, const std::vector<std::string>& policies) {
  constexpr int kPoints = 100;
  VariantSet all = 0;
  for (size_t v = 0; v < world.bytes.variants(); ++v) all |= SetOf(v);
  Json series = Json::array();
  for (const std::string& policy : policies) {
    const PolicyRow& row = RowOf(policy, "");
    if (!row.place || (row.place == Exhaustive && !world.small())) continue;
    Json x = Json::array(), y = Json::array();
    for (int i = 0; i <= kPoints; ++i) {
      const double storage_B = world.bytes.Of(all) * i / kPoints;
      const double worth =
          row.place({.bytes = &world.bytes, .worth = world.spec.popularity, .storage_B = storage_B}).worth;
      if (i > 0 && i < kPoints && worth == y.back().get<double>()) continue;
      x.push_back(storage_B / kMega);
      y.push_back(worth);
    }
    series.push_back({{"name", policy}, {"x", std::move(x)}, {"y", std::move(y)}, {"step", true}});
  }
  return {{"title", "hits expected over the server's storage"},
          {"x", "storage of the server, MB"},
          {"y", "share of the requests"},
          {"from_zero", true},
          {"series", std::move(series)}};
}

void AddFindings(const CacheWorld& world, Study* study) {
  double separate_B = 0;
  VariantSet all = 0;
  for (size_t v = 0; v < world.bytes.variants(); ++v) {
    separate_B += world.bytes.Of(SetOf(v));
    all |= SetOf(v);
  }
  study->findings = {fmt::format("{} variants of {} one by one, {} with what they share once; the server holds {}",
                                 world.bytes.variants(), FormatBytes(static_cast<uint64_t>(separate_B)),
                                 FormatBytes(static_cast<uint64_t>(world.bytes.Of(all))),
                                 FormatBytes(static_cast<uint64_t>(world.spec.storage_B)))};
  for (size_t v = 0; v < world.bytes.variants(); ++v) {
    const double own_B = world.bytes.Lacking(v, all & ~SetOf(v));
    study->findings.push_back(fmt::format(
        "{}: {}, {}; asked for by {:.1f} %", world.spec.variants[v].name,
        FormatBytes(static_cast<uint64_t>(world.bytes.Of(SetOf(v)))),
        own_B > 0 ? fmt::format("{} in no other", FormatBytes(static_cast<uint64_t>(own_B))) : "all in others too",
        100 * world.spec.popularity[v]));
  }
}

void LoadCache(const CacheSpec& spec, Study* study) {
  const auto world = std::make_shared<CacheWorld>(CacheWorld{.spec = spec});
  for (const VariantSpec& variant : spec.variants) {
    world->bytes.Add(variant.inspected.empty() ? variant.blocks : ReadInspected(variant.inspected, spec.unit),
                     variant.where);
    const double bytes = world->bytes.Of(SetOf(world->bytes.variants() - 1));
    if (bytes > spec.device_storage_B)
      Fail(variant.where, "{} has {}, and no device can hold it: devices.storage_MB are {}", variant.name,
           FormatBytes(static_cast<uint64_t>(bytes)), spec.device_storage_B / kMega);
  }
  world->network = spec.network();
  study->policies = spec.policies;
  for (const CacheMetric& metric : kCacheMetrics) study->metrics.push_back(metric.info);
  study->modelled = {
      "bytes: those of weights, without tokenizers and settings",
      "downloads neither share rates nor wait for one another; what is fetched arrives before it is sent",
      fmt::format("the network: {}", spec.network_kind)};
  AddFindings(*world, study);
  study->pictures = {StoragePicture(*world, spec.policies)};
  study->require = [world, file = study->file](const std::string& policy) {
    if (RowOf(policy, file).place == Exhaustive && !world->small())
      Fail(file, "policy exhaustive tries all sets of up to {} variants; there are {}", kMostExhaustive,
           world->bytes.variants());
  };
  study->run = [world, file = study->file](const std::string& policy, uint64_t seed, size_t) {
    return RunCache(*world, RowOf(policy, file), seed);
  };
}

}  // namespace

LoadStudy ReadCache(Options& options) {
  CacheSpec spec = ReadCacheSpec(options);
  spec.policies = options.Strings("policies", {"popular", "lru", "separate", "greedy", "exhaustive"});
  if (spec.policies.empty()) Fail(options.Where("policies"), "is empty");
  for (const std::string& policy : spec.policies) RowOf(policy, options.Where("policies"));
  return [spec](Study* study, const std::string&) { LoadCache(spec, study); };
}

}  // namespace ecld::offload
