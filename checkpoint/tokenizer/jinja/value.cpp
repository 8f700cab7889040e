#include "checkpoint/tokenizer/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "checkpoint/tokenizer/utf8.h"
#include "core/error.h"

namespace ecld::jinja {

const Value* Find(const Dict& dict, std::string_view key) {
  for (const auto& [name, value] : dict)
    if (name == key) return &value;
  return nullptr;
}

std::vector<std::string_view> Characters(std::string_view text) {
  std::vector<std::string_view> characters;
  for (size_t i = 0; i < text.size(); i += characters.back().size())
    characters.push_back(text.substr(i, CharAt(text, i).size));
  return characters;
}

Value Arguments::Get(size_t position, std::string_view name) const {
  if (position < positional.size()) return positional[position];
  const Value* value = Find(named, name);
  return value ? *value : Value();
}

void Value::Nesting::Add(const Value& inner) {
  Nesting nesting = inner.GetNesting();
  depth = std::max(depth, nesting.depth + 1);
  holds_namespace = holds_namespace || nesting.holds_namespace;
  if (depth > kMaxDepth) Fail("chat template", "a value is nested deeper than {} levels", kMaxDepth);
}

Value::Nesting Value::GetNesting() const {
  if (auto* list = Pointee<const Nested<List>>()) return list->nesting;
  if (auto* dict = Pointee<const Nested<Dict>>()) return dict->nesting;
  if (auto* function = Pointee<const Nested<Function>>()) return function->nesting;
  return {0, IsNamespace()};
}

Value::Value(List list) {
  Nesting nesting;
  for (const Value& element : list) nesting.Add(element);
  data_ = std::make_shared<const Nested<List>>(Nested<List>{std::move(list), nesting});
}

Value::Value(Dict dict) {
  Nesting nesting;
  for (const auto& [key, element] : dict) nesting.Add(element);
  data_ = std::make_shared<const Nested<Dict>>(Nested<Dict>{std::move(dict), nesting});
}

Value::Value(Function function, const Value& depends_on) {
  Nesting nesting;
  nesting.Add(depends_on);
  data_ = std::make_shared<const Nested<Function>>(Nested<Function>{std::move(function), nesting});
}

Value Value::Namespace(const Dict& attributes) {
  Value value;
  value.data_ = std::make_shared<Attributes>();
  for (const auto& [name, attribute] : attributes) value.SetAttribute(name, attribute);
  return value;
}

Value Value::FromJson(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()}) return Value(json.get<int64_t>());
      return Value(json.get<double>());
    case Json::value_t::number_float:
      return Value(json.get<double>());
    case Json::value_t::string:
      return Value(json.get<std::string>());
    case Json::value_t::array: {
      List list;
      for (const Json& element : json) list.push_back(FromJson(element));
      return Value(std::move(list));
    }
    case Json::value_t::object: {
      Dict dict;
      for (const auto& [key, element] : json.items()) dict.emplace_back(key, FromJson(element));
      return Value(std::move(dict));
    }
    default:
      return Value(None{});
  }
}

double Value::Number() const {
  if (AsBool()) return *AsBool() ? 1 : 0;
  return AsInt() ? static_cast<double>(*AsInt()) : *AsFloat();
}

const List* Value::AsList() const {
  auto* list = Pointee<const Nested<List>>();
  return list ? &list->value : nullptr;
}

const Dict* Value::AsDict() const {
  auto* dict = Pointee<const Nested<Dict>>();
  return dict ? &dict->value : nullptr;
}

const Function* Value::AsFunction() const {
  auto* function = Pointee<const Nested<Function>>();
  return function ? &function->value : nullptr;
}

Value Value::GetAttribute(std::string_view name) const {
  const Value* value = Find(Pointee<Attributes>()->entries, name);
  return value ? *value : Value(Undefined{std::string(name)});
}

void Value::SetAttribute(const std::string& name, Value value) {
  if (value.GetNesting().holds_namespace)
    Fail("chat template", "attribute {} of a namespace cannot hold a namespace", name);
  Dict& entries = Pointee<Attributes>()->entries;
  auto entry = std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.first == name; });
  if (entry == entries.end())
    entries.emplace_back(name, std::move(value));
  else
    entry->second = std::move(value);
}

bool Value::Truth() const {
  if (IsUndefined() || IsNone()) return false;
  if (IsNumber()) return Number() != 0;
  if (auto* text = AsString()) return !text->empty();
  if (auto* list = AsList()) return !list->empty();
  if (auto* dict = AsDict()) return !dict->empty();
  return true;
}

std::string_view Value::TypeName() const {
  static constexpr std::string_view kNames[] = {"undefined", "none", "bool", "int",      "float",
                                                "string",    "list", "dict", "function", "namespace"};
  return kNames[data_.index()];
}

bool operator==(const Value& a, const Value& b) {
  if (a.IsNumber() && b.IsNumber()) return a.Number() == b.Number();
  if (a.data_.index() != b.data_.index()) return false;
  if (auto* text = a.AsString()) return *text == *b.AsString();
  if (auto* list = a.AsList()) return *list == *b.AsList();
  if (auto* dict = a.AsDict()) {
    return dict->size() == b.AsDict()->size() && std::all_of(dict->begin(), dict->end(), [&](const auto& entry) {
             const Value* other = Find(*b.AsDict(), entry.first);
             return other && *other == entry.second;
           });
  }
  if (a.AsFunction()) return a.AsFunction() == b.AsFunction();
  if (a.IsNamespace()) return a.Pointee<Value::Attributes>() == b.Pointee<Value::Attributes>();
  return true;  // undefined, none
}

}  // namespace ecld::jinja
