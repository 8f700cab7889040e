#include "jinja/filters.h"

#include "core/error.h"
#include "jinja/integer.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

constexpr std::span<const Row> (*kTables[])() = {TextFilters, NumberFilters, SequenceFilters};

const Row* FindFilter(const std::string& name) {
  for (auto* table : kTables)
    if (const Row* row = FindRow(table(), name)) return row;
  return nullptr;
}

}  // namespace

bool HasFilter(const std::string& name) { return FindFilter(name) != nullptr; }

std::string UnknownFilter(const std::string& name) {
  std::vector<std::string> known;
  for (auto* table : kTables)
    for (const Row& row : table()) known.emplace_back(row.name);
  return fmt::format("\"{}\" is not supported{}", name, DidYouMean(name, known));
}

Value Interpreter::ApplyFilter(const std::string& name, const Value& value, const Arguments& arguments) {
  const Row* row = FindFilter(name);
  if (!row) Wrong("filter " + UnknownFilter(name));
  return CallRow(*this, *row, value, arguments);
}

Value AttributePath(Interpreter& interpreter, const Value& item, const Value& path, const Value* fallback) {
  if (path.IsNone()) return item;
  List parts = {path};
  if (path.AsString()) {
    parts.clear();
    for (const std::string& part : SplitAt(*path.AsString(), ".", -1, false)) {
      bool known = false;
      const bool index = HasProperty(part, "isdigit", &known);
      parts.push_back(index ? ParseInteger(part, 10).value_or(Value(part)) : Value(part));
    }
  }
  Value value = item;
  for (const Value& part : parts) {
    value = ElementOf(interpreter, value, part);
    if (fallback && !fallback->IsNone() && value.IsUndefined()) value = *fallback;
  }
  return value;
}

}  // namespace ecld::jinja
