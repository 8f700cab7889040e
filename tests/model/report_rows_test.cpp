#include "model/report_rows.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

TEST(ReportRows, ARowMayBeReplacedAndKeepsItsPlace) {
  ReportRows rows;
  rows.Add("a", {{"error", 1}});
  rows.Add("b", {{"error", 2}});
  rows.Add("a", {{"error", 3}, {"degraded", "rounded"}});
  EXPECT_EQ(rows.All(), Json::parse(R"([{"error": 3, "degraded": "rounded"}, {"error": 2}])"));
  EXPECT_EQ(rows.Degraded(), Json::parse(R"([{"name": "a", "what": "rounded"}])"));
  EXPECT_EQ(*rows.Find("b"), Json::parse(R"({"error": 2})"));
  EXPECT_EQ(rows.Find("c"), nullptr);
  rows.Add("block 1", {{"layer", 1}});
  EXPECT_EQ(rows.All("block "), Json::parse(R"([{"layer": 1}])"));
}

TEST(ReportRows, WhatAKilledPartFoundOutIsThereForTheNext) {
  TempDir dir;
  {
    ReportRows first(dir / "rows.jsonl");
    EXPECT_EQ(first.earlier_s(), 0);
    EXPECT_EQ(first.earlier_peak_B(), 0u);
    first.Add("a", {{"error", 1}});
    first.Add("b", {{"error", 2}});
  }
  std::ofstream(dir / "rows.jsonl", std::ios::app) << R"({"part": 0, "part_s": 9, "pea)";  // the kill
  double seconds = 0;
  {
    ReportRows second(dir / "rows.jsonl");
    EXPECT_EQ(second.All(), Json::parse(R"([{"error": 1}, {"error": 2}])"));
    seconds = second.earlier_s();
    EXPECT_GT(seconds, 0);
    EXPECT_LT(seconds, 9);
    EXPECT_GT(second.earlier_peak_B(), 0u);
    second.Add("b", {{"error", 5}});  // its bytes had not reached the disk: done again
    second.Add("c", {{"error", 6}});
  }
  ReportRows third(dir / "rows.jsonl");
  EXPECT_EQ(third.All(), Json::parse(R"([{"error": 1}, {"error": 5}, {"error": 6}])"));
  EXPECT_GT(third.earlier_s(), seconds) << "the time of both parts";
}

TEST(ReportRows, AFileThatCannotBeUsedIsAnError) {
  TempDir dir;
  WriteFileAtomically(dir / "rows.jsonl", "{}\n");
  EXPECT_ERROR(ReportRows(dir / "rows.jsonl"), "rows.jsonl: key \"part\" is missing");
  ReportRows nowhere(dir / "none" / "rows.jsonl");
  EXPECT_ERROR(nowhere.Add("a", {}), "rows.jsonl: cannot write");
}

}  // namespace
}  // namespace ecld
