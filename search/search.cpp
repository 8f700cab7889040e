#include "search/search.h"

#include <cmath>
#include <optional>
#include <set>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/progress.h"
#include "eval/evaluate.h"
#include "recipes/pass_table.h"
#include "recipes/runner.h"
#include "search/candidates.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// The lines at the beginning of the text, of at most so many bytes.
std::string HeldOut(const SearchRequest& request) {
  std::string text = ReadTextFile(request.held_out);
  if (text.size() > request.held_out_B) {
    const size_t end = text.rfind('\n', request.held_out_B);
    if (end == std::string::npos)
      Fail(request.held_out.string(), "has no end of a line in its first {} bytes", request.held_out_B);
    text.resize(end + 1);
  }
  if (text.empty()) Fail(request.held_out.string(), "is empty; a search measures on it");
  return text;
}

void Check(const Recipe& recipe, const SearchRequest& request) {
  if (recipe.variations.empty())
    Fail(recipe.root.Where(),
         "has nothing to search; list what values may be, like "
         "\"search: [{{at: stages.0.bits, values: [4, 3]}}]\"");
  std::set<size_t> may_be_off;
  for (size_t i = 0; i < recipe.variations.size(); ++i) {
    const Variation& variation = recipe.variations[i];
    for (size_t level = 0; level < variation.values.size(); ++level) {
      if (variation.values[level] == kOff) {
        may_be_off.insert(variation.stage);
        continue;
      }
      Point point(recipe.variations.size(), 0);  // an option that no pass knows is found now, not on the way
      point[i] = level;
      Recipe one = ParseRecipe(RecipeAt(recipe, point, request.budget_B), recipe.root.Where());
      PrepareStages(one);
    }
  }
  if (may_be_off.size() == recipe.stages.size())
    Fail(recipe.root.Where("search"), "every stage may be off; one must stay");
  for (const TextSource& source : recipe.calibration.texts) {
    std::error_code none;
    if (fs::equivalent(source.path, request.held_out, none))
      Fail(request.held_out.string(), "is calibration text; a search measures on text that no pass has seen");
  }
}

class Searcher {
 public:
  Searcher(const Recipe& recipe, const SearchRequest& request)
      : recipe_(recipe), request_(request), work_(Sibling(request.out, ".search")), text_(HeldOut(request)) {}

  Json Run() {
    Check(recipe_, request_);
    const DirectoryLock lock(work_);
    Prepare();
    std::vector<size_t> sizes;
    for (const Variation& variation : recipe_.variations) sizes.push_back(variation.values.size());
    const Point best = DescendAxes(sizes, [&](const Point& point) { return Loss(point); });
    const std::string key = Key(RecipeAt(recipe_, best, request_.budget_B));
    if (!std::isfinite(Loss(best)))
      Fail(recipe_.root.Where("search"), "no candidate could be made: {}",
           trials_.at(key).at("refused").get<std::string>());
    return Publish(best, key);
  }

 private:
  static std::string Key(const std::string& recipe) { return Sha256Hex(recipe).substr(0, 16); }
  fs::path Candidate(const std::string& key) const { return work_ / key; }

  // Trials of an earlier run count where they are of the same model and text; recipes are told apart by their keys.
  void Prepare() {
    if (fs::exists(request_.out) && !request_.overwrite) Fail(request_.out.string(), "exists; --overwrite replaces it");
    if (request_.restart) fs::remove_all(work_);
    fs::create_directories(work_);
    const Json identity = {{"input", Checkpoint::Open(request_.model).QuickIdentity()},
                           {"held_out", Sha256Hex(text_)},
                           {"recipe", Sha256Hex(recipe_.Resolved())},
                           {"budget_B", request_.budget_B},
                           {"window_tok", request_.window_tok}};
    if (fs::exists(work_ / "trials.json")) {
      const Json kept = ReadJsonFile(work_ / "trials.json");
      if (kept.value("identity", Json()) != identity)
        Fail(work_.string(), "is an unfinished search of another recipe, model or text; --restart drops it");
      trials_ = kept.at("trials");
      order_ = kept.at("order");
    }
    identity_ = identity;
    WriteFileAtomically(work_ / "held_out.txt", text_);
  }

  void Save() const {
    WriteJsonFile(work_ / "trials.json", {{"identity", identity_}, {"trials", trials_}, {"order", order_}});
  }

  // Bits per byte; infinite where a plan refuses the candidate, or it is over the budget.
  double Loss(const Point& point) {
    const std::string text = RecipeAt(recipe_, point, request_.budget_B), key = Key(text);
    if (!trials_.contains(key)) {
      trials_[key] = Try(text, key, NameOf(recipe_, point));
      order_.push_back(key);
      Save();
      Keep();
    }
    const Json& trial = trials_.at(key);
    return trial.contains("refused") ? INFINITY : trial.at("bits_per_byte").get<double>();
  }

  Json Try(const std::string& text, const std::string& key, const std::string& name) {
    const auto refused = [&](const std::string& why) -> Json {
      LogInfo("search: {}: left out: {}", name, why);
      return {{"name", name}, {"recipe", text}, {"refused", why}};
    };
    Recipe recipe = ParseRecipe(text, fmt::format("{} at {}", recipe_.root.Where(), name));
    const RunRequest run = {.model = request_.model,
                            .out = Candidate(key),
                            .memory_budget_B = request_.memory_budget_B,
                            .overwrite = true,
                            .statistics = work_ / "statistics"};
    std::vector<PreparedStage> stages;
    try {
      stages = PrepareStages(recipe);
      const RunPlan plan = PlanRecipe(recipe, stages, run);
      if (const auto over = OverBudget(plan.stages.back().planned.output_B)) return refused(*over);
    } catch (const Error& error) {
      return refused(error.what());
    }
    LogInfo("search: candidate {}: {}", order_.size() + 1, name);
    const Json report = RunRecipe(recipe, stages, run).report;
    EvalOptions options;
    options.model = run.out;
    options.text = TextSource(work_ / "held_out.txt");
    options.windows = {.window = request_.window_tok, .stride = request_.window_tok};
    const EvalResult result = Evaluate(options);
    if (const auto over = OverBudget(result.model.weights_B)) return refused(*over);
    if (!result.bits_per_byte) Fail(request_.held_out.string(), "is too short to be measured on");
    const double error = result.bits_per_byte->standard_error.value_or(0);
    LogInfo("search: {}: {}, {:.4f} +- {:.4f} bits per byte", name, FormatBytes(result.model.weights_B),
            result.bits_per_byte->value, error);
    return {{"name", name},
            {"recipe", text},
            {"weights_B", result.model.weights_B},
            {"bits_per_byte", result.bits_per_byte->value},
            {"standard_error", error},
            {"time_s", report.at("time_s")}};
  }

  // Why weights of this size do not count; none: they do.
  std::optional<std::string> OverBudget(uint64_t bytes) const {
    if (request_.budget_B == 0 || bytes <= request_.budget_B) return std::nullopt;
    return fmt::format("{} is over the budget of {}", FormatBytes(bytes), FormatBytes(request_.budget_B));
  }

  // Of the candidates made so far only the best stays on disk, the first of equal ones.
  void Keep() const {
    std::string best;
    for (const std::string key : order_) {
      const Json& trial = trials_.at(key);
      if (!trial.contains("refused") &&
          (best.empty() || trial.at("bits_per_byte") < trials_.at(best).at("bits_per_byte")))
        best = key;
    }
    for (const std::string key : order_)
      if (key != best) fs::remove_all(Candidate(key));
  }

  Json Publish(const Point& best, const std::string& key) {
    Json trials = Json::array();
    for (const std::string each : order_) trials.push_back(trials_.at(each));
    const Json document = NewDocument(
        kSearchDocument, {{"chosen", NameOf(recipe_, best)}, {"held_out_B", text_.size()}, {"trials", trials}});
    const fs::path made = Candidate(key);
    WriteJsonFile(made / "search.json", document);
    Json report = ReadJsonFile(made / "report.json");
    report.at("output").at("directory") = fs::absolute(request_.out).lexically_normal().string();
    WriteJsonFile(made / "report.json", report);
    PublishDirectory(made, request_.out);
    fs::remove_all(work_);
    return document;
  }

  const Recipe& recipe_;
  const SearchRequest& request_;
  const fs::path work_;
  const std::string text_;
  Json identity_, trials_ = Json::object(), order_ = Json::array();
};

}  // namespace

SearchPlan PlanSearch(const Recipe& recipe, const SearchRequest& request) {
  Check(recipe, request);
  HeldOut(request);
  SearchPlan plan{.fewest = 1, .most = 1};
  for (const Variation& variation : recipe.variations) {
    plan.fewest += 1;
    plan.most *= std::ssize(variation.values);
  }
  Recipe first =
      ParseRecipe(RecipeAt(recipe, Point(recipe.variations.size(), 0), request.budget_B), recipe.root.Where());
  const RunPlan run =
      PlanRecipe(first, PrepareStages(first),
                 {.model = request.model, .out = request.out, .memory_budget_B = request.memory_budget_B});
  plan.first_s = run.seconds;
  plan.peak_memory_B = run.peak_memory_B;
  plan.disk_B = run.disk_B;
  return plan;
}

Json Search(const Recipe& recipe, const SearchRequest& request) { return Searcher(recipe, request).Run(); }

}  // namespace ecld
