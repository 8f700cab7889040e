#pragma once
// What checkpoints are worth and cost, side by side, on one page: from results that `eval`, `profile`, `scores`,
// `compress` and `offload` wrote. Nothing is measured or scored here, and no number changes: each stands on the page as
// it stands in its file, beside its unit, its interval, and whether it was measured or modelled.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "profile/format/profile.h"

namespace ecld {

struct ReportFigure {
  std::string metric;  // accuracy, hallucination, energy, accessibility
  std::string name;
  std::optional<double> value;
  std::string unit, kind;  // kind: measured, modelled, declared, not measured
  std::optional<std::pair<double, double>> interval;
  int64_t n = 0;
  std::string method;
  bool headline = false;  // see Figure of profile/score/scorecard.h
};

// How often the surest share of the answers to a task are wrong.
struct RiskCurve {
  std::string task;
  std::optional<double> auroc;
  std::vector<std::pair<double, double>> points;  // coverage, accuracy
};

// One checkpoint: everything that has the hash of its weights.
struct ReportSubject {
  std::string weights_sha256, name, format;
  double weights_B = 0, params = 0;
  std::vector<ReportFigure> figures;
  std::vector<RiskCurve> curves;
  std::vector<DeviceProfile> profiles;

  const ReportFigure* Find(std::string_view metric, std::string_view figure) const;  // nullptr: none
};

// What rounding one matrix costs, by a run that measured it.
struct SensitivityRow {
  std::string name;
  std::vector<double> kl_nats;  // by format
};
struct SensitivityRun {
  std::string name;
  std::vector<std::string> formats;
  std::vector<SensitivityRow> rows;
};

// What a stage that prunes has left of each block, in shares of what there was: a row of all channels, or one for each
// head.
struct PruningRun {
  std::string name;
  std::vector<std::pair<std::string, std::vector<double>>> kept;  // name of a row, share by block
};
void AddPruning(const JsonView& run, std::vector<PruningRun>* runs);  // THROWS Error

// Policies of offloading over a scenario, simulated.
struct OffloadMetric {
  std::string name, unit;
  double value = 0;
  std::optional<std::pair<double, double>> interval;
};
struct OffloadPolicy {
  std::string name;
  std::vector<OffloadMetric> metrics;
  std::vector<double> at_s;
  std::vector<std::pair<std::string, std::vector<double>>> queues;  // requests at these times, by where they are
};
struct OffloadPoint {
  std::string value;  // of what is swept; empty: nothing is
  std::vector<OffloadPolicy> policies;
};
// What a study draws of its own, before any run.
struct OffloadPicture {
  std::string title, x, y;
  bool y_log = false, from_zero = false;
  struct Series {
    std::string name;
    std::vector<double> x, y;
    bool step = false;  // as high as it was until the next point
  };
  std::vector<Series> series;
};
struct OffloadStudy {
  std::string scenario, swept;
  int64_t replications = 0;
  std::vector<std::string> modelled, findings;
  std::vector<OffloadPicture> pictures;
  std::vector<OffloadPoint> points;
};
OffloadStudy ReadOffloadStudy(const JsonView& document);  // THROWS Error

struct Report {
  std::vector<ReportSubject> subjects;  // in the order in which the files name them
  std::vector<SensitivityRun> runs;
  std::vector<PruningRun> pruned;
  std::vector<OffloadStudy> studies;
  std::vector<std::pair<std::string, std::string>> sources;  // file, sha256
};

// inputs: files of the schemas that report_inputs.cpp lists, device profiles, or folders in which such things lie
// (other files there are passed over). catalogue: devices that may run a profile's model, and their coefficients of
// energy; empty: those that ship. THROWS Error: no such thing there; a file that is named and is of another schema;
// whatever reading them throws.
Report ReadReport(const std::vector<std::filesystem::path>& inputs, const std::filesystem::path& catalogue = "");

// One self-contained page: no script, no request. The same report gives the same bytes.
std::string ReportHtml(const Report& report);

}  // namespace ecld
