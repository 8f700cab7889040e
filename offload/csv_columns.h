#pragma once
// Traces: CSV files of numbers whose first line names the columns.

#include <charconv>
#include <cmath>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "core/json_lines.h"

namespace ecld::offload {

// The cells of a line. THROWS Error unless there is one for each column.
inline std::vector<std::string_view> CellsOf(std::string_view line, size_t columns, const std::string& where) {
  std::vector<std::string_view> cells;
  for (size_t from = 0;; from += cells.back().size() + 1) {
    cells.push_back(line.substr(from, line.find(',', from) - from));
    if (from + cells.back().size() >= line.size()) break;
  }
  if (cells.size() != columns)
    Fail(where, "has {} cells, {} would be right; is the file cut off?", cells.size(), columns);
  return cells;
}

inline double NumberOf(std::string_view cell, const std::string& where) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value))
    Fail(where, "expected a number, found \"{}\"", cell);
  return value;
}

// Calls visit for each line after the header. THROWS Error: another header; as visit does. where: "trace.csv:12".
inline void ReadLines(const std::string& file, const std::string& header,
                      const std::function<void(std::string_view line, const std::string& where)>& visit) {
  const std::string text = ReadTextFile(file);
  const std::vector<std::string_view> lines = Lines(text);
  if (lines.empty() || lines[0] != header)
    Fail(fmt::format("{}:1", file), "expected the columns {}, found \"{}\"", header,
         lines.empty() ? "" : lines[0].substr(0, 60));
  for (size_t i = 1; i < lines.size(); ++i) visit(lines[i], fmt::format("{}:{}", file, i + 1));
}

inline void ReadColumns(const std::string& file, const std::vector<std::string>& columns,
                        const std::function<void(const std::vector<double>& row, const std::string& where)>& visit) {
  std::string header;
  for (const std::string& column : columns) header += (header.empty() ? "" : ",") + column;
  ReadLines(file, header, [&](std::string_view line, const std::string& where) {
    std::vector<double> row;
    for (const std::string_view cell : CellsOf(line, columns.size(), where)) row.push_back(NumberOf(cell, where));
    visit(row, where);
  });
}

}  // namespace ecld::offload
