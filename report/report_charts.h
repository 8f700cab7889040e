#pragma once
// The charts of a report's page. Each list is empty where the report has nothing to draw.

#include <filesystem>
#include <string>
#include <vector>

#include "core/svg_chart.h"
#include "report/report.h"

namespace ecld {

struct ReportChart {
  Chart chart;
  std::string note;  // below it: what it is of, measured or modelled
};

// Quality against size, and against energy where it is known; the line joins what no other checkpoint beats in both.
std::vector<ReportChart> FrontierCharts(const Report& report);
std::vector<ReportChart> SensitivityCharts(const Report& report);
std::vector<ReportChart> PruningCharts(const Report& report);
std::vector<ReportChart> RiskCharts(const Report& report);
std::vector<ReportChart> LatencyCharts(const Report& report);
std::vector<ReportChart> OffloadCharts(const Report& report);
// What its studies say in words and numbers, as HTML to stand above their charts.
std::string OffloadText(const Report& report);

// All of them as files of a folder, which is made where there is none. Returns their paths. THROWS Error.
std::vector<std::filesystem::path> WriteCharts(const Report& report, const std::filesystem::path& folder);

// The subject's own number of colour and mark.
int StyleOf(const Report& report, const ReportSubject& subject);

}  // namespace ecld
