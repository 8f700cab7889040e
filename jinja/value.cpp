#include "jinja/value.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/unicode.h"
#include "jinja/integer.h"

namespace ecld::jinja {

void Wrong(const std::string& message) { throw Problem(message); }

const Value* Find(const Dict& dict, const Value& key) {
  for (const auto& [name, value] : dict)
    if (name == key) return &value;
  return nullptr;
}

const Value* Find(const Dict& dict, std::string_view key) {
  for (const auto& [name, value] : dict)
    if (name.AsString() && *name.AsString() == key) return &value;
  return nullptr;
}

const Value* Find(const Named& named, std::string_view name) {
  for (const auto& entry : named)
    if (entry.first == name) return &entry.second;
  return nullptr;
}

void Put(Dict& dict, Value key, Value value) {
  if (!key.IsHashable()) Wrong(fmt::format("a value of type {} cannot be the key of a dict", key.TypeName()));
  if (const Value* known = Find(dict, key))
    *const_cast<Value*>(known) = std::move(value);
  else
    dict.emplace_back(std::move(key), std::move(value));
}

void Put(Named& named, const std::string& name, Value value) {
  if (const Value* known = Find(named, name))
    *const_cast<Value*>(known) = std::move(value);
  else
    named.emplace_back(name, std::move(value));
}

std::vector<std::string_view> Characters(std::string_view text) {
  std::vector<std::string_view> characters;
  for (size_t i = 0; i < text.size(); i += characters.back().size())
    characters.push_back(text.substr(i, CharAt(text, i).size));
  return characters;
}

size_t CountCharacters(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); i += CharAt(text, i).size) ++count;
  return count;
}

int Value::Depth() const {
  if (const Sequence* sequence = AsSequence()) return sequence->depth;
  auto* dict = std::get_if<std::shared_ptr<const DeepDict>>(&data_);
  return dict ? (*dict)->depth : 0;
}

Value Value::MakeUndefined(std::string why) {
  Value value;
  value.data_ = Undefined{std::make_shared<const std::string>(std::move(why))};
  return value;
}

Value::Value(Sequence sequence) {
  for (const Value& element : sequence.elements) sequence.depth = std::max(sequence.depth, element.Depth() + 1);
  if (sequence.depth > kMaxDepth) Wrong(fmt::format("a value is nested deeper than {} levels", kMaxDepth));
  data_ = std::make_shared<const Sequence>(std::move(sequence));
}

Value::Value(List list) : Value(Sequence{.elements = std::move(list)}) {}

Value Value::Tuple(List elements) { return Value(Sequence{.kind = Sequence::kTuple, .elements = std::move(elements)}); }

Value Value::Iterator(List elements) {
  return Value(Sequence{.kind = Sequence::kIterator, .elements = std::move(elements)});
}

Value::Value(Dict dict) {
  int depth = 0;
  for (const auto& [key, element] : dict) depth = std::max(depth, element.Depth() + 1);
  if (depth > kMaxDepth) Wrong(fmt::format("a value is nested deeper than {} levels", kMaxDepth));
  data_ = std::make_shared<const DeepDict>(DeepDict{std::move(dict), depth});
}

Value Value::FromJson(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()}) return Value(json.get<int64_t>());
      return *ParseInteger(std::to_string(json.get<uint64_t>()), 10);
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
      for (const auto& [key, element] : json.items()) dict.emplace_back(Value(key), FromJson(element));
      return Value(std::move(dict));
    }
    default:
      return Value(None{});
  }
}

const BigInteger* Value::AsBig() const {
  auto* big = std::get_if<std::shared_ptr<const BigInteger>>(&data_);
  return big ? big->get() : nullptr;
}

double Value::Number() const { return AsFloat() ? *AsFloat() : IntegerAsFloat(*this); }

const std::string* Value::AsString() const {
  auto* text = std::get_if<Text>(&data_);
  return text ? text->text.get() : nullptr;
}

bool Value::IsMarkup() const {
  auto* text = std::get_if<Text>(&data_);
  return text && text->markup;
}

const Sequence* Value::AsSequence() const {
  auto* sequence = std::get_if<std::shared_ptr<const Sequence>>(&data_);
  return sequence ? sequence->get() : nullptr;
}

const List* Value::AsList() const {
  const Sequence* sequence = AsSequence();
  return sequence && sequence->IsNumbered() ? &sequence->elements : nullptr;
}

const Dict* Value::AsDict() const {
  auto* dict = std::get_if<std::shared_ptr<const DeepDict>>(&data_);
  return dict ? &(*dict)->entries : nullptr;
}

Object* Value::AsObject() const {
  auto* object = std::get_if<Object*>(&data_);
  return object ? *object : nullptr;
}

bool Value::IsHashable() const {
  if (AsDict()) return false;
  const Sequence* sequence = AsSequence();
  if (!sequence) return true;
  if (sequence->IsTuple())
    return std::all_of(sequence->elements.begin(), sequence->elements.end(),
                       [](const Value& element) { return element.IsHashable(); });
  return sequence->kind == Sequence::kRange || sequence->kind == Sequence::kIterator;
}

bool Value::Truth() const {
  if (IsUndefined() || IsNone()) return false;
  if (AsBig()) return true;  // none of them is 0
  if (IsNumber()) return Number() != 0;
  if (auto* text = AsString()) return !text->empty();
  if (auto* sequence = AsSequence()) return sequence->kind == Sequence::kIterator || !sequence->elements.empty();
  if (auto* dict = AsDict()) return !dict->empty();
  return true;
}

std::string_view Value::TypeName() const {
  static constexpr std::string_view kNames[] = {"undefined", "none",   "bool", "int",  "int",
                                                "float",     "string", "list", "dict", "function"};
  static constexpr std::string_view kSequences[] = {"list",      "tuple",       "tuple",      "range",
                                                    "dict keys", "dict values", "dict items", "iterator"};
  if (const Sequence* sequence = AsSequence()) return kSequences[sequence->kind];
  if (const Object* object = AsObject(); object && object->is_namespace) return "namespace";
  return kNames[data_.index()];
}

std::string Value::WhyUndefined() const {
  const auto& why = std::get<Undefined>(data_).why;
  return why ? *why : "the value is undefined";
}

bool operator==(const Value& a, const Value& b) {
  if (a.IsInteger() && b.IsInteger()) return CompareIntegers(a, b) == 0;
  if (a.IsNumber() && b.IsNumber()) {
    if (a.AsFloat() && b.AsFloat()) return *a.AsFloat() == *b.AsFloat();
    double number = a.AsFloat() ? *a.AsFloat() : *b.AsFloat();
    return std::isfinite(number) && CompareWithFloat(a.AsFloat() ? b : a, number) == 0;
  }
  if (a.data_.index() != b.data_.index()) return false;
  if (auto* text = a.AsString()) return *text == *b.AsString();
  if (auto* list = a.AsSequence()) {
    const Sequence& other = *b.AsSequence();
    if (list == &other) return true;
    bool comparable = list->kind == other.kind || (list->IsTuple() && other.IsTuple());
    if (list->kind == Sequence::kIterator || list->kind == Sequence::kValues) return false;
    return comparable && list->elements == other.elements;
  }
  if (auto* dict = a.AsDict()) {
    return dict->size() == b.AsDict()->size() && std::all_of(dict->begin(), dict->end(), [&](const auto& entry) {
             const Value* other = Find(*b.AsDict(), entry.first);
             return other && *other == entry.second;
           });
  }
  return a.AsObject() == b.AsObject();  // null for undefined and none, of which there is one each
}

}  // namespace ecld::jinja
