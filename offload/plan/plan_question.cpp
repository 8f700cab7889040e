#include "offload/plan/plan_question.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "offload/networks.h"
#include "offload/plan/schedule.h"
#include "offload/plan/task_file.h"
#include "offload/reading.h"
#include "offload/streams.h"

namespace ecld::offload {
namespace {

struct NodeSpec {
  double params = 0, flops = 0, mem_Bps = 0, B_per_param = 2;
  std::array<double, kDifficulties> right = {};  // by difficulty

  // Roofline: a prompt by operations, each token by reading the weights.
  double Seconds(double prompt_tok, double answer_tok) const {
    return 2 * params * prompt_tok / flops + answer_tok * params * B_per_param / mem_Bps;
  }
};

struct PlanSpec {
  std::vector<std::string> policies;
  std::string file, network_kind;
  double horizon_s = 0, rate_per_s = 0, answer_scale = 1, aggregate_tok = 1, B_per_tok = 4.5;
  int64_t devices = 1;
  int exact_up_to = 5;
  NodeSpec device;
  std::vector<NodeSpec> servers;
  double between_bps = 0, between_s = 0;  // servers among themselves
  double right_weight = 1, latency_weight = 0;
  LoadNetwork network;
};

// What is known before a part is run: how long answers of its difficulty are in the mean.
using ForeseenTok = std::array<double, kDifficulties>;

struct PlanWorld {
  PlanSpec spec;
  std::vector<DecomposedTask> tasks;
  ForeseenTok foreseen = {};
  StartNetwork network;
};

// The whole task as one part, as hard as all its operations together, whose answer is as long as all of theirs.
DecomposedTask WholeOf(const DecomposedTask& task) {
  TaskPart whole{.question_tok = 1, .answer_tok = 0, .difficulty = -1};
  for (const TaskPart& part : task.parts) {
    whole.answer_tok += part.answer_tok;
    whole.difficulty += part.difficulty + 1;
  }
  whole.difficulty = std::min(whole.difficulty, kDifficulties - 1);
  return {.question_tok = task.question_tok, .parts = {whole}};
}

// The links of a device at the moment of a plan, each shared by n.
struct Reach {
  std::vector<Link> links;  // [servers]
  double stations = 1;
};

double SendSeconds(const PlanSpec& spec, const Reach& reach, double tok, int from, int to) {
  const double bits = 8 * spec.B_per_tok * tok;
  if (from == to) return 0;
  if (from > 0 && to > 0) return spec.between_s + bits / spec.between_bps;
  const Link& link = reach.links[static_cast<size_t>(std::max(from, to) - 1)];
  if (from > 0) return link.rtt_s / 2 + bits / link.down_bps;
  return link.rtt_s / 2 + BitsOnAir(link, bits) / ShareOf(link, reach.stations);
}

// answer_tok(part): as it is, or as it is foreseen. Several parts get one more, which puts their answers together.
template <class Length>
ScheduleProblem ProblemOf(const PlanWorld& world, const DecomposedTask& task, const Reach& reach,
                          const std::vector<double>& free_s, const Length& answer_tok) {
  const PlanSpec& spec = world.spec;
  ScheduleProblem problem{.nodes = static_cast<int>(free_s.size()),
                          .free_s = free_s,
                          .right_weight = spec.right_weight,
                          .latency_weight = spec.latency_weight};
  const auto node = [&](int i) -> const NodeSpec& {
    return i == 0 ? spec.device : spec.servers[static_cast<size_t>(i - 1)];
  };
  const auto add = [&](std::vector<int> needs, double prompt_tok, double tok, const auto& right) {
    problem.needs.push_back(std::move(needs));
    std::vector<double> run_s, chances;
    std::vector<std::vector<double>> send_s;
    for (int i = 0; i < problem.nodes; ++i) {
      run_s.push_back(node(i).Seconds(prompt_tok, tok));
      chances.push_back(right(node(i)));
      send_s.emplace_back();
      for (int j = 0; j < problem.nodes; ++j) send_s.back().push_back(SendSeconds(spec, reach, tok, i, j));
    }
    problem.run_s.push_back(std::move(run_s));
    problem.right.push_back(std::move(chances));
    problem.send_s.push_back(std::move(send_s));
  };
  double all_tok = 0;
  std::vector<int> all;
  for (const TaskPart& part : task.parts) {
    const double tok = spec.answer_scale * answer_tok(part);
    double known_tok = 0;
    for (const int need : part.needs)
      known_tok += spec.answer_scale * answer_tok(task.parts[static_cast<size_t>(need)]);
    add(part.needs, task.question_tok + part.question_tok + known_tok, tok,
        [&](const NodeSpec& on) { return on.right[static_cast<size_t>(part.difficulty)]; });
    all.push_back(static_cast<int>(all.size()));
    all_tok += tok;
  }
  if (task.parts.size() > 1)
    add(all, task.question_tok + all_tok, spec.aggregate_tok, [](const NodeSpec&) { return 1.0; });
  const double last_tok = task.parts.size() > 1 ? spec.aggregate_tok : all_tok;
  for (int i = 0; i < problem.nodes; ++i) {
    problem.question_s.push_back(SendSeconds(spec, reach, task.question_tok, 0, i));
    problem.back_s.push_back(SendSeconds(spec, reach, last_tok, i, 0));
  }
  return problem;
}

struct PlannedTask {
  bool apart = false;
  Schedule schedule;
};

int NearestOf(const Reach& reach) {
  const auto best = std::ranges::max_element(reach.links, {}, StrengthOf);
  return static_cast<int>(best - reach.links.begin()) + 1;
}

PlannedTask PlanOf(const PlanWorld& world, const std::string& policy, const DecomposedTask& task, const Reach& reach,
                   const std::vector<double>& free_s) {
  const auto foreseen = [&](const TaskPart& part) { return world.foreseen[static_cast<size_t>(part.difficulty)]; };
  double all_tok = 0;
  for (const TaskPart& part : task.parts) all_tok += foreseen(part);
  const ScheduleProblem whole =
      ProblemOf(world, WholeOf(task), reach, free_s, [&](const TaskPart&) { return all_tok; });
  if (policy == "local") return {.schedule = Follow(whole, {0}, {0})};
  if (policy == "nearest") return {.schedule = Follow(whole, {0}, {NearestOf(reach)})};
  PlannedTask best{.schedule = ListSchedule(whole)};  // of one part: the best node
  if (policy == "whole" || task.parts.size() < 2) return best;
  const ScheduleProblem apart = ProblemOf(world, task, reach, free_s, foreseen);
  const bool exact = policy == "plan" && apart.parts() <= world.spec.exact_up_to + 1;
  Schedule made = exact ? ExactSchedule(apart) : ListSchedule(apart);
  return made.score > best.schedule.score ? PlannedTask{.apart = true, .schedule = std::move(made)} : best;
}

constexpr MetricInfo kPlanMetrics[] = {
    {"latency_mean", "s", false}, {"latency_p95", "s", false}, {"reward", "1", true}, {"accuracy", "1", true},
    {"taken_apart", "1", true},   {"parts_sent", "1", false},  {"tasks", "1", true}};

OneRun RunPlan(const PlanWorld& world, const std::string& policy, uint64_t seed) {
  const PlanSpec& spec = world.spec;
  const auto devices = static_cast<size_t>(spec.devices), servers = spec.servers.size();
  const auto network = world.network({devices, servers}, seed);
  std::vector<double> free_s(devices + servers, 0.0), away_until_s(devices, 0.0);
  Random arrivals = StreamOf(seed, Draws::kArrivals, 0), items = StreamOf(seed, Draws::kItems, 0);
  DurationHistogram latencies;
  double latency_s = 0, right = 0, reward = 0, apart = 0, sent = 0, parts = 0, tasks = 0;
  for (double now_s = 0;;) {
    now_s += Exponential(arrivals, 1 / (spec.rate_per_s * static_cast<double>(devices)));
    if (now_s >= spec.horizon_s) break;
    const auto device = static_cast<size_t>(arrivals.Below(devices));
    const DecomposedTask& task = world.tasks[static_cast<size_t>(items.Below(world.tasks.size()))];
    Reach reach{.stations = 1};
    for (size_t other = 0; other < devices; ++other) reach.stations += other != device && away_until_s[other] > now_s;
    for (size_t j = 0; j < servers; ++j) reach.links.push_back(network->At(device, j, FromSeconds(now_s)));
    std::vector<double> wait_s = {std::max(0.0, free_s[device] - now_s)};
    for (size_t j = 0; j < servers; ++j) wait_s.push_back(std::max(0.0, free_s[devices + j] - now_s));
    const PlannedTask plan = PlanOf(world, policy, task, reach, wait_s);
    // It runs as planned, and takes as long as its answers are.
    const ScheduleProblem actual = ProblemOf(world, plan.apart ? task : WholeOf(task), reach, wait_s,
                                             [](const TaskPart& part) { return part.answer_tok; });
    const Schedule ran = Follow(actual, plan.schedule.order, plan.schedule.node);
    free_s[device] = now_s + ran.free_s[0];
    for (size_t j = 0; j < servers; ++j) free_s[devices + j] = now_s + ran.free_s[j + 1];
    const auto away = std::ranges::count_if(ran.node, [](int node) { return node > 0; });
    if (away > 0) away_until_s[device] = std::max(away_until_s[device], now_s + ran.finish_s);
    latencies.Add(FromSeconds(ran.finish_s));
    latency_s += ran.finish_s;
    right += ran.right;
    reward += ran.score;
    apart += plan.apart;
    sent += static_cast<double>(away);
    parts += static_cast<double>(ran.node.size());
    ++tasks;
  }
  if (tasks == 0) return {.values = {{}, {}, {}, {}, {}, {}, 0.0}};
  return {.values = {latency_s / tasks, latencies.Quantile(0.95), reward / tasks, right / tasks, apart / tasks,
                     sent / parts, tasks}};
}

NodeSpec ReadNode(Options& options, bool named = true) {
  constexpr double kGiga = 1e9, kTera = 1e12;
  if (named) NeededText(options, "name");
  NodeSpec node{.params = kGiga * Needed(options, "params_B", kLeast, 1e6),
                .flops = kTera * Needed(options, "TFLOPS", kLeast, 1e6),
                .mem_Bps = kGiga * Needed(options, "mem_GBps", kLeast, 1e6),
                .B_per_param = options.Number("B_per_param", 2, 0.1, 8, "of the weights")};
  Need(options, "right");
  Options right = options.Map("right");
  node.right = {Needed(right, "easy", 0, 1), Needed(right, "medium", 0, 1), Needed(right, "hard", 0, 1)};
  right.Finish();
  return node;
}

const std::vector<std::string>& PlanPolicies() {
  static const std::vector<std::string> all = {"local", "nearest", "whole", "list", "plan"};
  return all;
}

void RequirePlanPolicy(const std::string& policy, const std::string& where) {
  if (std::ranges::find(PlanPolicies(), policy) == PlanPolicies().end())
    Fail(where, "there is no policy \"{}\"{}", policy, DidYouMean(policy, PlanPolicies()));
}

void LoadPlan(const PlanSpec& spec, Study* study) {
  const auto world = std::make_shared<PlanWorld>(PlanWorld{.spec = spec, .tasks = ReadTasks(spec.file)});
  world->network = spec.network();
  std::array<double, kDifficulties> counts = {};
  double parts = 0;
  for (const DecomposedTask& task : world->tasks)
    for (const TaskPart& part : task.parts) {
      const auto d = static_cast<size_t>(part.difficulty);
      world->foreseen[d] += part.answer_tok;
      ++counts[d];
      ++parts;
    }
  for (size_t d = 0; d < counts.size(); ++d) world->foreseen[d] = counts[d] > 0 ? world->foreseen[d] / counts[d] : 1;
  study->policies = spec.policies;
  study->metrics.assign(std::begin(kPlanMetrics), std::end(kPlanMetrics));
  study->findings = {
      fmt::format("{} tasks of {:.1f} parts; answers of {:.0f}, {:.0f} and {:.0f} tokens by difficulty, before "
                  "answer_scale",
                  world->tasks.size(), parts / static_cast<double>(world->tasks.size()), world->foreseen[0],
                  world->foreseen[1], world->foreseen[2])};
  study->modelled = {"times: roofline of each node, one part at a time", "chances of being right: the scenario's",
                     "lengths: characters of the file over 4, times answer_scale",
                     fmt::format("the network: {}", spec.network_kind)};
  study->require = [file = study->file](const std::string& policy) { RequirePlanPolicy(policy, file); };
  study->run = [world](const std::string& policy, uint64_t seed, size_t) { return RunPlan(*world, policy, seed); };
}

}  // namespace

LoadStudy ReadPlan(Options& options) {
  PlanSpec spec;
  spec.horizon_s = Needed(options, "horizon_s", 1e-3, 1e9);
  Need(options, "tasks");
  Options tasks = options.Map("tasks");
  spec.file = NeededText(tasks, "file");
  spec.rate_per_s = Needed(tasks, "rate_per_s", kLeast, 1e6);
  spec.answer_scale = tasks.Number("answer_scale", 1, 1e-3, 1e4, "how much longer answers are than in the file");
  spec.aggregate_tok = tasks.Number("aggregate_tok", 32, 1, 1e6, "of the answer that puts those of the parts together");
  tasks.Finish();
  spec.B_per_tok = options.Number("B_per_tok", 4.5, kLeast, 1e6, "sent for a token: text");
  Need(options, "device");
  Options device = options.Map("device");
  spec.devices = device.Int("count", 1, 1, 10'000);
  spec.device = ReadNode(device, false);
  device.Finish();
  for (Options& entry : options.List("servers")) {
    spec.servers.push_back(ReadNode(entry));
    entry.Finish();
  }
  if (spec.servers.empty() || spec.servers.size() > 32)
    Fail(options.Where(), "\"servers\" has {} entries, 1 to 32 would be right", spec.servers.size());
  Options between = options.Map("between_servers");
  spec.between_bps = 1e6 * between.Number("Mbps", 1000, kLeast, 1e6);
  spec.between_s = between.Number("ms", 1, 0, 1e5) / 1000;
  between.Finish();
  spec.network = ReadKind(options, "network", NetworkKinds(), &spec.network_kind);
  Options weights = options.Map("weights");
  spec.right_weight = weights.Number("right", 1, 0, 1e6, "of the chance that a task is right");
  spec.latency_weight = weights.Number("latency", 0.02, 0, 1e6, "of a second");
  weights.Finish();
  spec.exact_up_to = static_cast<int>(options.Int("exact_up_to", 5, 0, kMostExactParts - 1, "parts"));
  spec.policies = options.Strings("policies", PlanPolicies());
  if (spec.policies.empty()) Fail(options.Where("policies"), "is empty");
  for (const std::string& policy : spec.policies) RequirePlanPolicy(policy, options.Where("policies"));
  return [spec](Study* study, const std::string&) { LoadPlan(spec, study); };
}

}  // namespace ecld::offload
