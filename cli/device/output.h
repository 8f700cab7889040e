#pragma once
// Results as people and programs want them: an aligned table, or JSON.

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"

namespace CLI {
class App;
}

namespace ecld {

// Rows of cells, the first one a heading; the first column is aligned left, the others right. To stdout.
void PrintTable(const std::vector<std::vector<std::string>>& rows);

// The flag --json FILE ("-" is stdout) that every verb with a result has.
void AddJsonFlag(CLI::App& verb, std::string* file);

// Writes result where the flag says. Returns whether stdout is taken, so that no table is printed.
// THROWS Error when the file cannot be written.
bool WriteJson(const std::string& file, const Json& result);

// "134.5 M", "8.03 B"; for people.
std::string FormatCount(uint64_t count);

}  // namespace ecld
