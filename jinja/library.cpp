#include "jinja/library.h"

#include <algorithm>

#include "core/error.h"
#include "jinja/interpreter.h"

namespace ecld::jinja {
namespace {

struct Parameter {
  std::string_view name;
  bool optional = false, unnamed = false;
};

std::vector<Parameter> ParseParameters(std::string_view text, bool* open) {
  std::vector<Parameter> parameters;
  *open = false;
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word == "...") {
      *open = true;
      continue;
    }
    Parameter parameter;
    for (; word.ends_with('?') || word.ends_with('/'); word.remove_suffix(1))
      (word.ends_with('?') ? parameter.optional : parameter.unnamed) = true;
    parameter.name = word;
    parameters.push_back(parameter);
  }
  return parameters;
}

}  // namespace

const std::string& Bound::Text(size_t i) const {
  const std::string* text = values[i] ? values[i]->AsString() : nullptr;
  if (!text) Wrong(fmt::format("{} needs a string, found {}", callee, values[i] ? values[i]->TypeName() : "nothing"));
  return *text;
}

int64_t Bound::Int(size_t i, int64_t fallback) const {
  if (!values[i]) return fallback;
  const Value& value = *values[i];
  if (!value.IsInteger() || value.AsBig())
    Wrong(fmt::format("{} needs an integer, found {}", callee, value.AsBig() ? "one out of range" : value.TypeName()));
  return value.AsInt() ? *value.AsInt() : *value.AsBool();
}

const Row* FindRow(std::span<const Row> rows, std::string_view name) {
  for (const Row& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}

Value CallRow(Interpreter& interpreter, const Row& row, const Value& self, const Arguments& arguments) {
  bool open = false;
  const std::vector<Parameter> parameters = ParseParameters(row.parameters, &open);
  Bound bound{interpreter, row.name, std::vector<const Value*>(parameters.size()), arguments};
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    if (i < parameters.size())
      bound.values[i] = &arguments.positional[i];
    else if (!open)
      Wrong(fmt::format("{} takes at most {} arguments, {} were given", row.name, parameters.size(),
                        arguments.positional.size()));
  }
  for (const auto& [name, value] : arguments.named) {
    auto known = std::find_if(parameters.begin(), parameters.end(),
                              [&name = name](const Parameter& p) { return p.name == name && !p.unnamed; });
    if (known == parameters.end()) {
      if (open) continue;
      Wrong(fmt::format("{} takes no argument \"{}\"", row.name, name));
    }
    const Value*& place = bound.values[static_cast<size_t>(known - parameters.begin())];
    if (place) Wrong(fmt::format("{}: the argument \"{}\" is given twice", row.name, name));
    place = &value;
  }
  for (size_t i = 0; i < parameters.size(); ++i)
    if (!bound.values[i] && !parameters[i].optional)
      Wrong(fmt::format("{} needs the argument \"{}\"", row.name, parameters[i].name));
  interpreter.Charge(self.AsString() ? self.AsString()->size() : 0);
  Value result = row.function(self, bound);
  interpreter.Charge(result.AsString() ? result.AsString()->size() : 0);
  return result;
}

}  // namespace ecld::jinja
