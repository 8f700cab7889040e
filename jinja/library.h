#pragma once
// What a template can call by name: filters and tests. Each is a row of a table: name, parameters, function.

#include <span>
#include <string>
#include <string_view>

#include "jinja/value.h"

namespace ecld::jinja {

class Interpreter;

// The arguments of a call, by the place of their parameter. A value that was not given is null.
struct Bound {
  Interpreter& interpreter;
  std::string_view callee;  // for errors
  std::vector<const Value*> values;
  const Arguments& all;  // as they were given; for callees with "..."

  bool Has(size_t i) const { return values[i] && !values[i]->IsNone(); }  // None stands for "not given" in Python
  const std::string& Text(size_t i) const;                                // THROWS Problem when it is no string
  int64_t Int(size_t i, int64_t fallback) const;                          // THROWS Problem when it is no integer
  bool True(size_t i, bool fallback) const { return values[i] ? values[i]->Truth() : fallback; }
};

using Callable = Value (*)(const Value& self, const Bound& arguments);

struct Row {
  std::string_view name;
  // Names with spaces between; "?" behind those that may be missing, "/" behind those that have no name in Python;
  // "..." at the end: any others.
  std::string_view parameters;
  Callable function;
};

const Row* FindRow(std::span<const Row> rows, std::string_view name);
// THROWS Problem when the arguments are not those that the parameters ask for.
Value CallRow(Interpreter& interpreter, const Row& row, const Value& self, const Arguments& arguments);

bool HasFilter(const std::string& name);
bool HasTest(const std::string& name);
// "\"x\" is not supported (did you mean y?)"
std::string UnknownFilter(const std::string& name);
std::string UnknownTest(const std::string& name);

}  // namespace ecld::jinja
