#include "checkpoint/known_fields.h"

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

bool AsksForNothing(const Json& value, std::string_view idle) {
  return value.is_null() || (value.is_structured() && value.empty()) || value == Json::parse(idle);
}

std::string Shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

}  // namespace

std::vector<std::string> TellFields(const JsonView& object, std::initializer_list<FieldTable> tables) {
  std::vector<std::string> notes;
  std::string unknown;
  for (const std::string& name : object.Keys()) {
    const KnownField* field = FindField(name, tables);
    if (!field) {
      unknown += (unknown.empty() ? "" : ", ") + name;
      continue;
    }
    if (field->use != FieldUse::kTold && field->use != FieldUse::kRefused) continue;
    const JsonView value = object.At(name);
    if (AsksForNothing(value.json(), field->idle)) continue;
    if (field->use == FieldUse::kRefused)
      Fail(value.Where(), "{} asks for {}, which is not supported; expected {}", Shown(value.json()), field->why,
           field->idle);
    notes.push_back(fmt::format("{} {} is passed over; it asks for {}", name, Shown(value.json()), field->why));
  }
  if (!unknown.empty()) notes.insert(notes.begin(), "fields that are not known and passed over: " + unknown);
  return notes;
}

std::vector<std::string> RequireKnownFields(const JsonView& object, std::initializer_list<FieldTable> tables) {
  for (const std::string& name : object.Keys()) {
    if (FindField(name, tables)) continue;
    std::vector<std::string> known;
    for (const FieldTable& table : tables)
      for (const KnownField& field : table) known.emplace_back(field.name);
    Fail(object.At(name).Where(), "field is not known, and may change what the model computes{}",
         DidYouMean(name, known));
  }
  return TellFields(object, tables);
}

}  // namespace ecld
