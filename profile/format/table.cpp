#include "profile/format/table.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>

#include "core/error.h"

namespace ecld {
namespace {

size_t IndexOf(const TableSchema& schema, std::string_view column) {
  for (size_t i = 0; i < schema.columns.size(); ++i)
    if (schema.columns[i].name == column) return i;
  assert(!"a column of this table");
  return 0;
}

bool IsChoice(std::string_view choices, std::string_view text) {
  while (!choices.empty()) {
    std::string_view choice = choices.substr(0, choices.find('|'));
    if (choice == text) return true;
    choices.remove_prefix(std::min(choices.size(), choice.size() + 1));
  }
  return false;
}

bool IsSource(std::string_view text) {
  for (const Source& source : Sources())
    if (text == std::string_view(&source.letter, 1)) return true;
  return false;
}

bool IsPlain(std::string_view text) {
  for (unsigned char c : text)
    if (c == ',' || c == '"' || c < 0x20 || c == 0x7f) return false;
  return true;
}

// The rule of the column's type for a cell that is not empty; nullptr when it is met, else what would be right.
const char* Broken(const Column& column, const Cell& cell) {
  switch (column.type) {
    case ColumnType::kText: {
      const std::string& text = std::get<std::string>(cell);
      if (!IsPlain(text)) return "a text without comma, quote or control character";
      return column.choices.empty() || IsChoice(column.choices, text) ? nullptr : "one of";
    }
    case ColumnType::kSource:
      return IsSource(std::get<std::string>(cell)) ? nullptr : "one of m, f, r, i, c";
    case ColumnType::kCount:
      return std::get<int64_t>(cell) >= 0 ? nullptr : "an integer, 0 or more";
    case ColumnType::kSamples:
      return std::get<int64_t>(cell) >= 1 ? nullptr : "an integer, 1 or more";
    case ColumnType::kFlag:
      return std::get<int64_t>(cell) == 0 || std::get<int64_t>(cell) == 1 ? nullptr : "0 or 1";
    case ColumnType::kNumber:
      return std::isfinite(std::get<double>(cell)) && std::get<double>(cell) >= 0 ? nullptr
                                                                                  : "a finite number, 0 or more";
    case ColumnType::kSigned:
      return std::isfinite(std::get<double>(cell)) ? nullptr : "a finite number";
  }
  return nullptr;
}

bool NeverEmpty(const Column& column) {
  return column.type == ColumnType::kSource || column.type == ColumnType::kSamples;
}

void Append(std::string& out, const Cell& cell) {
  char buffer[32];
  if (const auto* text = std::get_if<std::string>(&cell)) {
    out += *text;
  } else if (const auto* count = std::get_if<int64_t>(&cell)) {
    out.append(buffer, std::to_chars(buffer, buffer + sizeof(buffer), *count).ptr);
  } else if (const auto* number = std::get_if<double>(&cell)) {
    out.append(buffer, std::to_chars(buffer, buffer + sizeof(buffer), *number).ptr);
  }
}

[[noreturn]] void FailCell(const std::string& where, const Column& column, std::string_view found,
                           std::string_view expected) {
  Fail(where, "{}: expected {}{}{}, found \"{}\"", column.name, expected, expected == "one of" ? " " : "",
       expected == "one of" ? column.choices : "", found.substr(0, 40));
}

template <class Value>
Cell ParseNumber(std::string_view text, const std::string& where, const Column& column, std::string_view expected) {
  Value value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) FailCell(where, column, text, expected);
  return value;
}

Cell ParseCell(const Column& column, std::string_view text, const std::string& where) {
  if (text.empty()) {
    if (NeverEmpty(column))
      Fail(where, "{} is empty; every row says its source and its number of samples", column.name);
    return {};
  }
  Cell cell;
  if (column.type == ColumnType::kText || column.type == ColumnType::kSource)
    cell = std::string(text);
  else if (column.type == ColumnType::kNumber || column.type == ColumnType::kSigned)
    cell = ParseNumber<double>(text, where, column, "a number");
  else
    cell = ParseNumber<int64_t>(text, where, column, "an integer");
  if (const char* expected = Broken(column, cell)) FailCell(where, column, text, expected);
  return cell;
}

// Takes the next field off line.
std::string_view NextField(std::string_view& line) {
  std::string_view field = line.substr(0, line.find(','));
  line.remove_prefix(std::min(line.size(), field.size() + 1));
  return field;
}

std::string Header(const TableSchema& schema) {
  std::string line;
  for (const Column& column : schema.columns) {
    if (!line.empty()) line += ',';
    line += column.name;
  }
  return line;
}

}  // namespace

void Table::Set(std::string_view column, Cell value) {
  size_t index = IndexOf(*schema_, column);
  const Column& declared = schema_->columns[index];
  if (const char* expected = Broken(declared, value)) {
    std::string found;
    Append(found, value);
    FailCell(fmt::format("{}.csv: row {}", schema_->name, rows_.size()), declared, found, expected);
  }
  rows_.back()[index] = std::move(value);
}

const Cell& Table::At(size_t row, std::string_view column) const { return rows_.at(row)[IndexOf(*schema_, column)]; }

std::optional<double> Table::Number(size_t row, std::string_view column) const {
  const Cell& cell = At(row, column);
  if (std::holds_alternative<double>(cell)) return std::get<double>(cell);
  if (std::holds_alternative<int64_t>(cell)) return static_cast<double>(std::get<int64_t>(cell));
  return std::nullopt;
}

std::optional<int64_t> Table::Count(size_t row, std::string_view column) const {
  const Cell& cell = At(row, column);
  return std::holds_alternative<int64_t>(cell) ? std::optional(std::get<int64_t>(cell)) : std::nullopt;
}

std::string_view Table::Text(size_t row, std::string_view column) const {
  const Cell& cell = At(row, column);
  return std::holds_alternative<std::string>(cell) ? std::string_view(std::get<std::string>(cell)) : "";
}

std::string FormatCsv(const Table& table) {
  const TableSchema& schema = table.schema();
  std::string out = Header(schema) + "\n";
  for (size_t row = 0; row < table.rows().size(); ++row) {
    for (size_t i = 0; i < schema.columns.size(); ++i) {
      if (i > 0) out += ',';
      const Cell& cell = table.rows()[row][i];
      if (NeverEmpty(schema.columns[i]) && std::holds_alternative<std::monostate>(cell))
        Fail(fmt::format("{}.csv: row {}", schema.name, row + 1),
             "{} is empty; every row says its source and its "
             "number of samples",
             schema.columns[i].name);
      Append(out, cell);
    }
    out += '\n';
  }
  return out;
}

Table ParseCsv(const TableSchema& schema, std::string_view text, const std::string& where) {
  if (text.empty() || text.back() != '\n') Fail(where, "does not end in a newline: the file is cut off");
  Table table(schema);
  for (size_t line_number = 1; !text.empty(); ++line_number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() + 1);
    std::string place = fmt::format("{}:{}", where, line_number);
    if (line_number == 1) {
      if (line != Header(schema))
        Fail(place, "expected the header \"{}\", found \"{}\"", Header(schema), line.substr(0, 200));
      continue;
    }
    size_t fields = 1;
    for (char c : line) fields += c == ',';
    if (fields != schema.columns.size())
      Fail(place, "expected {} cells as in the header, found {}", schema.columns.size(), fields);
    std::vector<Cell>& row = table.rows_.emplace_back();
    for (const Column& column : schema.columns) row.push_back(ParseCell(column, NextField(line), place));
  }
  return table;
}

}  // namespace ecld
