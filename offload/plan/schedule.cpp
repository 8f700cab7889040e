#include "offload/plan/schedule.h"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace ecld::offload {
namespace {

using Index = size_t;

// Where a schedule stands after some of its parts.
struct Course {
  std::vector<double> free_s, end_s;
  std::vector<int> node;

  double StartOf(const ScheduleProblem& problem, int part, int on) const {
    const auto p = static_cast<Index>(part), i = static_cast<Index>(on);
    double start_s = std::max(free_s[i], problem.question_s[i]);
    for (const int need : problem.needs[p]) {
      const auto d = static_cast<Index>(need);
      start_s = std::max(start_s, end_s[d] + problem.send_s[d][static_cast<Index>(node[d])][i]);
    }
    return start_s;
  }
  void Add(const ScheduleProblem& problem, int part, int on) {
    const auto p = static_cast<Index>(part), i = static_cast<Index>(on);
    end_s[p] = free_s[i] = StartOf(problem, part, on) + problem.run_s[p][i];
    node[p] = on;
  }
};

Course Begun(const ScheduleProblem& problem) {
  const auto parts = static_cast<Index>(problem.parts());
  return {.free_s = problem.free_s, .end_s = std::vector(parts, 0.0), .node = std::vector(parts, -1)};
}

double Score(const ScheduleProblem& problem, double right, double finish_s) {
  return problem.right_weight * right - problem.latency_weight * finish_s;
}

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// By part: the longest way from its beginning to the end, each part taking of(its times).
template <class Of>
std::vector<double> WaysToEnd(const ScheduleProblem& problem, const Of& of) {
  std::vector<double> ways(problem.needs.size(), 0.0);
  for (int part = problem.parts() - 1; part >= 0; --part) {
    const auto p = static_cast<Index>(part);
    ways[p] += of(problem.run_s[p]);  // so far: the longest of those that need it
    for (const int need : problem.needs[p])
      ways[static_cast<Index>(need)] = std::max(ways[static_cast<Index>(need)], ways[p]);
  }
  return ways;
}

bool Needs(const ScheduleProblem& problem, int part, int other) {
  const std::vector<int>& needs = problem.needs[static_cast<Index>(part)];
  return std::ranges::find(needs, other) != needs.end();
}

// Moves one part to another node, and ahead of others, as long as that helps.
Schedule Improved(const ScheduleProblem& problem, const std::vector<int>& order, const std::vector<int>& node) {
  Schedule best = Follow(problem, order, node);
  bool better = true;
  const auto keep_if_better = [&](const std::vector<int>& in_order, const std::vector<int>& on) {
    Schedule made = Follow(problem, in_order, on);
    if (made.score <= best.score + 1e-12) return;
    best = std::move(made);
    better = true;
  };
  while (better) {
    better = false;
    for (Index part = 0; part < node.size(); ++part)
      for (int to = 0; to < problem.nodes; ++to) {
        std::vector<int> moved = best.node;
        moved[part] = to;
        keep_if_better(best.order, moved);
        // And ahead of others, as far as what it needs lets it.
        std::vector<int> ahead = best.order;
        for (auto at = std::ranges::find(ahead, static_cast<int>(part));
             at != ahead.begin() && !Needs(problem, *at, *std::prev(at)); --at) {
          std::iter_swap(at, std::prev(at));
          keep_if_better(ahead, moved);
        }
      }
  }
  return best;
}

class ExactSearch {
 public:
  explicit ExactSearch(const ScheduleProblem& problem)
      : problem_(problem),
        best_(ListSchedule(problem)),
        ways_s_(WaysToEnd(problem, [](const auto& run_s) { return *std::ranges::min_element(run_s); })) {}

  Schedule Run() {
    Try(Begun(problem_), 0, 1);
    return best_;
  }

 private:
  // Parts are added by rising start: any schedule can be put into that order.
  void Try(const Course& course, double last_start_s, double right) {
    if (order_.size() == problem_.needs.size()) {
      Schedule made = Follow(problem_, order_, course.node);
      if (made.score > best_.score) best_ = std::move(made);
      return;
    }
    double most_right = right, least_s = last_start_s;
    for (Index part = 0; part < problem_.needs.size(); ++part) {
      if (course.node[part] >= 0) continue;
      most_right *= *std::ranges::max_element(problem_.right[part]);
      least_s = std::max(least_s, last_start_s + ways_s_[part]);
      for (const int need : problem_.needs[part])
        if (course.node[static_cast<Index>(need)] >= 0)
          least_s = std::max(least_s, course.end_s[static_cast<Index>(need)] + ways_s_[part]);
    }
    if (Score(problem_, most_right, least_s) <= best_.score) return;
    for (int part = 0; part < problem_.parts(); ++part) {
      if (course.node[static_cast<Index>(part)] >= 0 || !Ready(course, part)) continue;
      for (int on = 0; on < problem_.nodes; ++on) {
        const double start_s = course.StartOf(problem_, part, on);
        if (start_s < last_start_s) continue;
        Course more = course;
        more.Add(problem_, part, on);
        order_.push_back(part);
        Try(more, start_s, right * problem_.right[static_cast<Index>(part)][static_cast<Index>(on)]);
        order_.pop_back();
      }
    }
  }

  bool Ready(const Course& course, int part) const {
    return std::ranges::all_of(problem_.needs[static_cast<Index>(part)],
                               [&](int need) { return course.node[static_cast<Index>(need)] >= 0; });
  }

  const ScheduleProblem& problem_;
  Schedule best_;
  std::vector<double> ways_s_;
  std::vector<int> order_;
};

}  // namespace

Schedule Follow(const ScheduleProblem& problem, const std::vector<int>& order, const std::vector<int>& node) {
  Course course = Begun(problem);
  Schedule made{.order = order, .node = node};
  for (const int part : order) {
    const auto p = static_cast<Index>(part);
    course.Add(problem, part, node[p]);
    made.right *= problem.right[p][static_cast<Index>(node[p])];
  }
  made.finish_s = course.end_s.back() + problem.back_s[static_cast<Index>(node.back())];
  made.score = Score(problem, made.right, made.finish_s);
  made.free_s = std::move(course.free_s);
  return made;
}

Schedule ListSchedule(const ScheduleProblem& problem) {
  const std::vector<double> ways_s = WaysToEnd(problem, Mean);
  std::vector<int> order(problem.needs.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>(), [&](int part) { return ways_s[static_cast<Index>(part)]; });
  Course course = Begun(problem);
  for (const int part : order) {
    const auto p = static_cast<Index>(part);
    std::vector<double> worth;
    for (int on = 0; on < problem.nodes; ++on) {
      const auto i = static_cast<Index>(on);
      worth.push_back(Score(problem, problem.right[p][i], course.StartOf(problem, part, on) + problem.run_s[p][i]));
    }
    course.Add(problem, part, static_cast<int>(std::ranges::max_element(worth) - worth.begin()));
  }
  Schedule best = Improved(problem, order, course.node);
  for (int on = 0; on < problem.nodes; ++on)
    if (Schedule made = Improved(problem, order, std::vector(order.size(), on)); made.score > best.score)
      best = std::move(made);
  return best;
}

Schedule ExactSchedule(const ScheduleProblem& problem) {
  assert(problem.parts() <= kMostExactParts);
  return ExactSearch(problem).Run();
}

}  // namespace ecld::offload
