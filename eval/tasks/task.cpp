#include "eval/tasks/task.h"

#include <algorithm>

#include "core/error.h"
#include "core/hash.h"
#include "core/metric_table.h"
#include "core/options.h"
#include "core/yaml_reader.h"

namespace ecld {
namespace {

constexpr int64_t kMany = 1'000'000;
constexpr size_t kMaxTasks = 200;  // of one file, which is read for each

struct KindName {
  const char* name;
  TaskKind kind;
};
constexpr KindName kKinds[] = {{"choice", TaskKind::kChoice},
                               {"continuation", TaskKind::kContinuation},
                               {"rolling", TaskKind::kRolling},
                               {"generate", TaskKind::kGenerate}};

// Reads one file, once per value of `each`.
class TaskReader {
 public:
  TaskReader(std::string_view yaml, std::string where) : yaml_(yaml), where_(std::move(where)) {}

  std::vector<Task> Read() {
    Options options(ReadYaml(yaml_, where_), where_, "");
    if (!options.Has("each")) return {ReadOne(Json::object(), "")};
    Options each = options.Map("each");
    if (each.Keys().size() != 1) Fail(each.Where(), "expected one name with a list of values");
    const std::string name = each.Keys()[0];
    std::vector<Task> tasks;
    const std::vector<std::string> values = each.Strings(name, {});
    if (values.size() > kMaxTasks)
      Fail(each.Where(name), "{} values are too many (at most {})", values.size(), kMaxTasks);
    for (const std::string& value : values) tasks.push_back(ReadOne(Json{{name, value}}, name));
    if (tasks.empty()) Fail(each.Where(name), "expected at least one value");
    return tasks;
  }

 private:
  Task ReadOne(const Json& variables, const std::string& each) {
    // A tree of its own: what is read is filled in.
    Options options(ReadYaml(yaml_, where_), where_, "");
    variables_ = variables;
    Task task{.where = where_, .sha256 = Sha256Hex(yaml_), .variables = variables};
    task.name = Rendered(options.Where("task"), Required(options, "task"));
    options.Has("each");
    if (!each.empty()) task.group = options.String("group", "");
    task.scorer = options.String("scorer", "");
    std::vector<std::string> kinds;
    for (const KindName& kind : kKinds) kinds.emplace_back(kind.name);
    const std::string kind = options.Choice("kind", "choice", kinds);
    task.kind = std::ranges::find(kKinds, kind, [](const KindName& of) { return std::string(of.name); })->kind;

    task.data = ReadData(options.Map("data"));
    ReadFunctions(options.Map("functions"), &task);
    task.expand = Template(options, "expand");
    ReadShots(options.Map("shots"), &task);
    ReadPrompt(options, &task);
    if (task.kind == TaskKind::kGenerate) ReadGenerate(options, &task);
    ReadMetrics(options, &task, kind);
    ReadMeasures(options, &task);
    options.Finish();
    return task;
  }

  std::string Required(Options& options, const std::string& key) {
    if (!options.Has(key)) Fail(options.Where(), "\"{}\" is missing", key);
    return options.String(key, "");
  }

  std::string Rendered(const std::string& where, const std::string& text) {
    return TextTemplate(text, where).Render(variables_, {});
  }

  std::optional<TextTemplate> Template(Options& options, const std::string& key) {
    if (!options.Has(key)) return std::nullopt;
    return TextTemplate(options.String(key, ""), options.Where(key));
  }

  TextTemplate RequiredTemplate(Options& options, const std::string& key) {
    Required(options, key);
    return *Template(options, key);
  }

  DataFile ReadData(Options options) {
    DataFile data;
    for (const std::string& name : options.Strings("files", {}))
      data.names.push_back(Rendered(options.Where("files"), name));
    if (data.names.empty()) Fail(options.Where(), "\"files\" is missing: the names by which the data file may go");
    data.format = options.Choice("format", "jsonl", {"jsonl", "json", "csv", "tsv", "pages"});
    data.columns = options.Strings("columns", {});
    data.fields = options.Strings("fields", {});
    Options beside = options.Map("beside");
    for (const std::string& field : beside.Keys()) data.beside.push_back({field, beside.String(field, "")});
    options.Finish();
    return data;
  }

  void ReadFunctions(Options options, Task* task) {
    for (const std::string& name : options.Keys()) {
      Options function = options.Map(name);
      TextFunction& read = task->functions[name];
      read.strip = function.Bool("strip", false);
      for (Options& replace : function.List("replace")) {
        const std::string pattern = Required(replace, "pattern");
        read.replacements.emplace_back(Regex(pattern, replace.Where("pattern")), replace.String("with", ""));
        replace.Finish();
      }
      function.Finish();
    }
  }

  void ReadShots(Options options, Task* task) {
    task->shots = options.Int("count", 0, 0, kMany);
    task->shots_fixed = options.Bool("fixed", false);
    task->first_shots = options.Choice("draw", "random", {"random", "first"}) == "first";
    if (options.Has("data")) task->shot_data = ReadData(options.Map("data"));
    task->spare_shot = options.Bool("spare", !task->shot_data);
    options.Finish();
  }

  void ReadPrompt(Options& options, Task* task) {
    task->delimiter = options.String("delimiter", " ");
    task->shot_delimiter = options.String("shot_delimiter", "\n\n");
    task->description = Template(options, "description");
    if (task->kind == TaskKind::kRolling) {
      task->target = RequiredTemplate(options, "target");
      task->raw = Template(options, "raw");
      return;
    }
    if (task->kind == TaskKind::kChoice) ReadChoices(options, task);
    if (task->contexts.empty()) task->text = RequiredTemplate(options, "text");
    if (task->kind != TaskKind::kChoice || !task->contexts.empty()) task->target = RequiredTemplate(options, "target");
  }

  void ReadChoices(Options& options, Task* task) {
    task->gold = RequiredTemplate(options, "gold");
    task->labels = Template(options, "labels");
    task->cue = Template(options, "cue");
    if (options.Has("choice_list")) {
      task->choice_list = Template(options, "choice_list");
      return;
    }
    for (const std::string& context : options.Strings("contexts", {}))
      task->contexts.emplace_back(context, options.Where("contexts"));
    for (const std::string& choice : options.Strings("choices", {}))
      task->choices.emplace_back(choice, options.Where("choices"));
    if (task->choices.empty() == task->contexts.empty())
      Fail(options.Where(), "a task of kind \"choice\" needs one of \"choices\", \"choice_list\" and \"contexts\"");
  }

  void ReadGenerate(Options& options, Task* task) {
    task->until = options.Strings("until", {task->shot_delimiter});
    task->max_tokens = options.Int("max_tokens", 256, 1, kMany);
    for (Options& filter : options.List("filters")) {
      AnswerFilter read{.name = Required(filter, "name")};
      if (filter.Has("regex")) read.regex.emplace(filter.String("regex", ""), filter.Where("regex"));
      read.last = filter.Choice("take", "first", {"first", "last"}) == "last";
      filter.Finish();
      task->filters.push_back(std::move(read));
    }
    if (task->filters.empty()) task->filters.push_back({.name = "none"});
    for (const std::string& pattern : options.Strings("ignore", {}))
      task->ignored.emplace_back(pattern, options.Where("ignore"));
    task->ignore_case = options.Bool("ignore_case", false);
    task->more_texts = options.Int("more_texts", 0, 0, 100);
    for (const std::string& pattern : options.Strings("abstentions", {}))
      task->abstentions.emplace_back(pattern, options.Where("abstentions"));
  }

  void ReadMetrics(Options& options, Task* task, const std::string& kind) {
    task->metrics = options.Strings("metrics", {});
    if (task->metrics.empty()) Fail(options.Where(), "\"metrics\" is missing");
    std::vector<std::string> known;
    for (const MetricRow& row : MetricTable())
      if (IsOfKind(row, kind)) known.emplace_back(row.name);
    for (const std::string& metric : task->metrics) {
      if (std::ranges::find(known, metric) == known.end())
        Fail(options.Where("metrics"), "\"{}\" is no metric of this kind of task{}", metric, DidYouMean(metric, known));
      const std::string needs(FindMetric(metric)->needs);
      if (!needs.empty() && (!options.Has(needs) || (needs == "more_texts" && task->more_texts == 0)))
        Fail(options.Where("metrics"), "the metric \"{}\" needs \"{}\"", metric, needs);
    }
  }

  // REQUIRES: the metrics were read.
  void ReadMeasures(Options& options, Task* task) {
    task->measures = options.Strings("measures", {});
    for (const std::string& name : task->measures) {
      const FigureRow* figure = FindFigure(name);
      if (figure == nullptr) {
        std::vector<std::string> known;
        for (const FigureRow& row : FigureTable()) known.emplace_back(row.as.name);
        Fail(options.Where("measures"), "\"{}\" is no figure of hallucination{}", name, DidYouMean(name, known));
      }
      if (figure->of.empty()) {
        if (!RightOrWrong(*task))
          Fail(options.Where("measures"), "\"{}\" needs a metric by which an answer is right or wrong", name);
        continue;
      }
      const std::string_view with = FindMetric(figure->of)->with, metric = with.empty() ? figure->of : with;
      if (std::ranges::find(task->metrics, metric) == task->metrics.end())
        Fail(options.Where("measures"), "\"{}\" needs the metric \"{}\"", name, metric);
    }
  }

  std::string_view yaml_;
  std::string where_;
  Json variables_;
};

}  // namespace

std::optional<std::string> RightOrWrong(const Task& task) {
  for (const MetricRow& row : MetricTable()) {
    if (row.judges == Judges::kNot || std::ranges::find(task.metrics, row.name) == task.metrics.end()) continue;
    const std::string name(row.name);
    return task.kind == TaskKind::kGenerate ? name + "," + task.filters.front().name : name;
  }
  return std::nullopt;
}

bool WrongIsHallucination(const Task& task) {
  return std::ranges::any_of(task.measures, [](const std::string& name) { return JudgesItems(*FindFigure(name)); });
}

std::vector<Task> ReadTasks(std::string_view yaml, const std::string& where) { return TaskReader(yaml, where).Read(); }

}  // namespace ecld
