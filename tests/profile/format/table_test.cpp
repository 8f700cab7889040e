#include "profile/format/table.h"
#include "core/metric_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <locale>
#include <set>

#include "core/random.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

const TableSchema& Load() { return FindTableSchema("load", "test"); }
constexpr const char* kLoadHeader = "from_state,load_ms,load_J,bytes_B,shared_with_variant,shared_B,src,n\n";

TEST(Schema, EveryTableHasOneSourceOneSampleCountAndNoColumnTwice) {
  for (const TableSchema& schema : TableSchemas()) {
    std::set<std::string_view> names;
    int sources = 0, samples = 0;
    for (const Column& column : schema.columns) {
      EXPECT_TRUE(names.insert(column.name).second) << schema.name << "." << column.name;
      sources += column.type == ColumnType::kSource;
      samples += column.type == ColumnType::kSamples;
    }
    EXPECT_EQ(sources, 1) << schema.name;
    EXPECT_EQ(samples, 1) << schema.name;
  }
}

TEST(Schema, UnknownTableOffersCloseOnes) { EXPECT_ERROR(FindTableSchema("layer", "profile.json"), "layers"); }

// Cells that are hard to write exactly: every type, at its edges.
Cell RandomCell(const Column& column, Random& random) {
  switch (column.type) {
    case ColumnType::kText:
      return column.choices.empty() ? "naïve text 3.5"
                                    : std::string(column.choices.substr(0, column.choices.find('|')));
    case ColumnType::kSource:
      return std::string(1, Sources()[random.Below(Sources().size())].letter);
    case ColumnType::kFlag:
      return static_cast<int64_t>(random.Below(2));
    case ColumnType::kSamples:
      return static_cast<int64_t>(1 + random.Below(100));
    case ColumnType::kCount:
      return static_cast<int64_t>(random.Next() >> (1 + random.Below(60)));
    case ColumnType::kNumber:
      return std::exp(random.Normal() * 100);
    case ColumnType::kSigned:
      return (random.Below(2) ? 1 : -1) * std::exp(random.Normal() * 100);
  }
  return {};
}

TEST(Table, EveryTableReadsBackTheSameInValuesAndBytes) {
  Random random(1);
  for (const TableSchema& schema : TableSchemas()) {
    Table table(schema);
    for (int row = 0; row < 50; ++row) {
      table.AddRow();
      for (const Column& column : schema.columns) {
        bool required = column.type == ColumnType::kSource || column.type == ColumnType::kSamples;
        if (required || random.Below(4) > 0) table.Set(column.name, RandomCell(column, random));
      }
    }
    std::string bytes = FormatCsv(table);
    Table read = ParseCsv(schema, bytes, "test");
    EXPECT_TRUE(read == table) << schema.name;
    EXPECT_EQ(FormatCsv(read), bytes) << schema.name;
  }
}

TEST(Table, EdgesOfNumbersReadBack) {
  Table table(Load());
  for (double number : {0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e22, 123456789.123456789}) {
    table.AddRow();
    table.Set("load_ms", number);
    table.Set("bytes_B", std::numeric_limits<int64_t>::max());
    table.Set("src", std::string("m"));
    table.Set("n", int64_t{1});
  }
  EXPECT_TRUE(ParseCsv(Load(), FormatCsv(table), "test") == table);
}

// What a German or French locale does to streams.
struct DecimalComma : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

TEST(Table, NumbersDoNotFollowTheLocale) {
  std::locale before = std::locale::global(std::locale(std::locale(), new DecimalComma));
  std::string bytes = std::string(kLoadHeader) + "ram,12345.5,,1234567,,,m,3\n";
  Table table = ParseCsv(Load(), bytes, "test");
  EXPECT_EQ(table.Number(0, "load_ms"), 12345.5);
  EXPECT_EQ(FormatCsv(table), bytes);
  std::locale::global(before);
}

TEST(Table, EmptyCellsAreNotMeasured) {
  Table table = ParseCsv(Load(), std::string(kLoadHeader) + "ram,,,,,,m,3\n", "test");
  EXPECT_FALSE(table.Number(0, "load_ms"));
  EXPECT_FALSE(table.Count(0, "bytes_B"));
  EXPECT_EQ(table.Text(0, "shared_with_variant"), "");
  EXPECT_EQ(table.Text(0, "from_state"), "ram");
}

TEST(Schema, QualityTakesWhateverATaskMeasures) {
  Table quality(FindTableSchema("quality", "test"));
  quality.AddRow();
  const auto take = [&](std::string_view name) {
    if (name.empty()) return;
    EXPECT_NO_THROW(quality.Set("metric", std::string(name))) << name;
  };
  for (const MetricRow& row : MetricTable()) take(row.of_profile);
  for (const FigureRow& row : FigureTable()) take(row.as.of_profile);
  EXPECT_ERROR(quality.Set("metric", std::string("charm")), "metric");
}

TEST(Table, BadFilesAreRefusedWithTheirPlace) {
  const std::string header = kLoadHeader;
  struct Case {
    std::string text, message;
  };
  const Case cases[] = {
      {"", "load.csv: does not end in a newline"},
      {header + "ram,1.5,,,,,m,3", "cut off"},
      {header.substr(0, 20), "cut off"},
      {"from_state,load_s\nram,1\n", "load.csv:1: expected the header"},
      {"\xef\xbb\xbf" + header, "load.csv:1: expected the header"},
      {header + "ram,1.5,,,,m,3\n", "load.csv:2: expected 8 cells as in the header, found 7"},
      {header + "ram,1.5,,,,,m,3\nram,1.5,,,,,m,3,\n", "load.csv:3: expected 8 cells as in the header, found 9"},
      {header + "\n", "load.csv:2: expected 8 cells as in the header, found 1"},
      {header + "ram,1.5,,,,,m,3\r\n", "n: expected an integer, found \"3\r\""},
      {header + "tape,1.5,,,,,m,3\n", "from_state: expected one of disk|ram|cold, found \"tape\""},
      {header + "ram,nan,,,,,m,3\n", "load_ms: expected a finite number, 0 or more, found \"nan\""},
      {header + "ram,inf,,,,,m,3\n", "load_ms: expected a finite number"},
      {header + "ram,-1,,,,,m,3\n", "load_ms: expected a finite number, 0 or more, found \"-1\""},
      {header + "ram,1e999,,,,,m,3\n", "load_ms: expected a number, found \"1e999\""},
      {header + "ram,1;5,,,,,m,3\n", "load_ms: expected a number, found \"1;5\""},
      {header + "ram, 1,,,,,m,3\n", "load_ms: expected a number, found \" 1\""},
      {header + "ram,,,9223372036854775808,,,m,3\n", "bytes_B: expected an integer"},
      {header + "ram,,,1.5,,,m,3\n", "bytes_B: expected an integer, found \"1.5\""},
      {header + "ram,,,-1,,,m,3\n", "bytes_B: expected an integer, 0 or more, found \"-1\""},
      {header + "ram,,,,a\"b,,m,3\n", "shared_with_variant: expected a text without comma"},
      {header + "ram,,,,,,x,3\n", "src: expected one of m, f, r, i, c, found \"x\""},
      {header + "ram,,,,,,,3\n", "src is empty"},
      {header + "ram,,,,,,m,\n", "n is empty"},
      {header + "ram,,,,,,m,0\n", "n: expected an integer, 1 or more, found \"0\""},
  };
  for (const Case& bad : cases) EXPECT_ERROR(ParseCsv(Load(), bad.text, "load.csv"), bad.message) << bad.text;
}

TEST(Table, EveryTruncationIsRefused) {
  const std::string whole = std::string(kLoadHeader) + "disk,12.5,,1000,,,m,3\n";
  for (size_t length = 0; length < whole.size(); ++length) {
    if (length == std::string_view(kLoadHeader).size()) continue;  // a table without rows, which CheckProfile refuses
    EXPECT_ERROR(ParseCsv(Load(), whole.substr(0, length), "load.csv"), "load.csv");
  }
}

TEST(Table, WhatCouldNotBeReadCannotBeSet) {
  Table table(Load());
  table.AddRow();
  EXPECT_ERROR(table.Set("load_ms", std::numeric_limits<double>::quiet_NaN()), "load.csv: row 1: load_ms");
  EXPECT_ERROR(table.Set("load_ms", std::numeric_limits<double>::infinity()), "load_ms: expected a finite number");
  EXPECT_ERROR(table.Set("load_ms", -1.0), "load_ms: expected a finite number, 0 or more");
  EXPECT_ERROR(table.Set("bytes_B", int64_t{-1}), "bytes_B");
  EXPECT_ERROR(table.Set("shared_with_variant", std::string("a,b")), "without comma");
  EXPECT_ERROR(table.Set("shared_with_variant", std::string("a\nb")), "control character");
  table.Set("src", std::string("m"));
  EXPECT_ERROR(FormatCsv(table), "load.csv: row 1: n is empty");
}

}  // namespace
}  // namespace ecld
