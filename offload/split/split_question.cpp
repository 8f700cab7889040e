#include "offload/split/split_question.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "offload/reading.h"
#include "offload/split/split_environment.h"
#include "offload/split/split_policies.h"
#include "offload/split/split_session.h"
#include "offload/split/token_time.h"
#include "offload/streams.h"

namespace ecld::offload {
namespace {

constexpr double kMega = 1e6;

struct SplitSpec {
  std::vector<std::string> policies;
  std::string profile, where, corruption;
  int64_t episodes = 100;
  // Published.
  bool bug = false;
  // Session.
  std::string device_as, server_profile, server_as, server_where;
  std::optional<double> power_W;
  SplitPlan plan;
};

struct Measured {
  std::shared_ptr<const LoadedModel> model;
  EstimateGrid by_cut{EstimateGrid::Scale::kLinear}, by_number{EstimateGrid::Scale::kLinear};  // and level
  std::set<int64_t> cuts;
  std::set<double> levels;
};

Measured ReadMeasured(const SplitSpec& spec, const DeviceCatalogue& catalogue) {
  Measured measured{.model = LoadModel(spec.profile, spec.device_as, spec.where, catalogue)};
  const std::string& where = measured.model->where;
  for (const char* table : {"split_quality", "cuts"})
    if (!measured.model->profile.tables.contains(table))
      Fail(where, "the profile has no table {}; `profile --split-text` makes what is needed here", table);
  const Table& quality = measured.model->profile.At("split_quality");
  RequireNumbers(quality, "ppl_ratio");
  for (size_t row = 0; row < quality.rows().size(); ++row)
    if (quality.Text(row, "corruption") == spec.corruption) {
      measured.cuts.insert(quality.Count(row, "cut").value_or(0));
      measured.levels.insert(quality.Number(row, "level").value_or(0));
    }
  if (measured.cuts.empty()) Fail(where, "split_quality.csv has no row of {}", spec.corruption);
  for (size_t row = 0; row < quality.rows().size(); ++row) {
    if (quality.Text(row, "corruption") != spec.corruption) continue;
    const auto cut = quality.Number(row, "cut"), level = quality.Number(row, "level");
    const auto number = std::distance(measured.cuts.begin(), measured.cuts.find(quality.Count(row, "cut").value_or(0)));
    measured.by_cut.Add(cut, level, quality, row, "ppl_ratio");
    measured.by_number.Add(static_cast<double>(number + 1), level, quality, row, "ppl_ratio");
  }
  return measured;
}

Json QualityPicture(const Measured& measured, const std::string& corruption) {
  constexpr double kWide = 10;  // from here on in decades
  Json series = Json::array();
  double least = INFINITY, most = 0;
  for (const int64_t cut : measured.cuts) {
    Json x = Json::array(), y = Json::array();
    for (const double level : measured.levels)
      if (const Estimate ratio = measured.by_cut.At(static_cast<double>(cut), level); ratio.in_range) {
        x.push_back(level);
        y.push_back(ratio.value);
        least = std::min(least, ratio.value);
        most = std::max(most, ratio.value);
      }
    series.push_back({{"name", fmt::format("cut {}", cut)}, {"x", std::move(x)}, {"y", std::move(y)}});
  }
  return {{"title", "what damage at a cut costs (measured)"},
          {"x", corruption},
          {"y", "perplexity ratio"},
          {"y_log", most > kWide * least},
          {"series", std::move(series)}};
}

double ValueAt(const SolvedProcess& solved, int state) { return solved.value[0][static_cast<size_t>(state)]; }

constexpr MetricInfo kPublishedMetrics[] = {{"reward", "per episode", true},
                                            {"below_dp", "per episode", false},
                                            {"ppl_over_start", "1", false},
                                            {"split", "of 10", true}};

OneRun RunPublished(const SplitSpec& spec, const EstimateGrid& quality, const CutPolicies& named,
                    const std::string& policy, uint64_t seed) {
  double reward = 0, below = 0, ratio = 0, split = 0;
  for (int64_t episode = 0; episode < spec.episodes; ++episode) {
    Random random = StreamOf(seed, Draws::kRegimes, static_cast<uint64_t>(episode));
    const PublishedSplit process(quality, DrawStart(random), spec.bug);
    const SolvedProcess solved = Solve(process);
    const ChooseFunction choose = ChooserOf(named, policy, process, solved, random.Next());
    const double won = Follow(process, choose, process.first(), random, [&](int, int, int, int next) {
      ratio += process.RatioAt(next) / process.RatioAt(process.first());
      split += process.SplitAt(next);
    });
    reward += won;
    below += ValueAt(solved, process.first()) - won;
  }
  const auto episodes = static_cast<double>(spec.episodes), steps = episodes * kPublishedSteps;
  return {.values = {reward / episodes, below / episodes, ratio / steps, split / steps}};
}

void LoadPublished(const SplitSpec& spec, Study* study, const std::string& catalogue) {
  const auto measured = std::make_shared<const Measured>(ReadMeasured(spec, ReadCatalogue(catalogue)));
  if (measured->cuts.size() != kPublishedSplits - 1 || *measured->levels.begin() > 0.07 ||
      *measured->levels.rbegin() < 0.23)
    Fail(measured->model->where,
         "split_quality.csv has {} cuts of {} at levels {} to {}; the published grid has 9 from 0.02 to 0.3 (`profile "
         "--split-full`)",
         measured->cuts.size(), spec.corruption, *measured->levels.begin(), *measured->levels.rbegin());
  CutPolicies named;
  for (const int64_t cut : measured->cuts) named.fixed.push_back(fmt::format("cut-{}", cut));
  named.fixed.push_back("local");
  study->policies = spec.policies;
  ExpandCuts(named, &study->policies);
  study->metrics.assign(std::begin(kPublishedMetrics), std::end(kPublishedMetrics));
  study->modelled = {"the course of the noise: as published; no step takes time or energy"};
  study->findings = {fmt::format("splits 1 to 9 are cuts {} of {} layers, split 10 keeps all on the device",
                                 fmt::join(measured->cuts, ", "), measured->model->variant.arch.layers)};
  if (spec.bug)
    study->findings.push_back(
        "published_bug: staying at the first split is worth what a perplexity of 0 would be, 10.5 and the load");
  study->pictures = {QualityPicture(*measured, spec.corruption)};
  study->require = [=, file = study->file](const std::string& policy) { RequirePolicy(named, policy, file); };
  study->run = [=](const std::string& policy, uint64_t seed, size_t) {
    return RunPublished(spec, measured->by_number, named, policy, seed);
  };
}

constexpr MetricInfo kSessionMetrics[] = {
    {"cost", "per answer", false},      {"above_dp", "per answer", false}, {"latency_mean", "s", false},
    {"tok_per_s", "1/s", true},         {"device", "s/answer", false},     {"sending", "s/answer", false},
    {"round_trips", "s/answer", false}, {"server", "s/answer", false},     {"moving_caches", "s/answer", false},
    {"energy", "J/answer", false},      {"lost", "nat/token", false},      {"local_layers", "1", false}};

OneRun RunSession(const SplitSession& process, const SolvedProcess& solved, const CutPolicies& named, int64_t episodes,
                  const std::string& policy, uint64_t seed) {
  const ChooseFunction choose = ChooserOf(named, policy, process, solved, seed);
  const SolvedProcess of_policy = Evaluate(process, choose);
  const SplitPlan& plan = process.plan();
  SplitUse use;
  double reward = 0, above = 0, layers = 0;
  for (int64_t episode = 0; episode < episodes; ++episode) {
    Random random = StreamOf(seed, Draws::kRegimes, static_cast<uint64_t>(episode));
    const int first = process.First(static_cast<int>(random.Below(plan.regimes.size())));
    above += ValueAt(solved, first) - ValueAt(of_policy, first);
    reward += Follow(process, choose, first, random, [&](int step, int state, int choice, int) {
      use += process.UseAt(step, state, choice);
      layers += static_cast<double>(plan.cuts[static_cast<size_t>(choice)]);
    });
  }
  const auto answers = static_cast<double>(episodes), tokens = answers * static_cast<double>(plan.answer_tok);
  const double all_layers = answers * process.steps() * static_cast<double>(plan.cuts.back());
  const auto joules = process.knows_energy() ? std::optional(use.joules / answers) : std::nullopt;
  return {.values = {-reward / answers, above / answers, use.Seconds() / answers, tokens / use.Seconds(),
                     use.device_s / answers, use.send_s / answers, use.round_trips_s / answers, use.server_s / answers,
                     use.move_s / answers, joules, use.nats / tokens, layers / all_layers}};
}

void LoadSession(const SplitSpec& spec, Study* study, const std::string& catalogue_file) {
  const DeviceCatalogue catalogue = ReadCatalogue(catalogue_file);
  const Measured measured = ReadMeasured(spec, catalogue);
  const auto server = LoadModel(spec.server_profile, spec.server_as, spec.server_where, catalogue);
  const Variant &here = measured.model->variant, &there = server->variant;
  if (here.weights_sha256 != there.weights_sha256)
    Fail(server->where, "is a profile of {}, and the device's of {}: both ends run parts of one model", there.id,
         here.id);
  SplitPlan plan = spec.plan;
  plan.cuts = {0};
  plan.cuts.insert(plan.cuts.end(), measured.cuts.begin(), measured.cuts.end());
  plan.cuts.push_back(here.arch.layers);
  const auto process = std::make_shared<const SplitSession>(
      LayerTimes(measured.model, spec.power_W), LayerTimes(server, std::nullopt), measured.model->profile.At("cuts"),
      measured.by_cut, plan, measured.model->where);
  CutPolicies named;
  for (const int64_t cut : plan.cuts)
    named.fixed.push_back(cut == 0 ? "remote" : cut == plan.cuts.back() ? "local" : fmt::format("cut-{}", cut));
  study->policies = spec.policies;
  ExpandCuts(named, &study->policies);
  study->metrics.assign(std::begin(kSessionMetrics), std::end(kSessionMetrics));
  if (measured.model->as) study->modelled.push_back(fmt::format("the device: roofline of {}", spec.device_as));
  if (server->as) study->modelled.push_back(fmt::format("the server: roofline of {}", spec.server_as));
  if (spec.power_W) study->modelled.push_back(fmt::format("energy of layers without any: {} W", *spec.power_W));
  study->modelled.push_back("the link: regimes of the scenario; a device that waits takes no energy");
  for (int regime = 0; regime < process->regimes(); ++regime) study->findings.push_back(BoundOf(*process, regime));
  study->pictures = {QualityPicture(measured, spec.corruption), TokenPicture(*process)};
  const auto solved = std::make_shared<const SolvedProcess>(Solve(*process));
  study->require = [=, file = study->file](const std::string& policy) { RequirePolicy(named, policy, file); };
  study->run = [=, episodes = spec.episodes](const std::string& policy, uint64_t seed, size_t) {
    return RunSession(*process, *solved, named, episodes, policy, seed);
  };
}

void ReadSession(Options& options, SplitSpec* spec) {
  SplitPlan& plan = spec->plan;
  Options device = options.Map("device");
  if (device.Has("as")) spec->device_as = NeededText(device, "as");
  spec->power_W = Optional(device, "power_W", kLeast, 1e5);
  plan.send_W = device.Number("send_W", 1, 0, 1e5, "what sending takes");
  device.Finish();
  Need(options, "server");
  Options server = options.Map("server");
  spec->server_profile = NeededText(server, "profile");
  if (server.Has("as")) spec->server_as = NeededText(server, "as");
  spec->server_where = server.Where("profile");
  server.Finish();
  plan.sent_as = options.Choice("sent_as", "f16", {"f16", "f32"});
  constexpr int64_t kMostTok = 1 << 20, kMostSteps = 1000;
  Need(options, "prompt_tok");
  plan.prompt_tok = options.Int("prompt_tok", 0, 1, kMostTok);
  Need(options, "answer_tok");
  plan.answer_tok = options.Int("answer_tok", 0, 1, kMostTok);
  plan.step_tok = options.Int("step_tok", 16, 1, kMostTok, "tokens between decisions");
  if (plan.answer_tok / plan.step_tok > kMostSteps)
    Fail(options.Where("step_tok"), "{} makes more than {} decisions of answer_tok", plan.step_tok, kMostSteps);
  for (Options& entry : options.List("regimes", "what the link may be like")) {
    plan.regimes.push_back({.up_bps = kMega * Needed(entry, "up_Mbps", kLeast, 1e6),
                            .down_bps = kMega * Needed(entry, "down_Mbps", kLeast, 1e6),
                            .rtt_s = Needed(entry, "rtt_ms", 0, 1e5) / 1000,
                            .noise = Needed(entry, "noise", 0, 1e6),
                            .mean_steps = entry.Number("mean_steps", 4, 1, 1e9, "that it lasts")});
    entry.Finish();
  }
  if (plan.regimes.empty() || plan.regimes.size() > 64)
    Fail(options.Where(), "\"regimes\" has {} entries, 1 to 64 would be right", plan.regimes.size());
  Options weights = options.Map("weights");
  plan.weights = {.latency = weights.Number("latency", 1, 0, 1e6, "of a second"),
                  .energy = weights.Number("energy", 0.1, 0, 1e6, "of a joule"),
                  .quality = weights.Number("quality", 1, 0, 1e6, "of a nat that damage costs")};
  weights.Finish();
}

}  // namespace

LoadStudy ReadSplit(Options& options) {
  SplitSpec spec;
  Need(options, "setting");
  const bool published = options.Choice("setting", "", {"published", "session"}) == "published";
  spec.profile = NeededText(options, "profile");
  spec.where = options.Where("profile");
  spec.corruption = options.Choice("corruption", "dropout", {"dropout", "awgn", "bitflip", "quant4", "quant8"});
  spec.episodes = options.Int("episodes", 100, 1, 100'000, "of a run");
  const std::vector<std::string> policies = {"local", "cuts", "random", "table", "dp"};
  spec.policies = options.Strings("policies", policies);
  if (spec.policies.empty()) Fail(options.Where("policies"), "is empty");
  if (published)
    spec.bug = options.Bool("published_bug", false, "the stale perplexity of the published reward");
  else
    ReadSession(options, &spec);
  return [spec, published](Study* study, const std::string& catalogue) {
    published ? LoadPublished(spec, study, catalogue) : LoadSession(spec, study, catalogue);
  };
}

}  // namespace ecld::offload
