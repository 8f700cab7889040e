#include "offload/items.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "offload/streams.h"
#include "profile/query/lookup.h"

namespace ecld::offload {
namespace {

using ById = std::map<std::string, AnswerItem>;

ById AnswersOf(const LoadedModel& model, const std::string& task, const std::string& aggregate) {
  if (!model.profile.tables.contains("uncertainty_items"))
    Fail(model.where,
         "the profile has no table uncertainty_items, and so no answers; see `ecld-device profile --samples`");
  ById answers;
  for (AnswerItem& item : AnswersTo(model.profile.At("uncertainty_items"), task, aggregate))
    answers.emplace(item.id, std::move(item));
  if (answers.empty()) Fail(model.where, "the profile has no answers to task \"{}\"", task);
  return answers;
}

// THROWS Error unless both have answered the same.
void RequireSameItems(const ById& first, const LoadedModel& of_first, const ById& second, const LoadedModel& of_second,
                      const std::string& task) {
  size_t missing = 0;
  std::string example;
  const auto count = [&](const ById& in, const ById& not_in) {
    for (const auto& [id, item] : in)
      if (!not_in.contains(id) && missing++ == 0) example = id;
  };
  count(first, second);
  count(second, first);
  if (missing > 0)
    Fail(of_second.where, "{} items of {} are in one of {} and {} only, the first of them {}: they cannot be joined",
         missing, task, of_first.variant.id, of_second.variant.id, example);
}

double TemperatureOf(const LoadedModel& model, const std::string& task, const std::string& aggregate) {
  if (!model.profile.tables.contains("uncertainty")) return 0;
  const Table& bins = model.profile.At("uncertainty");
  for (size_t row = 0; row < bins.rows().size(); ++row)
    if (bins.Text(row, "task") == task && bins.Text(row, "agg") == aggregate)
      return bins.Number(row, "temperature").value_or(0);
  return 0;
}

std::vector<Answerer*> AnswerersOf(World& world) {
  std::vector<Answerer*> all;
  for (DeviceClass& device : world.classes)
    for (Answerer& variant : device.variants) all.push_back(&variant);
  for (ServerClass& server : world.servers) all.push_back(&server.answerer);
  return all;
}

// Appends the items of a task.
void JoinTask(World& world, size_t task_index) {
  const ItemSpec& spec = world.scenario.items;
  const std::string& task = spec.tasks[task_index];
  const std::vector<Answerer*> all = AnswerersOf(world);
  const ById first = AnswersOf(*all[0]->model, task, spec.uncertainty);
  for (Answerer* answerer : all) {
    const ById answers = AnswersOf(*answerer->model, task, spec.uncertainty);
    RequireSameItems(first, *all[0]->model, answers, *answerer->model, task);
    for (const auto& [id, item] : answers)
      answerer->answers.push_back({.right = item.correct, .hallucinated = item.hallucination, .tok = item.gen_tok});
  }
  for (DeviceClass& device : world.classes) {
    const LoadedModel& model = *device.variants[0].model;
    for (const auto& [id, item] : AnswersOf(model, task, spec.uncertainty)) {
      if (!item.uncertainty) Fail(model.where, "item {} has no uncertainty by \"{}\"", id, spec.uncertainty);
      device.uncertainty.push_back(*item.uncertainty);
    }
    device.of.push_back({.weights_sha256 = model.variant.weights_sha256,
                         .task = task,
                         .aggregate = spec.uncertainty,
                         .temperature = TemperatureOf(model, task, spec.uncertainty)});
  }
  for (const auto& [id, item] : first) world.item_ids.push_back(id);
  world.task_of.resize(world.task_of.size() + first.size(), task_index);
}

// The items of a task in an order by chance, of which the first part is for calibration.
std::pair<std::vector<size_t>, std::vector<size_t>> Split(const World& world, size_t task) {
  constexpr uint64_t kOrder = 0;  // the same in every run
  std::vector<size_t> items;
  for (size_t i = 0; i < world.task_of.size(); ++i)
    if (world.task_of[i] == task) items.push_back(i);
  Random random = StreamOf(kOrder, Draws::kItems, task);
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.Below(i)]);
  const double share = world.scenario.items.calibration_share;
  const auto held = static_cast<size_t>(share * static_cast<double>(items.size()) + 0.5);
  if (held == 0 || held == items.size())
    Fail(world.scenario.items.where, "{} items of {} cannot be parted into those to calibrate by and those to ask",
         items.size(), world.scenario.items.tasks[task]);
  return {{items.begin(), items.begin() + static_cast<std::ptrdiff_t>(held)},
          {items.begin() + static_cast<std::ptrdiff_t>(held), items.end()}};
}

Expectation Expect(const DeviceClass& device, const Answerer& answerer, size_t task, const std::vector<size_t>& items) {
  using Outcomes = std::vector<std::pair<double, bool>>;
  Outcomes right, hallucinated;
  double tok = 0;
  bool has_lengths = true;
  for (const size_t item : items) {
    const Answer& answer = answerer.answers[item];
    if (answer.right) right.emplace_back(device.uncertainty[item], *answer.right);
    if (answer.hallucinated) hallucinated.emplace_back(device.uncertainty[item], *answer.hallucinated);
    has_lengths &= answer.tok.has_value();
    tok += static_cast<double>(answer.tok.value_or(0)) / static_cast<double>(items.size());
  }
  const auto calibrated = [&](Outcomes outcomes, Calibration::Falls falls) {
    return outcomes.empty() ? std::nullopt
                            : std::optional<Calibration>(std::in_place, device.of[task], std::move(outcomes), falls);
  };
  return {.right = calibrated(std::move(right), Calibration::Falls::kFalling),
          .hallucinated = calibrated(std::move(hallucinated), Calibration::Falls::kRising),
          .answer_tok = has_lengths ? std::optional(tok) : std::nullopt};
}

void LearnTask(World& world, size_t task) {
  const auto [held, asked] = Split(world, task);
  world.drawn.insert(world.drawn.end(), asked.begin(), asked.end());
  for (DeviceClass& device : world.classes) {
    device.local.resize(device.variants.size());
    device.remote.resize(world.servers.size());
    for (size_t v = 0; v < device.variants.size(); ++v)
      device.local[v].push_back(Expect(device, device.variants[v], task, held));
    for (size_t j = 0; j < world.servers.size(); ++j)
      device.remote[j].push_back(Expect(device, world.servers[j].answerer, task, held));
  }
}

void MeasureCalibration(World& world) {
  const DeviceClass& device = world.classes[0];
  std::vector<std::pair<double, bool>> foretold;
  for (const size_t item : world.drawn) {
    const size_t task = world.task_of[item];
    const auto& right = device.variants[0].answers[item].right;
    if (const Worth worth = device.local[0][task].At(device.of[task], device.uncertainty[item]); worth.right && right)
      foretold.emplace_back(*worth.right, *right);
  }
  if (!foretold.empty()) world.calibration_error = CalibrationError(foretold);
}

// A limit that no answer can be held against.
void RequireJudged(World& world) {
  const ItemSpec& spec = world.scenario.items;
  for (const auto& [limit, name, judged] :
       {std::tuple(world.scenario.limits.accuracy, "accuracy", &Answer::right),
        std::tuple(world.scenario.limits.hallucination, "hallucination", &Answer::hallucinated)}) {
    if (!limit) continue;
    for (const Answerer* answerer : AnswerersOf(world)) {
      const auto known = [judged = judged](const Answer& answer) { return (answer.*judged).has_value(); };
      if (std::ranges::none_of(answerer->answers, known))
        Fail(spec.where, "limits.{} is set, and no item of {} was judged for it", name, answerer->model->variant.id);
    }
  }
}

}  // namespace

Worth Expectation::At(const CalibrationOf& of, std::optional<double> uncertainty) const {
  const auto chance = [&](const std::optional<Calibration>& calibration) -> std::optional<double> {
    if (!calibration) return std::nullopt;
    return uncertainty ? calibration->At(of, *uncertainty) : calibration->mean();
  };
  return {.right = chance(right), .hallucinated = chance(hallucinated)};
}

void JoinItems(World& world) {
  const size_t tasks = world.scenario.items.tasks.size();
  for (size_t task = 0; task < tasks; ++task) JoinTask(world, task);
  for (size_t task = 0; task < tasks; ++task) LearnTask(world, task);
  std::ranges::sort(world.drawn);
  MeasureCalibration(world);
  RequireJudged(world);
}

}  // namespace ecld::offload
