#include "profiler/profile_planner.h"

#include <cmath>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/hash.h"
#include "eval/statistics.h"
#include "measure/measure.h"

namespace ecld {
namespace {

double MeanOf(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> LengthsOf(const std::vector<ScoredItem>& items) {
  std::vector<double> lengths;
  for (const ScoredItem& item : items) lengths.push_back(static_cast<double>(item.gen_tok));
  return lengths;
}

double ShareRight(const std::vector<ScoredItem>& items) {
  double right = 0;
  for (const ScoredItem& item : items) right += item.correct;
  return right / static_cast<double>(items.size());
}

}  // namespace

PlannerTables::PlannerTables(const std::filesystem::path& foreseen)
    : file_(foreseen),
      planner_(FindTableSchema("planner", "profile")),
      planner_len_(FindTableSchema("planner_len", "profile")) {
  if (file_.empty()) return;
  foreseen_ = ReadJsonFile(file_);
  const JsonView view(foreseen_, file_.string());
  for (const std::string& item : view.Keys())
    if (view.At(item).Number() < 0) Fail(view.At(item).Where(), "expected tokens, 0 or more");
}

void PlannerTables::Add(const ScoredItems& of_task, const char* difficulty, const std::vector<ScoredItem>& items) {
  if (items.empty()) return;
  std::vector<double> uncertainty;
  for (const ScoredItem& item : items) uncertainty.push_back(item.uncertainty.mean);
  planner_.AddRow();
  planner_.Set("task", PlainCell(of_task.task));
  planner_.Set("difficulty_bin", std::string(difficulty));
  planner_.Set("n", static_cast<int64_t>(items.size()));
  if (of_task.judged) planner_.Set("acc", ShareRight(items));
  if (of_task.judged && of_task.hallucination) planner_.Set("halluc_rate", 1 - ShareRight(items));
  if (of_task.generated) {
    const std::vector<double> lengths = LengthsOf(items);
    for (auto [column, q] : {std::pair{"out_tok_p10", 0.1}, {"out_tok_p50", 0.5}, {"out_tok_p90", 0.9}})
      planner_.Set(column, Quantile(lengths, q));
    planner_.Set("out_tok_mean", MeanOf(lengths));
    planner_.Set("out_tok_std", Summarize(lengths).std_ms);
  }
  planner_.Set("a_mean", MeanOf(uncertainty));
  planner_.Set("src", std::string("m"));
}

void PlannerTables::AddLengths(const ScoredItems& of_task, const std::vector<ScoredItem>& items) {
  if (!of_task.generated) return;
  const std::vector<double> lengths = LengthsOf(items);
  const double sum = std::accumulate(lengths.begin(), lengths.end(), 0.0);
  for (size_t i = 0; i < items.size(); ++i) {
    if (file_.empty()) {
      if (items.size() > 1)
        lengths_.push_back({(sum - lengths[i]) / static_cast<double>(items.size() - 1), lengths[i]});
    } else if (const auto found = foreseen_.find(ItemId(of_task.task, items[i].item)); found != foreseen_.end()) {
      lengths_.push_back({found->get<double>(), lengths[i]});
    }
  }
}

void PlannerTables::AddBin(double low, double high, const std::vector<Length>& lengths) {
  std::vector<double> actual;
  double error = 0, bias = 0;
  for (const Length& length : lengths) {
    actual.push_back(length.actual_tok);
    error += std::abs(length.foreseen_tok - length.actual_tok);
    bias += length.foreseen_tok - length.actual_tok;
  }
  const auto n = static_cast<double>(lengths.size());
  planner_len_.AddRow();
  planner_len_.Set("pred_bin_lo", static_cast<int64_t>(low));
  planner_len_.Set("pred_bin_hi", static_cast<int64_t>(high));
  planner_len_.Set("n", static_cast<int64_t>(lengths.size()));
  for (auto [column, q] : {std::pair{"actual_p10", 0.1}, {"actual_p50", 0.5}, {"actual_p90", 0.9}})
    planner_len_.Set(column, Quantile(actual, q));
  planner_len_.Set("mae_tok", error / n);
  planner_len_.Set("bias_tok", bias / n);
  planner_len_.Set("src", std::string("m"));
}

void PlannerTables::Finish(DeviceProfile* profile) {
  if (!file_.empty() && lengths_.empty())
    Fail(file_.string(), "names no generated answer of the samples; expected keys like \"gsm8k/0\"");
  // A bin from each power of two to the next.
  std::map<int, std::vector<Length>> bins;
  std::vector<double> foreseen, actual;
  for (const Length& length : lengths_) {
    bins[length.foreseen_tok < 1 ? 0 : 1 + std::ilogb(length.foreseen_tok)].push_back(length);
    foreseen.push_back(length.foreseen_tok);
    actual.push_back(length.actual_tok);
  }
  for (const auto& [bin, inside] : bins) AddBin(bin == 0 ? 0 : std::ldexp(1, bin - 1), std::ldexp(1, bin), inside);
  if (!lengths_.empty()) {
    const std::optional<double> spearman = RankCorrelation(foreseen, actual);
    profile->variant["planner_len"] = {
        {"foreseen_by", file_.empty() ? "mean of the other answers of the task and difficulty" : "a file"},
        {"sha256", file_.empty() ? Json(nullptr) : Json(Sha256HexOfFile(file_))},
        {"n", lengths_.size()},
        {"spearman", spearman ? Json(*spearman) : Json(nullptr)}};
  }
  for (Table* table : {&planner_, &planner_len_}) profile->Add(std::move(*table));
}

}  // namespace ecld
