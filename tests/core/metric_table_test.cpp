#include "core/metric_table.h"

#include <gtest/gtest.h>

#include <set>

namespace ecld {
namespace {

TEST(MetricTable, EveryNameStandsForOneRow) {
  std::set<std::string_view> names;
  for (const MetricRow& row : MetricTable()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(FindMetric(row.name), &row);
    EXPECT_NE(row.kinds.empty(), row.with.empty()) << row.name << " belongs to tasks, or comes with another metric";
    if (!row.with.empty()) {
      EXPECT_TRUE(FindMetric(row.with)) << row.name;
    }
    EXPECT_TRUE(row.share || row.judges == Judges::kNot) << row.name;
  }
  names.clear();
  for (const FigureRow& row : FigureTable()) {
    EXPECT_TRUE(names.insert(row.as.name).second) << row.as.name;
    EXPECT_EQ(FindFigure(row.as.name), &row);
    EXPECT_TRUE(row.of.empty() || FindMetric(row.of)) << row.as.name;
  }
}

TEST(MetricTable, AFilterBehindTheNameAndKindsBetweenBars) {
  EXPECT_EQ(FindMetric("exact_match,strict-match"), FindMetric("exact_match"));
  EXPECT_FALSE(FindMetric("exact"));
  EXPECT_TRUE(IsOfKind(*FindMetric("acc"), "choice"));
  EXPECT_TRUE(IsOfKind(*FindMetric("acc"), "continuation"));
  EXPECT_FALSE(IsOfKind(*FindMetric("acc"), "generate"));
  EXPECT_FALSE(IsOfKind(*FindMetric("auroc"), "choice"));
}

}  // namespace
}  // namespace ecld
