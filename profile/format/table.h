#pragma once
// One table of a profile in memory, and its CSV form: UTF-8, a header line, '.' as decimal point whatever the
// locale, no quoting (text cells cannot hold what would need it), empty cell = not measured. Numbers are written in
// the shortest form that reads back the same: ParseCsv(FormatCsv(t)) == t, and the bytes come out the same again.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "profile/format/schema.h"

namespace ecld {

// Empty; kCount, kFlag, kSamples; kNumber, kSigned; kText, kSource.
using Cell = std::variant<std::monostate, int64_t, double, std::string>;

class Table {
 public:
  explicit Table(const TableSchema& schema) : schema_(&schema) {}

  const TableSchema& schema() const { return *schema_; }
  const std::vector<std::vector<Cell>>& rows() const { return rows_; }

  void AddRow() { rows_.emplace_back(schema_->columns.size()); }
  // Sets a cell of the last row. THROWS Error naming table, row and column on a value the column does not take: NaN,
  // infinity, below zero, a text that CSV cannot hold. REQUIRES: the column exists and the alternative is its own.
  void Set(std::string_view column, Cell value);

  // A cell as a number; nullopt when empty. REQUIRES: the column exists and is not a text.
  std::optional<double> Number(size_t row, std::string_view column) const;
  // A cell as an integer; nullopt when empty. REQUIRES: the column exists and holds integers.
  std::optional<int64_t> Count(size_t row, std::string_view column) const;
  // A cell as a text; "" when empty. REQUIRES: the column exists and is a text or source.
  std::string_view Text(size_t row, std::string_view column) const;

  bool operator==(const Table& other) const { return schema_ == other.schema_ && rows_ == other.rows_; }

 private:
  friend Table ParseCsv(const TableSchema& schema, std::string_view text, const std::string& where);

  const Cell& At(size_t row, std::string_view column) const;

  const TableSchema* schema_;
  std::vector<std::vector<Cell>> rows_;
};

// THROWS Error when a row lacks its source or its number of samples.
std::string FormatCsv(const Table& table);

// THROWS Error with file, line and column name: another header, missing or extra cells, a cell that its column does
// not take, NaN, infinity, no source or number of samples, a file cut off before its final newline.
Table ParseCsv(const TableSchema& schema, std::string_view text, const std::string& where);

}  // namespace ecld
