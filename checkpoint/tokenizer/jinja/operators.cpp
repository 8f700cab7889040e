// Operators and access to elements, with the meaning they have in Python.

#include <algorithm>
#include <cmath>

#include "checkpoint/tokenizer/jinja/interpreter.h"
#include "core/error.h"

namespace ecld::jinja {
namespace {

int64_t IntegerOf(const Value& value) { return value.AsInt() ? *value.AsInt() : *value.AsBool(); }

void RequireDefined(Interpreter& interpreter, const Value& value) {
  if (value.IsUndefined()) interpreter.Wrong(fmt::format("'{}' is undefined", value.UndefinedName()));
}

Value IntegerOperation(Interpreter& interpreter, const std::string& name, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (name == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (name == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (name == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else {  // //, %: rounded down, the remainder has the sign of b
    if (b == 0) interpreter.Wrong("division by zero");
    if (b == -1) {
      overflow = __builtin_sub_overflow(int64_t{0}, a, &result);
      if (name == "%") return Value(int64_t{0});
    } else {
      int64_t remainder = a % b;
      bool round = remainder != 0 && (remainder < 0) != (b < 0);
      result = name == "%" ? remainder + (round ? b : 0) : a / b - (round ? 1 : 0);
    }
  }
  if (overflow) interpreter.Wrong("an integer is out of range");
  return Value(result);
}

Value NumberOperation(Interpreter& interpreter, const std::string& name, const Value& a, const Value& b) {
  if (name != "/" && !a.AsFloat() && !b.AsFloat())
    return IntegerOperation(interpreter, name, IntegerOf(a), IntegerOf(b));
  double x = a.Number(), y = b.Number();
  if (name == "+") return Value(x + y);
  if (name == "-") return Value(x - y);
  if (name == "*") return Value(x * y);
  if (y == 0) interpreter.Wrong("division by zero");
  if (name == "/") return Value(x / y);
  double quotient = std::floor(x / y);
  return Value(name == "%" ? x - quotient * y : quotient);
}

Value Repeated(Interpreter& interpreter, const std::string& text, int64_t count) {
  std::string out;
  for (int64_t i = 0; i < count && !text.empty(); ++i) {
    interpreter.Charge(text.size());
    out += text;
  }
  return Value(std::move(out));
}

bool Less(Interpreter& interpreter, const Value& a, const Value& b) {
  if (a.IsNumber() && b.IsNumber()) return a.Number() < b.Number();
  if (a.AsString() && b.AsString()) return *a.AsString() < *b.AsString();
  interpreter.Wrong(fmt::format("values of types {} and {} have no order", a.TypeName(), b.TypeName()));
}

}  // namespace

Value BinaryOperation(Interpreter& interpreter, const std::string& name, const Value& a, const Value& b) {
  if (name == "==") return Value(a == b);
  if (name == "!=") return Value(!(a == b));
  if (name == "in") return Value(Contains(interpreter, b, a));
  if (name == "not in") return Value(!Contains(interpreter, b, a));
  if (name == "~") {
    std::string text = a.Str() + b.Str();
    interpreter.Charge(text.size());
    return Value(std::move(text));
  }
  RequireDefined(interpreter, a);
  RequireDefined(interpreter, b);
  if (name == "<") return Value(Less(interpreter, a, b));
  if (name == ">") return Value(Less(interpreter, b, a));
  if (name == "<=") return Value(!Less(interpreter, b, a));
  if (name == ">=") return Value(!Less(interpreter, a, b));
  if (a.IsNumber() && b.IsNumber()) return NumberOperation(interpreter, name, a, b);
  if (name == "+" && a.AsString() && b.AsString()) {
    interpreter.Charge(a.AsString()->size() + b.AsString()->size());
    return Value(*a.AsString() + *b.AsString());
  }
  if (name == "+" && a.AsList() && b.AsList()) {
    interpreter.Charge(sizeof(Value) * (a.AsList()->size() + b.AsList()->size()));
    List list = *a.AsList();
    list.insert(list.end(), b.AsList()->begin(), b.AsList()->end());
    return Value(std::move(list));
  }
  if (name == "*" && a.AsString() && b.AsInt()) return Repeated(interpreter, *a.AsString(), *b.AsInt());
  interpreter.Wrong(fmt::format("\"{}\" does not work on {} and {}", name, a.TypeName(), b.TypeName()));
}

bool Contains(Interpreter& interpreter, const Value& container, const Value& value) {
  if (container.IsUndefined()) return false;
  if (auto* text = container.AsString()) {
    if (!value.AsString()) interpreter.Wrong(fmt::format("\"in\" a string needs a string, found {}", value.TypeName()));
    interpreter.Charge(text->size());
    return text->find(*value.AsString()) != std::string::npos;
  }
  if (auto* list = container.AsList()) {
    interpreter.Charge(sizeof(Value) * list->size());
    return std::find(list->begin(), list->end(), value) != list->end();
  }
  if (auto* dict = container.AsDict()) return value.AsString() && Find(*dict, *value.AsString());
  interpreter.Wrong(fmt::format("\"in\" does not work on {}", container.TypeName()));
}

List ElementsOf(Interpreter& interpreter, const Value& value) {
  if (value.IsUndefined()) return {};
  List elements;
  if (auto* list = value.AsList()) {
    elements = *list;
  } else if (auto* dict = value.AsDict()) {
    for (const auto& [key, unused] : *dict) elements.push_back(Value(key));
  } else if (auto* text = value.AsString()) {
    for (std::string_view character : Characters(*text)) elements.push_back(Value(std::string(character)));
  } else {
    interpreter.Wrong(fmt::format("a value of type {} has no elements", value.TypeName()));
  }
  interpreter.Charge(sizeof(Value) * elements.size());
  return elements;
}

Value ElementOf(Interpreter& interpreter, const Value& object, const Value& key) {
  RequireDefined(interpreter, object);
  if (key.AsInt() && (object.AsList() || object.AsString())) {
    List characters;
    if (object.AsString()) characters = ElementsOf(interpreter, object);
    const List& elements = object.AsList() ? *object.AsList() : characters;
    auto size = static_cast<int64_t>(elements.size());
    int64_t index = *key.AsInt() < 0 ? *key.AsInt() + size : *key.AsInt();
    if (index < 0 || index >= size) return Value(Undefined{fmt::format("element {}", *key.AsInt())});
    return elements[static_cast<size_t>(index)];
  }
  if (!key.AsString()) return Value(Undefined{fmt::format("element {}", key.Repr())});
  if (object.AsDict())
    if (const Value* value = Find(*object.AsDict(), *key.AsString())) return *value;
  return AttributeOf(interpreter, object, *key.AsString());
}

}  // namespace ecld::jinja
