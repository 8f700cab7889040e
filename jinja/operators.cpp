// Operators and access to elements, with the meaning they have in Python.

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "jinja/format.h"
#include "jinja/integer.h"
#include "jinja/interpreter.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

Value Finite(double value) {
  if (std::isinf(value)) Wrong("a number is out of range");
  return Value(value);
}

Value FloatOperation(const std::string& name, double x, double y) {
  if (name == "+") return Value(x + y);
  if (name == "-") return Value(x - y);
  if (name == "*") return Value(x * y);
  if (name == "**") {
    if (x == 0 && y < 0) Wrong("division by zero");
    if (x < 0 && std::isfinite(y) && y != std::trunc(y)) Wrong("a root of a negative number is complex");
    const double power = std::pow(x, y);
    return std::isfinite(x) && std::isfinite(y) ? Finite(power) : Value(power);
  }
  if (y == 0) Wrong("division by zero");
  if (name == "/") return Value(x / y);
  // The remainder has the sign of y, and the quotient is what it leaves: exact, where floor(x / y) may be rounded up.
  double remainder = std::fmod(x, y);
  double quotient = (x - remainder) / y;
  if (remainder != 0 && (y < 0) != (remainder < 0)) {
    remainder += y;
    quotient -= 1;
  }
  if (name == "%") return Value(remainder == 0 ? std::copysign(0.0, y) : remainder);
  if (quotient == 0) return Value(std::copysign(0.0, x / y));
  const double floored = std::floor(quotient);
  return Value(quotient - floored > 0.5 ? floored + 1 : floored);
}

Value NumberOperation(const std::string& name, const Value& a, const Value& b) {
  const bool integers = a.IsInteger() && b.IsInteger();
  const bool negative_power = name == "**" && integers && CompareIntegers(b, Value(int64_t{0})) < 0;
  if (integers && name != "/" && !negative_power) return IntegerOperation(name, a, b);
  if (!b.Truth() && name != "**" && name != "+" && name != "-" && name != "*") Wrong("division by zero");
  for (const Value* value : {&a, &b})
    if (value->AsBig()) Finite(value->Number());
  return FloatOperation(name, a.Number(), b.Number());
}

int64_t Times(Interpreter& interpreter, const Value& count, size_t bytes) {
  if (count.AsBig()) Wrong("a repeat count is out of range");
  const int64_t times = bytes == 0 ? 0 : std::max<int64_t>(0, count.AsInt() ? *count.AsInt() : *count.AsBool());
  size_t total = 0;
  if (__builtin_mul_overflow(static_cast<size_t>(times), bytes, &total)) total = std::numeric_limits<size_t>::max() / 2;
  interpreter.Charge(total);
  return times;
}

Value Repeated(Interpreter& interpreter, const Value& value, const Value& count) {
  if (const std::string* text = value.AsString()) {
    std::string out;
    for (int64_t i = Times(interpreter, count, text->size()); i > 0; --i) out += *text;
    return Value(std::move(out), value.IsMarkup());
  }
  List list;
  for (int64_t i = Times(interpreter, count, sizeof(Value) * value.AsList()->size()); i > 0; --i)
    list.insert(list.end(), value.AsList()->begin(), value.AsList()->end());
  return value.AsSequence()->IsTuple() ? Value::Tuple(std::move(list)) : Value(std::move(list));
}

bool IsRepeatable(const Value& value) {
  return value.AsString() || (value.AsList() && value.AsSequence()->kind != Sequence::kRange);
}

Value Sum(Interpreter& interpreter, const Value& a, const Value& b) {
  if (a.AsString() && b.AsString()) {
    const bool markup = a.IsMarkup() || b.IsMarkup();
    auto part = [&](const Value& value) {
      return markup && !value.IsMarkup() ? Escaped(*value.AsString()) : *value.AsString();
    };
    interpreter.Charge(a.AsString()->size() + b.AsString()->size());
    return Value(part(a) + part(b), markup);
  }
  if (!IsRepeatable(a) || !IsRepeatable(b) || !a.AsList() || !b.AsList() ||
      a.AsSequence()->IsTuple() != b.AsSequence()->IsTuple())
    Wrong(fmt::format("\"+\" does not work on {} and {}", a.TypeName(), b.TypeName()));
  interpreter.Charge(sizeof(Value) * (a.AsList()->size() + b.AsList()->size()));
  List list = *a.AsList();
  list.insert(list.end(), b.AsList()->begin(), b.AsList()->end());
  return a.AsSequence()->IsTuple() ? Value::Tuple(std::move(list)) : Value(std::move(list));
}

}  // namespace

void RequireDefined(const Value& value) {
  if (value.IsUndefined()) Wrong(value.WhyUndefined());
}

bool Less(const Value& a, const Value& b) {
  RequireDefined(a);
  RequireDefined(b);
  if (a.IsInteger() && b.IsInteger()) return CompareIntegers(a, b) < 0;
  if (a.IsNumber() && b.IsNumber()) {
    if (a.AsFloat() && !b.AsFloat() && std::isfinite(*a.AsFloat())) return CompareWithFloat(b, *a.AsFloat()) > 0;
    if (b.AsFloat() && !a.AsFloat() && std::isfinite(*b.AsFloat())) return CompareWithFloat(a, *b.AsFloat()) < 0;
    return a.Number() < b.Number();
  }
  if (a.AsString() && b.AsString()) return *a.AsString() < *b.AsString();
  const Sequence *x = a.AsSequence(), *y = b.AsSequence();
  if (x && y && a.AsList() && b.AsList() && x->IsTuple() == y->IsTuple() && x->kind != Sequence::kRange) {
    const size_t common = std::min(x->elements.size(), y->elements.size());
    for (size_t i = 0; i < common; ++i)
      if (!(x->elements[i] == y->elements[i])) return Less(x->elements[i], y->elements[i]);
    return x->elements.size() < y->elements.size();
  }
  Wrong(fmt::format("values of types {} and {} have no order", a.TypeName(), b.TypeName()));
}

bool Compare(Interpreter& interpreter, const std::string& name, const Value& a, const Value& b) {
  if (name == "==") return a == b;
  if (name == "!=") return !(a == b);
  if (name == "in") return Contains(interpreter, b, a);
  if (name == "not in") return !Contains(interpreter, b, a);
  const bool less = name[0] == '<' ? Less(a, b) : Less(b, a);
  return less || (name.size() == 2 && a == b);  // NaN is neither less nor equal
}

Value BinaryOperation(Interpreter& interpreter, const std::string& name, const Value& a, const Value& b) {
  if (name == "%" && a.AsString()) return PercentFormat(interpreter, a, b);
  RequireDefined(a);
  RequireDefined(b);
  if (a.IsNumber() && b.IsNumber()) return NumberOperation(name, a, b);
  if (name == "+") return Sum(interpreter, a, b);
  if (name == "*" && IsRepeatable(a) && b.IsInteger()) return Repeated(interpreter, a, b);
  if (name == "*" && IsRepeatable(b) && a.IsInteger()) return Repeated(interpreter, b, a);
  Wrong(fmt::format("\"{}\" does not work on {} and {}", name, a.TypeName(), b.TypeName()));
}

bool Contains(Interpreter& interpreter, const Value& container, const Value& value) {
  if (auto* text = container.AsString()) {
    if (!value.AsString()) Wrong(fmt::format("\"in\" a string needs a string, found {}", value.TypeName()));
    interpreter.Charge(text->size());
    return text->find(*value.AsString()) != std::string::npos;
  }
  if (auto* dict = container.AsDict()) {
    if (!value.IsHashable()) Wrong(fmt::format("a value of type {} cannot be the key of a dict", value.TypeName()));
    return Find(*dict, value) != nullptr;
  }
  if (container.AsObject()) Wrong(fmt::format("\"in\" does not work on {}", container.TypeName()));
  List elements = ElementsOf(interpreter, container);
  return std::find(elements.begin(), elements.end(), value) != elements.end();
}

List ElementsOf(Interpreter& interpreter, const Value& value) {
  if (value.IsUndefined()) return {};
  List elements;
  if (auto* sequence = value.AsSequence()) {
    elements.assign(sequence->elements.begin() + static_cast<ptrdiff_t>(sequence->used), sequence->elements.end());
    if (sequence->kind == Sequence::kIterator) sequence->used = sequence->elements.size();
  } else if (auto* dict = value.AsDict()) {
    for (const auto& [key, unused] : *dict) elements.push_back(key);
  } else if (auto* text = value.AsString()) {
    for (std::string_view character : Characters(*text))
      elements.push_back(Value(std::string(character), value.IsMarkup()));
  } else {
    Wrong(fmt::format("a value of type {} has no elements", value.TypeName()));
  }
  interpreter.Charge(sizeof(Value) * elements.size());
  return elements;
}

Value ElementOf(Interpreter& interpreter, const Value& object, const Value& key) {
  RequireDefined(object);
  if (object.AsDict() && key.IsHashable())
    if (const Value* value = Find(*object.AsDict(), key)) return *value;
  if (key.IsInteger() && (object.AsList() || object.AsString())) {
    const Value missing = Value::MakeUndefined(fmt::format("element {} is undefined", key.Repr()));
    if (key.AsBig()) return missing;
    const int64_t position = key.AsInt() ? *key.AsInt() : *key.AsBool();
    interpreter.Charge(object.AsString() ? object.AsString()->size() : 0);
    const auto size =
        static_cast<int64_t>(object.AsString() ? CountCharacters(*object.AsString()) : object.AsList()->size());
    const int64_t index = position < 0 ? position + size : position;
    if (index < 0 || index >= size) return missing;
    if (object.AsList()) return (*object.AsList())[static_cast<size_t>(index)];
    return Value(std::string(Characters(*object.AsString())[static_cast<size_t>(index)]), object.IsMarkup());
  }
  if (key.AsString()) return AttributeOf(interpreter, object, *key.AsString());
  return Value::MakeUndefined(fmt::format("element {} is undefined", key.Repr()));
}

}  // namespace ecld::jinja
