// The part of the interpreter that evaluates expressions.

#include <algorithm>

#include "core/error.h"
#include "jinja/integer.h"
#include "jinja/interpreter.h"
#include "jinja/text.h"

namespace ecld::jinja {

Value Interpreter::Evaluate(const Expression& expression) {
  Deeper deeper(*this);
  Charge(0);
  switch (expression.kind) {
    case Expression::kLiteral:
      return expression.value;
    case Expression::kName:
      return Lookup(expression.name);
    case Expression::kBlockText:
      return block_text_;
    case Expression::kList:
    case Expression::kTuple: {
      List list;
      for (const ExpressionPtr& part : expression.parts) list.push_back(Evaluate(*part));
      return expression.kind == Expression::kList ? Value(std::move(list)) : Value::Tuple(std::move(list));
    }
    case Expression::kDict: {
      Dict dict;
      for (size_t i = 0; i < expression.parts.size(); i += 2) {
        Value key = Evaluate(*expression.parts[i]);
        Put(dict, std::move(key), Evaluate(*expression.parts[i + 1]));
      }
      return Value(std::move(dict));
    }
    case Expression::kAttribute:
      return AttributeOf(*this, Evaluate(*expression.parts[0]), expression.name);
    case Expression::kIndex: {
      Value object = Evaluate(*expression.parts[0]);
      return ElementOf(*this, object, Evaluate(*expression.parts[1]));
    }
    case Expression::kSlice:
      return EvaluateSlice(expression);
    case Expression::kCall:
      return Call(expression);
    case Expression::kFilter: {
      Value value = Evaluate(*expression.parts[0]);
      Arguments arguments = EvaluateArguments(expression);
      line_ = expression.line;
      return ApplyFilter(expression.name, value, arguments);
    }
    case Expression::kTest: {
      Value value = Evaluate(*expression.parts[0]);
      Arguments arguments = EvaluateArguments(expression);
      line_ = expression.line;
      return Value(ApplyTest(expression.name, value, arguments));
    }
    case Expression::kUnary:
      return EvaluateUnary(expression);
    case Expression::kBinary:
      return EvaluateBinary(expression);
    case Expression::kCompare:
      return EvaluateCompare(expression);
    case Expression::kConcat:
      return EvaluateConcat(expression);
    case Expression::kIf:
      if (Evaluate(*expression.parts[0]).Truth()) return Evaluate(*expression.parts[1]);
      if (expression.parts[2]) return Evaluate(*expression.parts[2]);
      return Value::MakeUndefined("the \"if\" was false and has no \"else\", so its value is undefined");
  }
  return Value();
}

Value Interpreter::EvaluateUnary(const Expression& expression) {
  Value value = Evaluate(*expression.parts[0]);
  if (expression.name == "not") return Value(!value.Truth());
  RequireDefined(value);
  if (value.AsFloat()) return Value(expression.name == "-" ? -*value.AsFloat() : *value.AsFloat());
  if (!value.IsNumber()) Wrong(fmt::format("\"{}\" does not work on {}", expression.name, value.TypeName()));
  return BinaryOperation(*this, expression.name, Value(int64_t{0}), value);
}

Value Interpreter::EvaluateBinary(const Expression& expression) {
  Value left = Evaluate(*expression.parts[0]);
  if (expression.name == "and") return left.Truth() ? Evaluate(*expression.parts[1]) : left;
  if (expression.name == "or") return left.Truth() ? left : Evaluate(*expression.parts[1]);
  return BinaryOperation(*this, expression.name, left, Evaluate(*expression.parts[1]));
}

Value Interpreter::EvaluateCompare(const Expression& expression) {
  Value left = Evaluate(*expression.parts[0]);
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = Evaluate(*expression.parts[i + 1]);
    if (!Compare(*this, expression.operators[i], left, right)) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::EvaluateConcat(const Expression& expression) {
  List parts;
  bool markup = false;
  for (const ExpressionPtr& part : expression.parts) {
    parts.push_back(Evaluate(*part));
    markup = markup || (autoescape_ && parts.back().IsMarkup());
  }
  std::string text;
  for (const Value& part : parts) text += markup && !part.IsMarkup() ? Escaped(part.Str()) : part.Str();
  Charge(text.size());
  return Value(std::move(text), markup);
}

Arguments Interpreter::EvaluateArguments(const Expression& expression) {
  Arguments arguments;
  for (size_t i = 1; i < expression.parts.size(); ++i) arguments.positional.push_back(Evaluate(*expression.parts[i]));
  for (const auto& [name, part] : expression.named) arguments.named.emplace_back(name, Evaluate(*part));
  if (expression.spread)
    for (Value& value : ElementsOf(*this, Evaluate(*expression.spread)))
      arguments.positional.push_back(std::move(value));
  if (expression.spread_named) {
    Value more = Evaluate(*expression.spread_named);
    if (!more.AsDict()) Wrong(fmt::format("** needs a dict, found {}", more.TypeName()));
    for (const auto& [name, value] : *more.AsDict()) {
      if (!name.AsString()) Wrong(fmt::format("** needs strings as keys, found {}", name.TypeName()));
      if (Find(arguments.named, *name.AsString()))
        Wrong(fmt::format("the argument \"{}\" is given twice", *name.AsString()));
      arguments.named.emplace_back(*name.AsString(), value);
    }
  }
  return arguments;
}

Value Interpreter::Call(const Expression& expression, const Value* caller) {
  const Expression& function = *expression.parts[0];
  Value self, callee;
  const Row* method = nullptr;  // is called without a value made of it
  if (function.kind == Expression::kAttribute) {
    self = Evaluate(*function.parts[0]);
    method = FindRow(MethodsOf(self), function.name);
    if (!method) callee = AttributeOf(*this, self, function.name);
  } else {
    callee = Evaluate(function);
  }
  Arguments arguments = EvaluateArguments(expression);
  if (caller && Find(arguments.named, "caller")) Wrong("the argument \"caller\" is given twice");
  if (caller) arguments.named.emplace_back("caller", *caller);
  line_ = expression.line;
  if (method) return CallMethod(*this, *method, self, arguments);
  if (callee.IsUndefined()) Wrong(fmt::format("{} and cannot be called", callee.WhyUndefined()));
  if (!callee.AsObject() || !callee.AsObject()->call)
    Wrong(fmt::format("a value of type {} cannot be called", callee.TypeName()));
  return callee.AsObject()->call(arguments);
}

Value Interpreter::EvaluateSlice(const Expression& expression) {
  Value object = Evaluate(*expression.parts[0]);
  RequireDefined(object);
  const std::string* text = object.AsString();
  if (!object.AsList() && !text) Wrong(fmt::format("a value of type {} has no slices", object.TypeName()));
  const std::vector<std::string_view> characters = text ? Characters(*text) : std::vector<std::string_view>();
  Charge(text ? text->size() : sizeof(Value) * object.AsList()->size());
  auto size = static_cast<int64_t>(text ? characters.size() : object.AsList()->size());
  auto bound = [&](size_t part, int64_t fallback) {
    Value value = expression.parts[part] ? Evaluate(*expression.parts[part]) : Value(None{});
    if (value.IsNone()) return fallback;
    if (!value.IsInteger()) Wrong(fmt::format("a slice has a bound of type {}, expected an integer", value.TypeName()));
    const double number = IntegerAsFloat(value);
    if (value.AsBig()) return number < 0 ? -size - 1 : size;
    const auto integer = static_cast<int64_t>(number);
    return value.AsInt() ? *value.AsInt() : integer;
  };
  int64_t step = bound(3, 1);
  if (step == 0) Wrong("a slice has step 0");
  // As Python: bounds count from the end when negative, and are clipped to what a step in this direction can reach.
  int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? size : size - 1;
  auto clipped = [&](size_t part, int64_t fallback) {
    constexpr int64_t kNotGiven = std::numeric_limits<int64_t>::max();
    int64_t value = bound(part, kNotGiven);
    if (value == kNotGiven) return fallback;
    if (value < 0 && value >= -size) value += size;
    return std::clamp(value, lowest, highest);
  };
  int64_t start = clipped(1, step > 0 ? lowest : highest), stop = clipped(2, step > 0 ? highest : lowest);
  List slice;
  std::string cut;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (text)
      cut += characters[static_cast<size_t>(i)];
    else
      slice.push_back((*object.AsList())[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  if (text) return Value(std::move(cut), object.IsMarkup());
  return object.AsSequence()->IsTuple() ? Value::Tuple(std::move(slice)) : Value(std::move(slice));
}

}  // namespace ecld::jinja
