#include "offload/learn/training.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <tuple>

#include "core/document.h"
#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/intervals.h"
#include "core/progress.h"
#include "core/svg_chart.h"
#include "offload/csv_columns.h"
#include "offload/learned_policy.h"
#include "offload/offload_environment.h"
#include "offload/simulator.h"

namespace ecld::offload {
namespace {

namespace fs = std::filesystem;

constexpr DocumentKind kTrainingDocument{"ecld.training", "1.0.0"};
constexpr int64_t kIterationsASave = 10;
constexpr uint64_t kHeldOut = 1'000'000;  // from the scenario's seed on

Json ToJson(const ForesightSettings& settings) {
  return {{"value_targets", settings.value_targets},
          {"imagination", settings.imagination},
          {"horizon", settings.horizon},
          {"lambda", settings.lambda},
          {"imagined_rows", settings.imagined_rows},
          {"updates", settings.updates},
          {"courses", settings.courses},
          {"remembered", settings.remembered},
          {"members", settings.model.members},
          {"hidden", settings.model.hidden},
          {"recurrent", settings.model.recurrent},
          {"learning_rate", settings.model.learning_rate},
          {"max_gradient", settings.model.max_gradient}};
}

Json ToJson(const PpoSettings& settings) {
  Json json = {{"environments", settings.environments},
               {"rollout_steps", settings.rollout_steps},
               {"minibatch", settings.minibatch},
               {"epochs", settings.epochs},
               {"gamma", settings.gamma},
               {"lambda", settings.lambda},
               {"learning_rate", settings.learning_rate},
               {"clip", settings.clip},
               {"fall", settings.fall},
               {"clip_value", settings.clip_value ? Json(*settings.clip_value) : Json(nullptr)},
               {"entropy", settings.entropy},
               {"value_weight", settings.value_weight},
               {"max_gradient", settings.max_gradient},
               {"normalize_observations", settings.normalize_observations},
               {"normalize_rewards", settings.normalize_rewards},
               {"hidden", settings.hidden},
               {"price_rate", settings.price_rate},
               {"price_reach", settings.price_reach},
               {"reserve", settings.reserve}};
  if (settings.foresight) json["foresight"] = ToJson(*settings.foresight);
  return json;
}

struct Point {
  int64_t steps = 0;
  double latency_s = 0;
};

// One seed: its run, and its curve as lines of CSV.
class SeedRun {
 public:
  SeedRun(const World& world, const PpoSettings& settings, const TrainingOptions& options, int64_t seed, Json about)
      : options_(options),
        about_(std::move(about)),
        shape_(ShapeOf(world)),
        folder_(options.out / fmt::format("seed-{}", seed)),
        run_(OffloadEnvironments(world), settings, options.steps, static_cast<uint64_t>(seed)) {
    about_["seed"] = seed;
    header_ = "steps,latency_s,episode_return";
    const std::vector<std::string> limits = OffloadEnvironments(world)()->spaces().limits;
    for (const char* what : {"cost", "price"})
      for (const std::string& limit : limits) header_ += fmt::format(",{}_{}", what, limit);
    header_ += ",policy_loss,value_loss,entropy,kl";
    if (settings.foresight) header_ += ",model_error,value_trust,imagined_share";
    foresees_ = settings.foresight.has_value();
    fs::create_directories(folder_);
    if (fs::exists(folder_ / "state.safetensors")) Resume();
  }

  int64_t steps() const { return std::min(run_.steps(), options_.steps); }
  const fs::path& folder() const { return folder_; }
  const std::vector<Point>& curve() const { return curve_; }

  void Run(Progress& progress) {
    int64_t iterations = 0;
    while (!run_.done()) {
      const int64_t before = steps();
      Add(run_.Iterate());
      progress.Advance(steps() - before, fmt::format("{:.4g} ms a request", 1000 * curve_.back().latency_s));
      if (++iterations % kIterationsASave == 0 || run_.done()) Save();
    }
    about_["steps"] = run_.steps();
    WriteLearnedPolicy(folder_, shape_, run_.Policy(), about_);
  }

 private:
  void Resume() {
    run_.Restore(ReadArrays(folder_ / "state.safetensors"));
    run_.BeginAnew();
    ReadLines((folder_ / "curve.csv").string(), header_, [&](std::string_view line, const std::string& where) {
      const auto cells = CellsOf(line, static_cast<size_t>(std::ranges::count(header_, ',')) + 1, where);
      const auto at = static_cast<int64_t>(NumberOf(cells[0], where));
      if (at > run_.steps()) return;  // after the state was saved
      lines_ += fmt::format("{}\n", line);
      curve_.push_back({at, NumberOf(cells[1], where)});
    });
  }

  void Add(const PpoReport& report) {
    curve_.push_back({report.steps, -report.mean_reward});
    lines_ += fmt::format("{},{},{}", report.steps, -report.mean_reward, report.episode_return.value_or(0));
    for (const auto* of_limits : {&report.mean_costs, &report.prices})
      for (const double value : *of_limits) lines_ += fmt::format(",{}", value);
    lines_ += fmt::format(",{},{},{},{}", report.policy_loss, report.value_loss, report.entropy, report.kl);
    if (foresees_) lines_ += fmt::format(",{},{},{}", report.model_error, report.value_trust, report.imagined_share);
    lines_ += '\n';
  }

  // The curve first: what it has beyond the state is passed over.
  void Save() {
    WriteFileAtomically(folder_ / "curve.csv", header_ + "\n" + lines_);
    WriteArrays(folder_ / "state.safetensors", run_.State());
    if (options_.on_saved) options_.on_saved(run_.steps());
    run_.BeginAnew();
  }

  const TrainingOptions& options_;
  Json about_;
  DecisionShape shape_;
  fs::path folder_;
  std::string header_, lines_;
  bool foresees_ = false;
  std::vector<Point> curve_;
  Ppo run_;
};

// Binds the folder to what is learned there.
void RequireSame(const fs::path& out, const std::string& key) {
  const fs::path file = out / "run.key";
  if (!fs::exists(file)) return WriteFileAtomically(file, key);
  if (ReadFile(file) != key)
    Fail(out.string(), "holds a training of another scenario, seed or number of steps; give another --out");
}

struct Tried {
  std::vector<MeanInterval> means;  // of the metrics that are known
  std::vector<std::string> names;
  double latency_s = 0, broken = 0;  // by how much limits are, as shares of them
};

Tried TryOut(const World& world, const fs::path& folder, int64_t runs) {
  const std::string policy = fmt::format("{}{}", kLearned, folder.string());
  std::vector<std::vector<std::optional<double>>> results;  // [runs][metrics]
  for (int64_t i = 0; i < runs; ++i)
    results.push_back(MetricValues(
        world, Simulate(world, policy, {.seed = world.scenario.seed + kHeldOut + static_cast<uint64_t>(i)})));
  Tried tried;
  for (size_t m = 0; m < RunMetrics().size(); ++m) {
    const RunMetric& metric = RunMetrics()[m];
    std::vector<double> values;
    for (const auto& result : results)
      if (result[m]) values.push_back(*result[m]);
    if (static_cast<int64_t>(values.size()) != runs) continue;
    tried.means.push_back(StudentInterval(values));
    tried.names.emplace_back(metric.name);
    const double mean = tried.means.back().mean;
    if (metric.name == "latency_mean") tried.latency_s = mean;
    if (metric.name.starts_with("slack_") && metric.name != "slack_deadline") tried.broken += std::max(0.0, -mean);
  }
  return tried;
}

Json ToJson(const Tried& tried, int64_t seed) {
  Json metrics = Json::array();
  for (size_t i = 0; i < tried.means.size(); ++i) {
    const MeanInterval& mean = tried.means[i];
    const bool known = std::isfinite(mean.low);
    metrics.push_back({{"name", tried.names[i]},
                       {"value", mean.mean},
                       {"ci95", known ? Json({mean.low, mean.high}) : Json(nullptr)}});
  }
  return {{"seed", seed}, {"held_out", std::move(metrics)}};
}

// A line for each seed.
Chart CurvesOf(const std::vector<std::vector<Point>>& curves, const std::string& scenario) {
  Chart chart{.title = fmt::format("learning who runs what: {}", scenario),
              .description = "seconds under way for each choice, over steps; a line for each seed",
              .x = {.title = "steps"},
              .y = {.title = "latency of a request, s", .log = true},
              .series = {}};
  for (size_t i = 0; i < curves.size(); ++i) {
    ChartSeries line{.name = fmt::format("seed {}", i + 1), .points = {}, .style = static_cast<int>(i), .marks = false};
    for (const Point& point : curves[i])
      line.points.push_back({.x = static_cast<double>(point.steps), .y = point.latency_s});
    chart.series.push_back(std::move(line));
  }
  return chart;
}

std::string LinesOf(const std::vector<std::vector<Point>>& curves) {
  std::string text = "seed,steps,latency_s\n";
  for (size_t i = 0; i < curves.size(); ++i)
    for (const Point& point : curves[i]) text += fmt::format("{},{},{}\n", i + 1, point.steps, point.latency_s);
  return text;
}

}  // namespace

PpoSettings OffloadSettings() {
  return {.environments = 16,
          .rollout_steps = 64,
          .minibatch = 512,
          .epochs = 4,
          .gamma = 0.95,
          .lambda = 0.95,
          .learning_rate = 1e-3,
          .entropy = 0.003,
          .normalize_observations = true,
          .normalize_rewards = true};
}

double MeasureTraining(const World& world, const PpoSettings& settings) {
  Ppo run(OffloadEnvironments(world), settings, settings.environments * settings.rollout_steps, 1);
  const auto start = std::chrono::steady_clock::now();
  run.Iterate();
  return static_cast<double>(run.steps()) /
         std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Json Train(const World& world, const PpoSettings& settings, const TrainingOptions& options) {
  fs::create_directories(options.out);
  const DirectoryLock lock(options.out);
  const Json of_settings = ToJson(settings);
  const Json about = {{"scenario", {{"name", world.scenario.name}, {"sha256", world.scenario.sha256}}},
                      {"resolved", world.scenario.resolved},
                      {"settings", of_settings}};
  RequireSame(options.out, Sha256Hex(fmt::format("{} {}", about.dump(), options.steps)));
  Progress progress("offload.train", options.seeds * options.steps, "steps");
  std::vector<std::vector<Point>> curves;
  Json seeds = Json::array();
  std::pair best{1e300, 1e300};  // limits first
  fs::path best_folder;
  for (int64_t seed = 1; seed <= options.seeds; ++seed) {
    SeedRun run(world, settings, options, seed, about);
    progress.Advance(run.steps(), "of an earlier run");
    run.Run(progress);
    curves.push_back(run.curve());
    const Tried tried = TryOut(world, run.folder(), options.tried);
    seeds.push_back(ToJson(tried, seed));
    if (const std::pair now{tried.broken, tried.latency_s}; now < best)
      std::tie(best, best_folder) = std::pair(now, run.folder());
  }
  for (const char* name : {"policy.json", "policy.safetensors"})
    WriteFileAtomically(options.out / name, ReadFile(best_folder / name));
  WriteFileAtomically(options.out / "curves.csv", LinesOf(curves));
  WriteFileAtomically(options.out / "curves.svg", SvgFile(CurvesOf(curves, world.scenario.name)));
  const Json result = NewDocument(kTrainingDocument, {{"scenario", about.at("scenario")},
                                                      {"settings", of_settings},
                                                      {"steps", options.steps},
                                                      {"kind", "modelled"},
                                                      {"modelled", world.modelled},
                                                      {"held_out_runs", options.tried},
                                                      {"seeds", std::move(seeds)},
                                                      {"best", best_folder.filename().string()}});
  WriteJsonFile(options.out / "training.json", result);
  return result;
}

}  // namespace ecld::offload
