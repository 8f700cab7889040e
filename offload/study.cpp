#include "offload/study.h"

#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/yaml_reader.h"
#include "offload/plan/plan_question.h"
#include "offload/policies.h"
#include "offload/reading.h"
#include "offload/simulator.h"
#include "offload/split/split_question.h"

namespace ecld::offload {
namespace {

constexpr const char* kRequests = "requests";

constexpr Question kQuestions[] = {
    {"split", "where to cut a model between a device and a server", kSplitPolicies, ReadSplit},
    {"plan", "which parts of tasks run where, and whether to take them apart", kPlanPolicies, ReadPlan},
};

OneRun RunRequests(const World& world, const std::string& policy, uint64_t seed, size_t queue_samples) {
  OneRun run;
  const RunResult result =
      Simulate(world, policy, {.seed = seed, .queue_samples = queue_samples, .samples = &run.queues});
  run.values = MetricValues(world, result);
  run.arrived = result.arrived;
  run.completed = result.completed;
  run.outside = result.outside;
  return run;
}

void LoadRequestsStudy(Scenario scenario, Study* study, const std::string& catalogue) {
  study->policies = scenario.policies;
  const auto world = std::make_shared<const World>(LoadWorld(std::move(scenario), catalogue));
  for (const RunMetric& metric : RunMetrics())
    study->metrics.push_back({metric.name, metric.unit, metric.higher_is_better});
  study->modelled = world->modelled;
  study->findings = {fmt::format("{} devices, {} servers, {} items to ask about", world->class_of.size(),
                                 world->servers.size(), world->drawn.size())};
  study->calibration_error = world->calibration_error;
  study->require = [world](const std::string& policy) { PolicyFor(*world, policy); };
  study->run = [world](const std::string& policy, uint64_t seed, size_t queue_samples) {
    return RunRequests(*world, policy, seed, queue_samples);
  };
}

ParsedStudy ParseRequests(std::string_view yaml, const std::string& where, const std::vector<std::string>& overrides) {
  Scenario scenario = ParseScenario(yaml, where, overrides);
  Study study{.file = scenario.file,
              .sha256 = scenario.sha256,
              .name = scenario.name,
              .question = kRequests,
              .seed = scenario.seed,
              .replications = scenario.replications,
              .resolved = scenario.resolved};
  return {std::move(study), [scenario = std::move(scenario)](Study* made, const std::string& catalogue) {
            LoadRequestsStudy(scenario, made, catalogue);
          }};
}

}  // namespace

std::span<const Question> Questions() { return kQuestions; }

ParsedStudy ParseStudy(std::string_view yaml, const std::string& where, const std::vector<std::string>& overrides) {
  const YAML::Node root = ReadYaml(yaml, where);
  for (const std::string& assignment : overrides) ApplyOverride(root, assignment);
  Options options(root, where, "");
  std::vector<std::string> names = {kRequests};
  for (const Question& question : kQuestions) names.emplace_back(question.name);
  const std::string asked = options.Choice("question", kRequests, names);
  if (asked == kRequests) return ParseRequests(yaml, where, overrides);
  RequireScenarioVersion(options);
  ParsedStudy made{.study = {.file = where, .sha256 = Sha256Hex(yaml), .question = asked}};
  made.study.name = NeededText(options, "name");
  ReadReplications(options, &made.study.seed, &made.study.replications);
  for (const Question& question : kQuestions)
    if (question.name == asked) made.load = question.read(options);
  options.Finish();
  made.study.resolved = WriteYaml(options.resolved());
  return made;
}

Study ReadStudy(const std::string& file, const std::vector<std::string>& overrides, const std::string& catalogue) {
  ParsedStudy parsed = ParseStudy(ReadTextFile(file), file, overrides);
  parsed.load(&parsed.study, catalogue);
  return std::move(parsed.study);
}

}  // namespace ecld::offload
