#pragma once
// The charts of a report's page. Each list is empty where the report has nothing to draw.

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
std::vector<ReportChart> RiskCharts(const Report& report);
std::vector<ReportChart> LatencyCharts(const Report& report);

// The subject's own number of colour and mark.
int StyleOf(const Report& report, const ReportSubject& subject);

}  // namespace ecld
