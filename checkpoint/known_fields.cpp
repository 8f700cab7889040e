#include "checkpoint/known_fields.h"

#include <algorithm>

#include "core/ascii.h"
#include "core/error.h"

namespace ecld {
namespace {

bool Means(std::string_view pattern, std::string_view name) {
  return pattern.starts_with('*') ? name.ends_with(pattern.substr(1)) : name == pattern;
}

const KnownField* FindField(std::string_view name, std::initializer_list<FieldTable> tables) {
  for (const FieldTable& table : tables)
    for (const KnownField& field : table)
      if (Means(field.name, name)) return &field;
  return nullptr;
}

}  // namespace

bool AsksForMore(const JsonView& object, const KnownField& field) {
  const std::string name(field.name);
  if ((field.use != FieldUse::kTold && field.use != FieldUse::kRefused) || !object.Has(name)) return false;
  const Json& value = object.At(name).json();
  return !(value.is_structured() && value.empty()) && value != Json::parse(field.idle);
}

std::vector<std::string> TellFields(const JsonView& object, std::initializer_list<FieldTable> tables) {
  std::vector<std::string> notes;
  std::string unknown;
  for (const std::string& name : object.Keys()) {
    const KnownField* field = FindField(name, tables);
    if (!field) {
      unknown += (unknown.empty() ? "" : ", ") + name;
      continue;
    }
    if (!AsksForMore(object, *field)) continue;
    const JsonView value = object.At(name);
    if (field->use == FieldUse::kRefused)
      Fail(value.Where(), "{} asks for {}, which is not supported; expected {}", Shown(value.json()), field->why,
           field->idle);
    notes.push_back(fmt::format("{} {} is passed over; it asks for {}", name, Shown(value.json()), field->why));
  }
  if (!unknown.empty()) notes.insert(notes.begin(), "fields that are not known and passed over: " + unknown);
  return notes;
}

void RequireOneOf(const JsonView& object, const char* key, const std::vector<std::string>& values) {
  if (!object.Has(key)) return;
  const std::string found = object.At(key).String();
  if (std::ranges::find(values, AsciiLower(found)) == values.end())
    Fail(object.At(key).Where(), "\"{}\" is not supported; expected \"{}\"", found, fmt::join(values, "\" or \""));
}

void RequireKeys(const JsonView& object, const std::vector<std::string>& known) {
  for (const std::string& key : object.Keys())
    if (std::ranges::find(known, key) == known.end())
      Fail(object.Where(), "key \"{}\" is unknown{}", key, DidYouMean(key, known));
}

}  // namespace ecld
