#pragma once
// The tables of the device profile, version 1, as data: names, columns, and what each column holds. Reader, writer
// and validation walk this; a new table or column is a new row in schema.cpp. Units are suffixes of the column names
// (_ms _J _W _B _tok). An empty cell is "not measured".

#include <span>
#include <string_view>

#include "core/document.h"

namespace ecld {

inline constexpr DocumentKind kProfileDocument{"ecld.device_profile", "1.3.0"};

// What a column may hold, besides nothing.
enum class ColumnType {
  kText,     // one of the choices if there are any, else any text without comma, quote or control character
  kCount,    // integer, 0 .. 2^63 - 1
  kNumber,   // finite, 0 or more
  kSigned,   // finite
  kFlag,     // 0 or 1
  kSource,   // the letter of one of Sources(), never empty
  kSamples,  // integer of at least 1, never empty: repetitions or items behind the row
};

struct Column {
  std::string_view name;
  ColumnType type;
  std::string_view choices = {};  // "disk|ram|cold"
};

struct TableSchema {
  std::string_view name;  // the file is <name>.csv
  std::span<const Column> columns;
};

// Where a row's figures come from, strongest first: measured, fitted, roofline model, interpolated, copied.
struct Source {
  char letter;
  std::string_view meaning;
};
std::span<const Source> Sources();

// The letter of the two that stands later in Sources(). REQUIRES: both are in it.
char WeakerSource(char a, char b);

std::span<const TableSchema> TableSchemas();

// THROWS Error naming the known tables.
const TableSchema& FindTableSchema(std::string_view name, std::string_view where);

}  // namespace ecld
