#include <algorithm>
#include <set>

#include "core/document.h"
#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "eval/evaluate.h"
#include "eval/tasks/evaluate_tasks.h"
#include "profile/query/sections.h"
#include "profile/score/scorecard.h"
#include "report/report.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAggregate = "mean";  // of the uncertainties of an answer's tokens, for the curves

std::string BaseName(const std::string& directory) {
  fs::path path = fs::path(directory).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  return path.filename().string();
}

class ReportReader {
 public:
  explicit ReportReader(const fs::path& catalogue) : catalogue_(ReadCatalogue(catalogue)) {}

  // named: by the user, who wants to know when it cannot be used.
  void Add(const fs::path& path, bool named) {
    if (fs::is_directory(path)) {
      if (fs::exists(path / "profile.json"))
        AddProfile(path);
      else if (named)
        AddFolder(path);
      return;
    }
    if (!named && path.extension() != ".json") return;
    const Json json = ReadJsonFile(path);
    const JsonView view(json, path.string());
    const auto reader = std::ranges::find_if(kReaders, [&](const auto& each) { return IsDocument(json, *each.kind); });
    if (reader == std::end(kReaders)) {
      if (!named) return;
      std::string schemas;
      for (const Reader& each : kReaders) schemas += fmt::format("{}, ", each.kind->schema);
      Fail(path.string(), "its schema is \"{}\"; a report is made of {}and of device profiles",
           json.is_object() ? view.StringOr("schema", "") : "", schemas);
    }
    RequireKind(view, *reader->kind);
    (this->*reader->read)(view);
    Note(path);
  }

  Report Take() { return std::move(report_); }

 private:
  struct Reader {
    const DocumentKind* kind;
    void (ReportReader::*read)(const JsonView& document);
  };
  static const Reader kReaders[5];

  void AddFolder(const fs::path& folder) {
    std::vector<fs::path> entries;
    for (const auto& entry : fs::directory_iterator(folder)) entries.push_back(entry.path());
    std::sort(entries.begin(), entries.end());
    const size_t before = report_.sources.size();
    for (const fs::path& entry : entries) Add(entry, false);
    if (report_.sources.size() == before)
      Fail(folder.string(),
           "holds no result of `eval --json`, `scores --json`, `offload --json` or `compress`, and no device profile");
  }

  void Note(const fs::path& path) { report_.sources.emplace_back(path.string(), Sha256HexOfFile(path)); }

  ReportSubject& Subject(const std::string& weights_sha256) {
    for (ReportSubject& subject : report_.subjects)
      if (subject.weights_sha256 == weights_sha256) return subject;
    report_.subjects.push_back({.weights_sha256 = weights_sha256});
    return report_.subjects.back();
  }

  ReportSubject& SubjectOf(const JsonView& model) {
    ReportSubject& subject = Subject(model.At("weights_sha256").String());
    if (subject.name.empty()) subject.name = BaseName(model.At("directory").String());
    subject.format = model.At("format").String();
    subject.weights_B = model.At("weights_B").Number();
    subject.params = model.At("params").Number();
    return subject;
  }

  // The first file that has a figure is the one that is shown.
  static void AddFigure(ReportSubject& subject, ReportFigure figure) {
    const auto known = std::ranges::find_if(subject.figures, [&](const ReportFigure& other) {
      return other.metric == figure.metric && other.name == figure.name;
    });
    if (known == subject.figures.end())
      subject.figures.push_back(std::move(figure));
    else
      known->headline |= figure.headline;
  }

  static std::optional<std::pair<double, double>> Interval(const JsonView& view, const char* key) {
    if (!view.Has(key)) return std::nullopt;
    return std::pair(view.At(key).At(size_t{0}).Number(), view.At(key).At(size_t{1}).Number());
  }

  static std::string ScorerOf(const JsonView& metric) {
    const std::string scorer = metric.StringOr("scorer", "");
    return scorer.empty() ? "" : "scorer: " + scorer;
  }

  static ReportFigure FigureOf(const JsonView& metric, std::string name, std::string kind_of_metric) {
    return {.metric = std::move(kind_of_metric),
            .name = std::move(name),
            .value = metric.At("value").Number(),
            .unit = metric.At("unit").String(),
            .kind = metric.At("kind").String(),
            .interval = Interval(metric, "ci95"),
            .n = metric.At("n").Int(),
            .method = metric.Has("method") ? metric.At("method").String() : ScorerOf(metric)};
  }

  void AddEval(const JsonView& view) {
    ReportSubject& subject = SubjectOf(view.At("model"));
    const std::string text = fs::path(view.At("text").At("file").String()).stem().string();
    for (size_t i = 0; i < view.At("metrics").Size(); ++i) {
      const JsonView metric = view.At("metrics").At(i);
      const std::string name = metric.At("name").String();
      const bool of_reference = name == "reference_perplexity" || name == "reference_bits_per_byte";
      if (name == "nll" || of_reference) continue;  // nll is said by perplexity
      ReportFigure figure = FigureOf(metric, fmt::format("{}, {}", text, name), "accuracy");
      figure.headline = name == "perplexity" || name == "kl";
      AddFigure(subject, std::move(figure));
    }
  }

  static std::set<std::string> TasksOfHallucination(const JsonView& view) {
    std::set<std::string> tasks;
    if (!view.Has("hallucination")) return tasks;
    const JsonView metrics = view.At("hallucination").At("metrics");
    for (size_t i = 0; i < metrics.Size(); ++i) tasks.insert(metrics.At(i).StringOr("task", ""));
    return tasks;
  }

  void AddTasks(const JsonView& view) {
    ReportSubject& subject = SubjectOf(view.At("model"));
    const std::set<std::string> judged = TasksOfHallucination(view);
    for (size_t i = 0; i < view.At("tasks").Size(); ++i) {
      const JsonView task = view.At("tasks").At(i);
      const std::string name = task.At("task").String();
      // What hallucination is made of stands there.
      if (!judged.contains(name))
        for (size_t j = 0; j < task.At("metrics").Size(); ++j) {
          const JsonView metric = task.At("metrics").At(j);
          AddFigure(subject, FigureOf(metric, fmt::format("{}, {}", name, metric.At("name").String()), "accuracy"));
        }
      AddCurve(subject, name, task);
    }
    if (!view.Has("hallucination")) return;
    const JsonView metrics = view.At("hallucination").At("metrics");
    for (size_t i = 0; i < metrics.Size(); ++i) {
      const JsonView metric = metrics.At(i);
      const std::string of_task = metric.StringOr("task", "");
      AddFigure(
          subject,
          FigureOf(metric, fmt::format("{}{}{}", of_task, of_task.empty() ? "" : ", ", metric.At("name").String()),
                   "hallucination"));
    }
    if (const JsonView found = view.At("hallucination"); found.Has("new_errors")) {
      const JsonView paired = found.At("new_errors");
      ReportFigure figure{
          .metric = "hallucination",
          .name = "new errors less fixed ones, against the original",
          .value = paired.At("new_error_rate").Number(),
          .unit = "1",
          .kind = "measured",
          .interval = {},
          .n = paired.At("n").Int(),
          .method = fmt::format("{} new, {} fixed; McNemar's exact p {:.3g}", paired.At("new_errors").Int(),
                                paired.At("fixed_errors").Int(), paired.At("p").Number()),
          .headline = true};
      AddFigure(subject, std::move(figure));
    }
  }

  static void AddCurve(ReportSubject& subject, const std::string& task, const JsonView& view) {
    if (!view.Has("uncertainty")) return;
    const JsonView aggregates = view.At("uncertainty").At("aggregates");
    if (aggregates.Has(kAggregate)) AddCurvePoints(subject, task, aggregates.At(kAggregate), "risk_coverage");
  }

  static void AddCurvePoints(ReportSubject& subject, const std::string& task, const JsonView& view, const char* key) {
    for (const RiskCurve& curve : subject.curves)
      if (curve.task == task) return;
    RiskCurve curve{.task = task, .auroc = {}, .points = {}};
    if (view.Has("auroc")) curve.auroc = view.At("auroc").Number();
    for (size_t i = 0; i < view.At(key).Size(); ++i)
      curve.points.emplace_back(view.At(key).At(i).At(size_t{0}).Number(), view.At(key).At(i).At(size_t{1}).Number());
    subject.curves.push_back(std::move(curve));
  }

  void AddScorecards(const JsonView& view) {
    for (size_t i = 0; i < view.At("scorecards").Size(); ++i) {
      const JsonView card = view.At("scorecards").At(i);
      ReportSubject& subject = Subject(card.At("weights_sha256").String());
      if (subject.name.empty()) subject.name = card.At("variant").String();
      for (size_t j = 0; j < card.At("figures").Size(); ++j) {
        const JsonView figure = card.At("figures").At(j);
        AddFigure(subject, {.metric = figure.At("metric").String(),
                            .name = figure.At("name").String(),
                            .value = figure.Has("value") ? std::optional(figure.At("value").Number()) : std::nullopt,
                            .unit = figure.At("unit").String(),
                            .kind = figure.At("kind").String(),
                            .interval = Interval(figure, "interval"),
                            .n = figure.At("n").Int(),
                            .method = figure.At("method").String(),
                            .headline = figure.BoolOr("headline", false)});
      }
    }
  }

  void AddProfile(const fs::path& directory) {
    DeviceProfile profile = ReadProfile(directory);
    const Variant variant = VariantOf(profile);
    ReportSubject& subject = Subject(variant.weights_sha256);
    subject.name = variant.id;
    subject.weights_B = static_cast<double>(variant.file_B);
    subject.params = static_cast<double>(variant.params);
    if (subject.format.empty()) subject.format = fmt::format("{:.3g} bits", variant.quant.bits);
    if (const JsonView section(profile.variant, (directory / "profile.json").string(), "variant");
        section.Has("uncertainty")) {
      const JsonView tasks = section.At("uncertainty");
      for (const std::string& task : tasks.Keys())
        if (tasks.At(task).Has(kAggregate))
          AddCurvePoints(subject, task, tasks.At(task).At(kAggregate), "coverage_acc");
    }
    AddScores(subject, profile);
    subject.profiles.push_back(std::move(profile));
    Note(directory / "profile.json");
  }

  // As `scores` would say it, with the limits that it has by itself. A profile without the memory of a single sequence
  // has no such table.
  void AddScores(ReportSubject& subject, const DeviceProfile& profile) const {
    if (!profile.tables.contains("phase")) return;
    const Table& phase = profile.At("phase");
    bool known = false;
    for (size_t row = 0; row < phase.rows().size(); ++row)
      known |= phase.Count(row, "batch") == 1 && phase.Number(row, "mem_peak_B") && phase.Number(row, "kv_B");
    if (!known) return;
    for (const Figure& figure : ScorecardOf(profile, catalogue_, {}).figures) {
      if (!figure.value && figure.name.starts_with("no scores")) continue;  // other files may have them
      AddFigure(subject, {.metric = figure.metric,
                          .name = figure.name,
                          .value = figure.value,
                          .unit = figure.unit,
                          .kind = std::string(KindOf(figure.src)),
                          .interval = figure.interval,
                          .n = figure.n,
                          .method = figure.method,
                          .headline = figure.headline});
    }
  }

  // Of the stages that measured what each matrix feels in each format, and of those that prune.
  void AddRun(const JsonView& view) {
    AddPruning(view, &report_.pruned);
    const JsonView stages = view.At("stages");
    for (size_t i = 0; i < stages.Size(); ++i) {
      const JsonView stage = stages.At(i);
      if (!stage.Has("details") || !stage.At("details").Has("units") || !stage.At("details").Has("formats")) continue;
      const JsonView formats = stage.At("details").At("formats"), units = stage.At("details").At("units");
      SensitivityRun run{
          .name = fmt::format("{}, {}", view.At("recipe").At("name").String(), stage.At("pass").String()),
          .formats = {},
          .rows = {}};
      for (size_t j = 0; j < formats.Size(); ++j) run.formats.push_back(formats.At(j).String());
      for (size_t j = 0; j < units.Size(); ++j) {
        SensitivityRow row{.name = units.At(j).At("name").String(), .kl_nats = {}};
        const JsonView kl = units.At(j).At("kl_nats");
        if (kl.Size() != run.formats.size())
          Fail(kl.Where(), "has {} values, one for each of the {} formats would be right", kl.Size(),
               run.formats.size());
        for (size_t k = 0; k < kl.Size(); ++k) row.kl_nats.push_back(kl.At(k).Number());
        run.rows.push_back(std::move(row));
      }
      report_.runs.push_back(std::move(run));
    }
  }

  // Studies of one scenario are told apart by number.
  void AddOffload(const JsonView& view) {
    OffloadStudy study = ReadOffloadStudy(view);
    const std::string name = study.scenario;
    const auto is_taken = [&](const OffloadStudy& other) { return other.scenario == study.scenario; };
    for (int number = 2; std::ranges::any_of(report_.studies, is_taken); ++number)
      study.scenario = fmt::format("{} ({})", name, number);
    report_.studies.push_back(std::move(study));
  }

  DeviceCatalogue catalogue_;
  Report report_;
};

const ReportReader::Reader ReportReader::kReaders[5] = {{&kEvalDocument, &ReportReader::AddEval},
                                                        {&kTasksDocument, &ReportReader::AddTasks},
                                                        {&kScorecardDocument, &ReportReader::AddScorecards},
                                                        {&kRunDocument, &ReportReader::AddRun},
                                                        {&kOffloadDocument, &ReportReader::AddOffload}};

}  // namespace

const ReportFigure* ReportSubject::Find(std::string_view metric, std::string_view figure) const {
  for (const ReportFigure& candidate : figures)
    if (candidate.metric == metric && candidate.name == figure) return &candidate;
  return nullptr;
}

Report ReadReport(const std::vector<fs::path>& inputs, const fs::path& catalogue) {
  if (inputs.empty()) Fail("report", "names nothing to report on; give results of `eval --json` and device profiles");
  ReportReader reader(catalogue);
  for (const fs::path& input : inputs) reader.Add(input, true);
  return reader.Take();
}

}  // namespace ecld
