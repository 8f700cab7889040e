// The filters of lists, dicts and what can be gone through.

#include <algorithm>
#include <random>

#include "core/error.h"
#include "jinja/filters.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

Value Length(const Value& value, const Bound& a) {
  if (value.IsUndefined()) return Value(int64_t{0});
  size_t length = 0;
  const Sequence* sequence = value.AsSequence();
  if (auto* text = value.AsString())
    length = CountCharacters(*text);
  else if (auto* dict = value.AsDict())
    length = dict->size();
  else if (sequence && sequence->kind != Sequence::kIterator)
    length = sequence->elements.size();
  else
    Wrong(fmt::format("{}: a value of type {} has no length", a.callee, value.TypeName()));
  return Value(static_cast<int64_t>(length));
}

Value Default(const Value& value, const Bound& a) {
  const bool replace = value.IsUndefined() || (a.True(1, false) && !value.Truth());
  if (!replace) return value;
  return a.values[0] ? *a.values[0] : Value(std::string());
}

Value Join(const Value& value, const Bound& a) {
  List elements = ElementsOf(a.interpreter, value);
  if (a.Has(1))
    for (Value& element : elements) element = AttributePath(a.interpreter, element, *a.values[1]);
  const Value separator = a.values[0] ? *a.values[0] : Value(std::string());
  bool markup = false;
  for (const Value& element : elements) markup = markup || element.IsMarkup();
  markup = a.interpreter.autoescape() && (markup || separator.IsMarkup());
  auto part = [&](const Value& v) { return markup && !v.IsMarkup() ? Escaped(v.Str()) : v.Str(); };
  std::string text, between = part(separator);
  for (size_t i = 0; i < elements.size(); ++i) {
    if (i > 0) text += between;
    text += part(elements[i]);
    a.interpreter.Charge(text.size() / 64);
  }
  return Value(std::move(text), markup);
}

Value Items(const Value& value, const Bound& a) {
  if (value.IsUndefined()) return Value::Iterator({});
  if (!value.AsDict()) Wrong(fmt::format("items needs a dict, found {}", value.TypeName()));
  List items;
  for (const auto& [key, element] : *value.AsDict()) items.push_back(Value::Tuple({key, element}));
  a.interpreter.Charge(sizeof(Value) * items.size());
  return Value::Iterator(std::move(items));
}

// select, reject, selectattr, rejectattr: keeps elements (or those whose attribute) by a test, by truth without one.
template <bool kByAttribute, bool kKeep>
Value Select(const Value& value, const Bound& a) {
  if (!value.Truth()) return Value::Iterator({});
  List rest = a.all.positional;
  Value path(None{});
  if (kByAttribute) {
    if (rest.empty()) Wrong(fmt::format("{} needs the name of an attribute", a.callee));
    path = rest[0];
    rest.erase(rest.begin());
  }
  const bool has_test = !rest.empty();
  const std::string test = has_test ? rest[0].Str() : "";
  if (has_test) rest.erase(rest.begin());
  const Arguments arguments{rest, a.all.named};
  List kept;
  for (const Value& element : ElementsOf(a.interpreter, value)) {
    const Value tested = AttributePath(a.interpreter, element, path);
    const bool passes = has_test ? a.interpreter.ApplyTest(test, tested, arguments) : tested.Truth();
    if (passes == kKeep) kept.push_back(element);
  }
  return Value::Iterator(std::move(kept));
}

Value Map(const Value& value, const Bound& a) {
  if (!value.Truth()) return Value::Iterator({});
  const Value* attribute = a.all.positional.empty() ? Find(a.all.named, "attribute") : nullptr;
  if (!attribute && a.all.positional.empty()) Wrong("map needs a filter or an attribute");
  if (attribute)
    for (const auto& [name, unused] : a.all.named)
      if (name != "attribute" && name != "default") Wrong(fmt::format("map takes no argument \"{}\"", name));
  const Value* fallback = Find(a.all.named, "default");
  Arguments rest;
  if (!attribute) {
    rest = a.all;
    rest.positional.erase(rest.positional.begin());
  }
  List mapped;
  for (const Value& element : ElementsOf(a.interpreter, value))
    mapped.push_back(attribute ? AttributePath(a.interpreter, element, *attribute, fallback)
                               : a.interpreter.ApplyFilter(a.all.positional[0].Str(), element, rest));
  return Value::Iterator(std::move(mapped));
}

Value First(const Value& value, const Bound& a) {
  const Sequence* sequence = value.AsSequence();
  if (sequence && sequence->kind == Sequence::kIterator && sequence->used < sequence->elements.size())
    return sequence->elements[sequence->used++];
  List elements = ElementsOf(a.interpreter, value);
  return elements.empty() ? Value::MakeUndefined("the first of no elements is undefined") : elements.front();
}

void RequireReversible(const Value& value, const Bound& a) {
  const Sequence* sequence = value.AsSequence();
  if (sequence && sequence->kind == Sequence::kIterator)
    Wrong(fmt::format("{} needs what can be gone through backwards: put \"list\" before it", a.callee));
}

Value Last(const Value& value, const Bound& a) {
  RequireReversible(value, a);
  List elements = ElementsOf(a.interpreter, value);
  return elements.empty() ? Value::MakeUndefined("the last of no elements is undefined") : elements.back();
}

Value Random(const Value& value, const Bound& a) {
  if (!value.IsUndefined() && !value.AsString() && !value.AsList()) Wrong("random needs a list or a string");
  List elements = ElementsOf(a.interpreter, value);
  if (elements.empty()) return Value::MakeUndefined("a random one of no elements is undefined");
  return elements[std::random_device()() % elements.size()];
}

Value Reverse(const Value& value, const Bound& a) {
  List elements = ElementsOf(a.interpreter, value);
  std::reverse(elements.begin(), elements.end());
  const Sequence* sequence = value.AsSequence();
  if (!value.AsString())
    return sequence && sequence->kind == Sequence::kIterator ? Value(std::move(elements))
                                                             : Value::Iterator(std::move(elements));
  std::string text;
  for (const Value& character : elements) text += *character.AsString();
  return Value(std::move(text), value.IsMarkup());
}

Value IgnoringCase(const Value& value, bool case_sensitive) {
  return value.AsString() && !case_sensitive ? Value(Lower(*value.AsString())) : value;
}

// What an element is sorted, grouped or compared by.
Value KeyOf(const Value& element, const Bound& a, const Value* path, bool case_sensitive,
            const Value* fallback = nullptr) {
  return IgnoringCase(path ? AttributePath(a.interpreter, element, *path, fallback) : element, case_sensitive);
}

using Keyed = std::vector<std::pair<Value, Value>>;  // key, element

void SortByKey(Keyed* keyed, bool reverse, Interpreter& interpreter) {
  auto before = [&](const auto& x, const auto& y) {
    interpreter.Charge(0);
    return reverse ? Less(y.first, x.first) : Less(x.first, y.first);
  };
  std::stable_sort(keyed->begin(), keyed->end(), before);
}

List Elements(Keyed keyed) {
  List elements;
  for (auto& [key, element] : keyed) elements.push_back(std::move(element));
  return elements;
}

Value Sort(const Value& value, const Bound& a) {
  Keyed keyed;
  List paths;  // "a,b": by several attributes
  if (a.Has(2) && a.values[2]->AsString())
    for (const std::string& path : SplitAt(*a.values[2]->AsString(), ",", -1, false)) paths.push_back(Value(path));
  else
    paths.push_back(a.Has(2) ? *a.values[2] : Value(None{}));
  for (Value& element : ElementsOf(a.interpreter, value)) {
    List key;
    for (const Value& path : paths) key.push_back(KeyOf(element, a, &path, a.True(1, false)));
    keyed.emplace_back(Value(std::move(key)), std::move(element));
  }
  SortByKey(&keyed, a.True(0, false), a.interpreter);
  return Value(Elements(std::move(keyed)));
}

Value DictSort(const Value& value, const Bound& a) {
  if (!value.AsDict()) Wrong(fmt::format("dictsort needs a dict, found {}", value.TypeName()));
  const std::string by = a.values[1] ? a.Text(1) : "key";
  if (by != "key" && by != "value") Wrong("dictsort sorts by \"key\" or \"value\"");
  Keyed keyed;
  for (const auto& [key, element] : *value.AsDict())
    keyed.emplace_back(IgnoringCase(by == "key" ? key : element, a.True(0, false)), Value::Tuple({key, element}));
  SortByKey(&keyed, a.True(2, false), a.interpreter);
  return Value(Elements(std::move(keyed)));
}

Value Unique(const Value& value, const Bound& a) {
  List kept, seen;
  for (const Value& element : ElementsOf(a.interpreter, value)) {
    Value key = KeyOf(element, a, a.values[1], a.True(0, false));
    if (!key.IsHashable()) Wrong(fmt::format("unique does not work on values of type {}", key.TypeName()));
    a.interpreter.Charge(seen.size() * 8);
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) continue;
    seen.push_back(std::move(key));
    kept.push_back(element);
  }
  return Value::Iterator(std::move(kept));
}

Value GroupBy(const Value& value, const Bound& a) {
  const bool case_sensitive = a.True(2, false);
  Keyed keyed;
  for (Value& element : ElementsOf(a.interpreter, value)) {
    Value key = KeyOf(element, a, a.values[0], case_sensitive, a.values[1]);
    keyed.emplace_back(std::move(key), std::move(element));
  }
  SortByKey(&keyed, false, a.interpreter);
  List groups;
  for (size_t i = 0; i < keyed.size();) {
    List members;
    const size_t first = i;
    for (; i < keyed.size() && keyed[i].first == keyed[first].first; ++i) members.push_back(keyed[i].second);
    Value key = AttributePath(a.interpreter, members[0], *a.values[0], a.values[1]);
    groups.push_back(
        Value(Sequence{.kind = Sequence::kGroup, .elements = {std::move(key), Value(std::move(members))}}));
  }
  return Value(std::move(groups));
}

template <bool kMax>
Value Extreme(const Value& value, const Bound& a) {
  List elements = ElementsOf(a.interpreter, value);
  if (elements.empty()) return Value::MakeUndefined("the least and greatest of no elements are undefined");
  size_t best = 0;
  auto key = [&](size_t i) { return KeyOf(elements[i], a, a.values[1], a.True(0, false)); };
  for (size_t i = 1; i < elements.size(); ++i)
    if (kMax ? Less(key(best), key(i)) : Less(key(i), key(best))) best = i;
  return elements[best];
}

Value Sum(const Value& value, const Bound& a) {
  Value sum = a.values[1] ? *a.values[1] : Value(int64_t{0});
  if (sum.AsString()) Wrong("sum does not work on strings: use join");
  for (const Value& element : ElementsOf(a.interpreter, value)) {
    const Value term = a.Has(0) ? AttributePath(a.interpreter, element, *a.values[0]) : element;
    sum = BinaryOperation(a.interpreter, "+", sum, term);
  }
  return sum;
}

Value Batch(const Value& value, const Bound& a) {
  const int64_t count = a.Int(0, 0);
  List batches, batch;
  for (const Value& element : ElementsOf(a.interpreter, value)) {
    if (static_cast<int64_t>(batch.size()) == count) batches.push_back(Value(std::exchange(batch, {})));
    batch.push_back(element);
  }
  for (; !batch.empty() && a.Has(1) && static_cast<int64_t>(batch.size()) < count; a.interpreter.Charge(sizeof(Value)))
    batch.push_back(*a.values[1]);
  if (!batch.empty()) batches.push_back(Value(std::move(batch)));
  return Value::Iterator(std::move(batches));
}

Value Slice(const Value& value, const Bound& a) {
  const int64_t count = a.Int(0, 0);
  if (count == 0) Wrong("slice: division by zero");
  List elements = ElementsOf(a.interpreter, value), slices;
  const auto size = static_cast<int64_t>(elements.size());
  auto next = elements.begin();
  for (int64_t i = 0; i < count; ++i) {
    a.interpreter.Charge(sizeof(Sequence));
    const bool longer = i < size % count;
    List slice(next, next + size / count + longer);
    next += size / count + longer;
    if (a.Has(1) && !longer) slice.push_back(*a.values[1]);
    slices.push_back(Value(std::move(slice)));
  }
  return Value::Iterator(std::move(slices));
}

// The attribute that Python has, never an entry.
Value Attr(const Value& value, const Bound& a) {
  RequireDefined(value);
  const std::string& name = a.Text(0);
  if (value.AsDict() && !FindRow(MethodsOf(value), name))
    return Value::MakeUndefined(fmt::format("a dict has no attribute '{}'", name));
  return AttributeOf(a.interpreter, value, name);
}

constexpr Row kFilters[] = {
    {"length", "", Length},
    {"count", "", Length},
    {"default", "default_value? boolean?", Default},
    {"d", "default_value? boolean?", Default},
    {"join", "d? attribute?", Join},
    {"items", "", Items},
    {"map", "...", Map},
    {"select", "...", Select<false, true>},
    {"reject", "...", Select<false, false>},
    {"selectattr", "...", Select<true, true>},
    {"rejectattr", "...", Select<true, false>},
    {"first", "", First},
    {"last", "", Last},
    {"random", "", Random},
    {"reverse", "", Reverse},
    {"list", "", [](const Value& v, const Bound& a) { return Value(ElementsOf(a.interpreter, v)); }},
    {"sort", "reverse? case_sensitive? attribute?", Sort},
    {"dictsort", "case_sensitive? by? reverse?", DictSort},
    {"unique", "case_sensitive? attribute?", Unique},
    {"groupby", "attribute default? case_sensitive?", GroupBy},
    {"min", "case_sensitive? attribute?", Extreme<false>},
    {"max", "case_sensitive? attribute?", Extreme<true>},
    {"sum", "attribute? start?", Sum},
    {"batch", "linecount fill_with?", Batch},
    {"slice", "slices fill_with?", Slice},
    {"attr", "name", Attr},
};

}  // namespace

std::span<const Row> SequenceFilters() { return kFilters; }

}  // namespace ecld::jinja
