// Tasks taken apart: how they are read, how good the schedules are, whole runs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/files.h"
#include "core/random.h"
#include "offload/experiment.h"
#include "offload/plan/schedule.h"
#include "offload/plan/task_file.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld::offload {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kTask =
    R"({"question": "Eggs?", "answer": "How many? ** She has 16 - 3 - 4 = <<16-3-4=9>>9.\nHow much is one? ** 1+1=<<1+1=2>>2\nAll? ** 9*2=<<9*2=18>>18\n#### 18"})";

TEST(TaskFile, PartsNeedThoseWhoseResultsTheyUse) {
  const DecomposedTask task = ParseTask(kTask, "t.jsonl:1");
  ASSERT_EQ(task.parts.size(), 3u);
  EXPECT_THAT(task.parts[0].needs, IsEmpty());
  EXPECT_THAT(task.parts[1].needs, IsEmpty());
  EXPECT_THAT(task.parts[2].needs, ElementsAre(0, 1));
  EXPECT_EQ(task.parts[0].difficulty, 1) << "two operations";
  EXPECT_EQ(task.parts[2].difficulty, 0);
  EXPECT_EQ(task.question_tok, 1.25);
}

TEST(TaskFile, RefusesWhatIsNotOfThisForm) {
  EXPECT_ERROR(ParseTask("{", "t.jsonl:3"), "t.jsonl:3");
  EXPECT_ERROR(ParseTask("{\"question\": \"a\"}", "t.jsonl:3"), "answer");
  EXPECT_ERROR(ParseTask(R"({"question": "a", "answer": "It is 5.\n#### 5"})", "t.jsonl:3"),
               "is not the socratic form");
  EXPECT_ERROR(ParseTask(R"({"question": "a", "answer": "#### 5"})", "t.jsonl:3"), "has no line");
  TempDir dir;
  WriteFileAtomically(dir / "t.jsonl", "\n");
  EXPECT_ERROR(ReadTasks((dir / "t.jsonl").string()), "has no tasks");
}

// A random task on random nodes: a chain, a tree or anything between, with one part that needs all others.
ScheduleProblem AnyProblem(Random& random, int parts, int nodes) {
  ScheduleProblem problem{.nodes = nodes, .right_weight = 1, .latency_weight = 0.02};
  for (int part = 0; part < parts; ++part) {
    std::vector<int> needs;
    for (int before = 0; before < part; ++before)
      if (part + 1 == parts || random.Uniform() < 0.4) needs.push_back(before);
    problem.needs.push_back(needs);
    std::vector<double> run_s, right;
    std::vector<std::vector<double>> send_s;
    for (int node = 0; node < nodes; ++node) {
      const double speed = node == 0 ? 1 : 2 + node;
      run_s.push_back((1 + 9 * random.Uniform()) / speed);
      right.push_back(part + 1 == parts ? 1 : 0.7 + 0.1 * node * random.Uniform());
      send_s.emplace_back();
      for (int to = 0; to < nodes; ++to) send_s.back().push_back(to == node ? 0 : 0.02 + random.Uniform());
    }
    problem.run_s.push_back(run_s);
    problem.right.push_back(right);
    problem.send_s.push_back(send_s);
  }
  for (int node = 0; node < nodes; ++node) {
    problem.free_s.push_back(5 * random.Uniform());
    problem.question_s.push_back(node == 0 ? 0 : 0.1);
    problem.back_s.push_back(node == 0 ? 0 : 0.1);
  }
  return problem;
}

// All places, with parts added in all orders that they allow.
void TryAll(const ScheduleProblem& problem, std::vector<int>& order, std::vector<int>& node, double* best) {
  if (static_cast<int>(order.size()) == problem.parts()) {
    *best = std::max(*best, Follow(problem, order, node).score);
    return;
  }
  for (int part = 0; part < problem.parts(); ++part) {
    const auto p = static_cast<size_t>(part);
    if (node[p] >= 0) continue;
    if (std::ranges::any_of(problem.needs[p], [&](int need) { return node[static_cast<size_t>(need)] < 0; })) continue;
    order.push_back(part);
    for (int on = 0; on < problem.nodes; ++on) {
      node[p] = on;
      TryAll(problem, order, node, best);
    }
    node[p] = -1;
    order.pop_back();
  }
}

TEST(Schedule, ExactIsTheBestOfAllThatCanBeTried) {
  Random random(5);
  for (int i = 0; i < 30; ++i) {
    const ScheduleProblem problem = AnyProblem(random, 4, 3);
    std::vector<int> order, node(4, -1);
    double best = -INFINITY;
    TryAll(problem, order, node, &best);
    EXPECT_NEAR(ExactSchedule(problem).score, best, 1e-12);
  }
}

TEST(Schedule, ListSchedulingIsWithinFivePercentOfExact) {
  Random random(6);
  double sum = 0, most = 0;
  int count = 0;
  for (int parts = 2; parts <= 7; ++parts)
    for (int i = 0; i < 20; ++i, ++count) {
      const ScheduleProblem problem = AnyProblem(random, parts, 3);
      const Schedule exact = ExactSchedule(problem), list = ListSchedule(problem);
      EXPECT_LE(list.score, exact.score + 1e-12);
      // Of both terms of a plan: their difference may be next to nothing.
      const double scale = exact.right + problem.latency_weight * exact.finish_s;
      const double gap = (exact.score - list.score) / scale;
      sum += gap;
      most = std::max(most, gap);
    }
  EXPECT_LT(sum / count, 0.05);
  EXPECT_LT(most, 0.05);
  RecordProperty("mean_gap", std::to_string(sum / count));
  RecordProperty("most_gap", std::to_string(most));
}

class PlanTest : public testing::Test {
 protected:
  void SetUp() override { WriteFileAtomically(dir_ / "tasks.jsonl", std::string(kTask) + "\n"); }

  std::string Text() const {
    return fmt::format(
        "version: 1\nquestion: plan\nname: small\nreplications: 3\nhorizon_s: 300\n"
        "tasks: {{file: {}/tasks.jsonl, rate_per_s: 0.05, answer_scale: 10, aggregate_tok: 1}}\n"
        "device: {{count: 2, params_B: 1, TFLOPS: 1, mem_GBps: 20, right: {{easy: 0.5, medium: 0.4, hard: 0.1}}}}\n"
        "servers:\n"
        "  - {{name: a, params_B: 1, TFLOPS: 100, mem_GBps: 400, right: {{easy: 1, medium: 0.9, hard: 0.2}}}}\n"
        "network: {{kind: constant, up_Mbps: 10, down_Mbps: 10, rtt_ms: 10}}\n",
        dir_.path().string());
  }
  ExperimentResult Run(const std::string& text, int threads = 1) const {
    WriteFileAtomically(dir_ / "plan.yaml", text);
    return RunExperiment({.scenario = (dir_ / "plan.yaml").string(), .threads = threads});
  }

  TempDir dir_;
};

TEST_F(PlanTest, TakingApartBringsWhatThePartsBring) {
  const ExperimentResult result = Run(Text());
  const auto metric = [&](size_t policy, size_t m) { return result.points[0].policies[policy].metrics[m]->mean; };
  ASSERT_EQ(result.study.metrics[3].name, "accuracy");
  EXPECT_NEAR(metric(0, 3), 0.1, 1e-12) << "local: whole, and hard";
  EXPECT_NEAR(metric(1, 3), 0.2, 1e-12) << "nearest";
  EXPECT_NEAR(metric(4, 3), 0.9, 1e-12) << "plan: easy, medium and easy on the server";
  EXPECT_NEAR(metric(4, 4), 1, 1e-12) << "all are taken apart";
  EXPECT_GE(metric(4, 2), metric(1, 2));
  EXPECT_LT(metric(1, 0), metric(0, 0));
}

TEST_F(PlanTest, TheSameSeedGivesTheSameBytes) {
  const std::string once = ToJson(Run(Text())).dump();
  EXPECT_EQ(ToJson(Run(Text(), 3)).dump(), once);
  EXPECT_NE(ToJson(Run(Text() + "seed: 9\n")).dump(), once);
}

TEST_F(PlanTest, RefusesWithThePlace) {
  const auto refuses = [&](const std::string& from, const std::string& to, const char* why) {
    std::string text = Text();
    text.replace(text.find(from), from.size(), to);
    EXPECT_ERROR(Run(text), why);
  };
  refuses("easy: 0.5", "easy: 1.5", "plan.yaml:7: device.right.easy: expected a number from");
  refuses("hard: 0.1", "herd: 0.1", "device.right: \"hard\" is missing");
  refuses("params_B: 1, TFLOPS: 100", "TFLOPS: 100", "servers[0]: \"params_B\" is missing");
  refuses("rate_per_s: 0.05", "rate_per_s: -1", "tasks.rate_per_s: expected a number from");
  refuses("tasks.jsonl", "nothing.jsonl", "nothing.jsonl");
  refuses("kind: constant", "kind: constnt", "did you mean constant");
  refuses("name: small", "name: small\npolicies: [plam]", "policies: there is no policy \"plam\" (did you mean plan?)");
  refuses("name: small", "name: small\nexact_up_to: 20", "exact_up_to: expected a whole number from 0 to 8");
}

}  // namespace
}  // namespace ecld::offload
