#include "offload/learn/planner.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "offload/learn/small_networks.h"

namespace ecld::offload {
namespace {

constexpr int64_t kHidden = 8, kUpdates = 300;
constexpr double kRate = 5e-3;

// The chance that of one that is so and one that is not the first has the higher score; ties count half.
std::optional<double> AreaUnderCurve(std::vector<std::pair<double, bool>> scored) {
  std::ranges::sort(scored);
  double below = 0, won = 0, so = 0;
  for (size_t i = 0; i < scored.size();) {
    double ties_so = 0, ties_not = 0;
    const double score = scored[i].first;
    for (; i < scored.size() && scored[i].first == score; ++i) ++(scored[i].second ? ties_so : ties_not);
    won += ties_so * (below + 0.5 * ties_not);
    below += ties_not;
    so += ties_so;
  }
  if (so == 0 || below == 0) return std::nullopt;
  return won / (so * below);
}

// [items, tasks + 1]: which task, and how sure.
at::Tensor KnownBefore(const World& world) {
  const auto items = static_cast<int64_t>(world.task_of.size());
  const auto tasks = static_cast<int64_t>(world.scenario.items.tasks.size());
  at::Tensor x = at::zeros({items, tasks + 1}, at::kDouble);
  for (int64_t i = 0; i < items; ++i) {
    x[i][static_cast<int64_t>(world.task_of[static_cast<size_t>(i)])] = 1;
    x[i][tasks] = 2 * world.classes[0].uncertainty[static_cast<size_t>(i)] - 1;
  }
  return x;
}

class NodePlanner {
 public:
  NodePlanner(const World& world, const Answerer& answerer) : world_(world), answerer_(answerer) {
    std::vector<uint8_t> asked(world.task_of.size(), 0);
    for (const size_t item : world.drawn) asked[item] = 1;
    for (size_t i = 0; i < asked.size(); ++i)
      if (!asked[i]) learned_.push_back(i);
  }

  NodeForetold Distill(const at::Tensor& known, uint64_t seed) const {
    NodeForetold node{.node = answerer_.model->variant.id, .items = static_cast<int64_t>(world_.drawn.size())};
    Learn(known, seed, &node);
    Judge(&node);
    return node;
  }

 private:
  // What is learned: rows of (right, whether it is known, logarithm of the length, whether there is one).
  void Learn(const at::Tensor& known, uint64_t seed, NodeForetold* node) const {
    const auto n = static_cast<int64_t>(learned_.size());
    at::Tensor rows = at::empty({n}, at::kLong), seen = at::zeros({n, 4}, at::kDouble);
    for (int64_t i = 0; i < n; ++i) {
      rows[i] = static_cast<int64_t>(learned_[static_cast<size_t>(i)]);
      const Answer& answer = answerer_.answers[learned_[static_cast<size_t>(i)]];
      if (answer.right) seen[i][0] = *answer.right ? 1.0 : 0.0, seen[i][1] = 1;
      if (answer.tok) seen[i][2] = std::log1p(static_cast<double>(*answer.tok)), seen[i][3] = 1;
    }
    const at::Tensor right = seen.select(1, 0), judged = seen.select(1, 1), tok = seen.select(1, 2),
                     has_tok = seen.select(1, 3);
    SmallNetworks networks({.inputs = known.size(1), .hidden = kHidden, .outputs = 2}, seed);
    networks.Fit(known.index_select(0, rows), kUpdates, kRate, [&](const at::Tensor& outputs) {
      const at::Tensor logits = outputs.select(2, 0), off = outputs.select(2, 1) - tok;
      const at::Tensor unlikely = at::softplus(logits) - right * logits;
      return (unlikely * judged + off.abs() * has_tok).mean();
    });
    const at::Tensor outputs = networks.At(known);
    const at::Tensor chance = outputs.select(2, 0).sigmoid().mean(0);
    const at::Tensor length = at::expm1(outputs.select(2, 1).mean(0)).clamp_min(0);
    node->right.assign(chance.data_ptr<double>(), chance.data_ptr<double>() + chance.numel());
    node->tok.assign(length.data_ptr<double>(), length.data_ptr<double>() + length.numel());
    for (size_t i = 0; i < node->tok.size(); ++i)
      if (!answerer_.answers[i].tok) node->tok[i] = 0;
  }

  // value(answer) in the mean of a task's items that were learned from.
  template <class Value>
  double OfTask(size_t task, const Value& value) const {
    double sum = 0, count = 0;
    for (const size_t item : learned_) {
      const auto known = value(answerer_.answers[item]);
      if (world_.task_of[item] != task || !known) continue;
      sum += static_cast<double>(*known);
      ++count;
    }
    return count > 0 ? sum / count : 0;
  }

  void Judge(NodeForetold* node) const {
    std::vector<std::pair<double, bool>> foretold, by_uncertainty, by_task;
    double off = 0, off_task = 0, lengths = 0;
    for (const size_t item : world_.drawn) {
      const Answer& answer = answerer_.answers[item];
      const size_t task = world_.task_of[item];
      if (answer.right) {
        foretold.emplace_back(node->right[item], *answer.right);
        by_uncertainty.emplace_back(-world_.classes[0].uncertainty[item], *answer.right);
        by_task.emplace_back(OfTask(task, [](const Answer& of) { return of.right; }), *answer.right);
      }
      if (answer.tok) {
        const auto tok = static_cast<double>(*answer.tok);
        off += std::abs(node->tok[item] - tok);
        off_task += std::abs(OfTask(task, [](const Answer& of) { return of.tok; }) - tok);
        ++lengths;
      }
    }
    node->auroc = AreaUnderCurve(foretold);
    node->auroc_uncertainty = AreaUnderCurve(by_uncertainty);
    node->auroc_task = AreaUnderCurve(by_task);
    node->calibration_error = foretold.empty() ? 0 : CalibrationError(foretold);
    if (lengths > 0) node->length_error = off / lengths, node->length_error_task = off_task / lengths;
  }

  const World& world_;
  const Answerer& answerer_;
  std::vector<size_t> learned_;  // items
};

}  // namespace

std::vector<NodeForetold> DistillPlanner(const World& world, uint64_t seed) {
  at::set_num_threads(1);
  const at::Tensor known = KnownBefore(world);
  std::vector<NodeForetold> nodes;
  for (const Answerer& variant : world.classes[0].variants)
    nodes.push_back(NodePlanner(world, variant).Distill(known, seed));
  for (const ServerClass& server : world.servers)
    nodes.push_back(NodePlanner(world, server.answerer).Distill(known, seed));
  return nodes;
}

Json ToJson(const NodeForetold& node) {
  const auto or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"node", node.node},
          {"items", node.items},
          {"auroc", or_null(node.auroc)},
          {"auroc_uncertainty", or_null(node.auroc_uncertainty)},
          {"auroc_task", or_null(node.auroc_task)},
          {"calibration_error", node.calibration_error},
          {"length_error_tok", or_null(node.length_error)},
          {"length_error_task_tok", or_null(node.length_error_task)}};
}

Json PlannedLengths(const World& world, const NodeForetold& node) {
  Json lengths = Json::object();
  for (const size_t item : world.drawn)
    if (node.tok[item] > 0) lengths[world.item_ids[item]] = node.tok[item];
  return lengths;
}

}  // namespace ecld::offload
