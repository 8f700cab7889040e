#pragma once
// One table of a profile in memory, and its CSV form: UTF-8, a header line, '.' as decimal point whatever the
// locale, no quoting (text cells cannot hold what would need it), empty cell = not measured. Numbers are written in
// the shortest form that reads back the same, so Parse(Format(t)) == t and Format(Parse(b)) == b for bytes we wrote.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "profile/schema.h"

namespace ecld {

// Empty, a count or flag, a number, a text or source letter: as the column's type says.
using Cell = std::variant<std::monostate, int64_t, double, std::string>;

class Table {
 public:
  explicit Table(const TableSchema& schema) : schema_(&schema) {}

  const TableSchema& schema() const { return *schema_; }
  size_t rows() const { return rows_.size(); }

  // A new row of empty cells, filled by Set.
  void AddRow() { rows_.emplace_back(schema_->columns.size()); }
  // Sets a cell of the last row. An integer given to a kNumber column becomes a number. THROWS Error naming table,
  // row and column on NaN, infinity, a negative value, or a text that CSV cannot hold. REQUIRES: the column exists
  // and takes this kind of value.
  void Set(std::string_view column, Cell value);

  const Cell& At(size_t row, std::string_view column) const;
  // The cell as a number; nullopt when empty. REQUIRES: not a text column.
  std::optional<double> Number(size_t row, std::string_view column) const;
  // The cell as a text; "" when empty. REQUIRES: a text or source column.
  std::string_view Text(size_t row, std::string_view column) const;

  bool operator==(const Table& other) const { return schema_ == other.schema_ && rows_ == other.rows_; }

 private:
  friend std::string FormatCsv(const Table& table);

  size_t Index(std::string_view column) const;

  const TableSchema* schema_;
  std::vector<std::vector<Cell>> rows_;
};

std::string FormatCsv(const Table& table);

// THROWS Error with file, line and column: another header, missing or extra cells, a cell of the wrong type, NaN,
// infinity, a missing source or n, text cut off before the final newline. where: the file.
Table ParseCsv(const TableSchema& schema, std::string_view text, const std::string& where);

}  // namespace ecld
