// Attributes: methods of Python's strings, lists, dicts and numbers that change nothing, entries of dicts.

#include <algorithm>

#include "core/error.h"
#include "jinja/integer.h"
#include "jinja/interpreter.h"
#include "jinja/string_methods.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

Value View(const Value& self, const Bound& a, Sequence::Kind kind) {
  Sequence view{.kind = kind};
  for (const auto& [key, value] : *self.AsDict())
    view.elements.push_back(kind == Sequence::kKeys     ? key
                            : kind == Sequence::kValues ? value
                                                        : Value::Tuple({key, value}));
  a.interpreter.Charge(sizeof(Value) * view.elements.size());
  return Value(std::move(view));
}

Value Get(const Value& self, const Bound& a) {
  if (!a.values[0]->IsHashable()) Wrong(fmt::format("get: a dict has no keys of type {}", a.values[0]->TypeName()));
  if (const Value* found = Find(*self.AsDict(), *a.values[0])) return *found;
  return a.values[1] ? *a.values[1] : Value(None{});
}

constexpr Row kDictMethods[] = {
    {"items", "", [](const Value& self, const Bound& a) { return View(self, a, Sequence::kItems); }},
    {"keys", "", [](const Value& self, const Bound& a) { return View(self, a, Sequence::kKeys); }},
    {"values", "", [](const Value& self, const Bound& a) { return View(self, a, Sequence::kValues); }},
    {"get", "key/ default?/", Get},
    {"copy", "", [](const Value& self, const Bound&) { return self; }},
};

Value Index(const Value& self, const Bound& a) {
  const List& list = *self.AsList();
  const auto size = static_cast<int64_t>(list.size());
  auto place = [&](size_t i, int64_t fallback) {
    const int64_t value = a.Int(i, fallback);
    return std::clamp<int64_t>(value < 0 ? value + size : value, 0, size);
  };
  for (int64_t i = place(1, 0), end = place(2, size); i < end; ++i)
    if (list[static_cast<size_t>(i)] == *a.values[0]) return Value(i);
  Wrong(fmt::format("index: {} is not in the {}", a.values[0]->Repr(), self.TypeName()));
}

Value Count(const Value& self, const Bound& a) {
  return Value(static_cast<int64_t>(std::count(self.AsList()->begin(), self.AsList()->end(), *a.values[0])));
}

constexpr Row kListMethods[] = {
    {"index", "value/ start?/ stop?/", Index},
    {"count", "value/", Count},
    {"copy", "", [](const Value& self, const Bound&) { return self; }},
};

constexpr Row kIntegerMethods[] = {
    {"bit_length", "",
     [](const Value& self, const Bound&) {
       const std::string bits = IntegerText(self, 2);
       return Value(static_cast<int64_t>(self.Truth() ? bits.size() - (bits[0] == '-') : 0));
     }},
    {"conjugate", "", [](const Value& self, const Bound&) { return self; }},
};

constexpr Row kFloatMethods[] = {
    {"is_integer", "",
     [](const Value& self, const Bound&) { return Value(*self.AsFloat() == std::trunc(*self.AsFloat())); }},
    {"conjugate", "", [](const Value& self, const Bound&) { return self; }},
};

// What the sandbox refuses, since it changes a value. Jinja has them undefined, and an error when they are called.
bool Changes(const Value& object, const std::string& name) {
  static constexpr std::string_view kOfLists[] = {"append", "clear",  "extend",  "insert",
                                                  "pop",    "remove", "reverse", "sort"};
  static constexpr std::string_view kOfDicts[] = {"clear", "pop", "popitem", "setdefault", "update"};
  const Sequence* sequence = object.AsSequence();
  if (sequence && sequence->kind == Sequence::kList)
    return std::find(std::begin(kOfLists), std::end(kOfLists), name) != std::end(kOfLists);
  return object.AsDict() && std::find(std::begin(kOfDicts), std::end(kOfDicts), name) != std::end(kOfDicts);
}

Value Missing(const Value& object, const std::string& name) {
  return Value::MakeUndefined(
      fmt::format("'{}' is undefined: a value of type {} does not have it", name, object.TypeName()));
}

Value ObjectAttribute(const Value& value, const std::string& name) {
  const Object& object = *value.AsObject();
  if (object.attribute) return object.attribute(name);
  const Value* found = Find(object.attributes, name);
  return found ? *found : Missing(value, name);
}

}  // namespace

std::span<const Row> MethodsOf(const Value& value) {
  if (value.AsString()) return StringMethods();
  if (value.AsDict()) return kDictMethods;
  if (value.AsList()) {
    const std::span<const Row> methods = kListMethods;
    return value.AsSequence()->kind == Sequence::kList ? methods : methods.first(2);
  }
  if (value.IsInteger()) return kIntegerMethods;
  if (value.AsFloat()) return kFloatMethods;
  return {};
}

Value CallMethod(Interpreter& interpreter, const Row& row, const Value& self, const Arguments& arguments) {
  Value result = CallRow(interpreter, row, self, arguments);
  if (!self.IsMarkup()) return result;
  // What is made of escaped text is escaped text.
  if (result.AsString()) return Value(*result.AsString(), true);
  if (!result.AsList()) return result;
  Sequence parts = *result.AsSequence();
  for (Value& part : parts.elements) part = Value(part.Str(), true);
  return Value(std::move(parts));
}

Value AttributeOf(Interpreter& interpreter, const Value& object, const std::string& name) {
  if (object.IsUndefined()) Wrong(fmt::format("{}, so it has no attribute '{}'", object.WhyUndefined(), name));
  if (object.AsObject()) return ObjectAttribute(object, name);
  if (const Row* row = FindRow(MethodsOf(object), name))
    return interpreter.NewFunction(fmt::format("<built-in method {}>", name),
                                   [&interpreter, row, object](const Arguments& arguments) {
                                     return CallMethod(interpreter, *row, object, arguments);
                                   });
  if (Changes(object, name))
    return Value::MakeUndefined(
        fmt::format("'{}' would change a {}, which a template may not do", name, object.TypeName()));
  if (object.AsDict()) {
    const Value* entry = Find(*object.AsDict(), name);
    return entry ? *entry : Missing(object, name);
  }
  const Sequence* sequence = object.AsSequence();
  if (sequence && sequence->kind == Sequence::kGroup && (name == "grouper" || name == "list"))
    return sequence->elements[name == "grouper" ? 0 : 1];
  if (object.AsBool() && (name == "real" || name == "numerator")) return Value(int64_t{*object.AsBool()});
  if (object.IsNumber() && (name == "real" || name == "numerator") && (object.IsInteger() || name == "real"))
    return object;
  if (object.IsInteger() && name == "denominator") return Value(int64_t{1});
  if (object.IsNumber() && name == "imag") return object.AsFloat() ? Value(0.0) : Value(int64_t{0});
  return Missing(object, name);
}

}  // namespace ecld::jinja
