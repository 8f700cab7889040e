// The part of the interpreter that evaluates expressions.

#include <algorithm>

#include "checkpoint/tokenizer/jinja/interpreter.h"
#include "core/error.h"

namespace ecld::jinja {

Value Interpreter::Evaluate(const Expression& expression) {
  Charge(0);
  switch (expression.kind) {
    case Expression::kLiteral:
      return expression.value;
    case Expression::kName:
      return Lookup(expression.name);
    case Expression::kList: {
      List list;
      for (const ExpressionPtr& part : expression.parts) list.push_back(Evaluate(*part));
      return Value(std::move(list));
    }
    case Expression::kDict: {
      Dict dict;
      for (size_t i = 0; i < expression.parts.size(); i += 2) {
        Value key = Evaluate(*expression.parts[i]);
        if (!key.AsString()) Wrong(fmt::format("the key of a dict is {}, expected a string", key.TypeName()));
        std::erase_if(dict, [&](const auto& entry) { return entry.first == *key.AsString(); });
        dict.emplace_back(*key.AsString(), Evaluate(*expression.parts[i + 1]));
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
      return ApplyFilter(expression.name, value, EvaluateArguments(expression));
    }
    case Expression::kTest: {
      Value value = Evaluate(*expression.parts[0]);
      return Value(ApplyTest(expression.name, value, EvaluateArguments(expression)));
    }
    case Expression::kUnary: {
      Value value = Evaluate(*expression.parts[0]);
      if (expression.name == "not") return Value(!value.Truth());
      Value zero(int64_t{0});
      return BinaryOperation(*this, expression.name, zero, value);
    }
    case Expression::kBinary:
      return EvaluateBinary(expression);
    case Expression::kIf:
      if (Evaluate(*expression.parts[0]).Truth()) return Evaluate(*expression.parts[1]);
      return expression.parts[2] ? Evaluate(*expression.parts[2]) : Value();
  }
  return Value();
}

Value Interpreter::EvaluateBinary(const Expression& expression) {
  Value left = Evaluate(*expression.parts[0]);
  if (expression.name == "and") return left.Truth() ? Evaluate(*expression.parts[1]) : left;
  if (expression.name == "or") return left.Truth() ? left : Evaluate(*expression.parts[1]);
  return BinaryOperation(*this, expression.name, left, Evaluate(*expression.parts[1]));
}

Arguments Interpreter::EvaluateArguments(const Expression& expression) {
  Arguments arguments;
  for (size_t i = 1; i < expression.parts.size(); ++i) arguments.positional.push_back(Evaluate(*expression.parts[i]));
  for (const auto& [name, part] : expression.named) arguments.named.emplace_back(name, Evaluate(*part));
  return arguments;
}

Value Interpreter::Call(const Expression& expression) {
  Value callee = Evaluate(*expression.parts[0]);
  Arguments arguments = EvaluateArguments(expression);
  line_ = expression.line;
  if (callee.IsUndefined()) Wrong(fmt::format("'{}' is undefined and cannot be called", callee.UndefinedName()));
  if (!callee.AsFunction()) Wrong(fmt::format("a value of type {} cannot be called", callee.TypeName()));
  return (*callee.AsFunction())(arguments);
}

Value Interpreter::EvaluateSlice(const Expression& expression) {
  Value object = Evaluate(*expression.parts[0]);
  if (!object.AsList() && !object.AsString()) Wrong(fmt::format("a value of type {} has no slices", object.TypeName()));
  List elements = ElementsOf(*this, object);
  auto size = static_cast<int64_t>(elements.size());
  auto bound = [&](size_t part, int64_t fallback) {
    Value value = expression.parts[part] ? Evaluate(*expression.parts[part]) : Value(None{});
    if (value.IsNone()) return fallback;
    if (!value.AsInt()) Wrong(fmt::format("a slice has a bound of type {}, expected an integer", value.TypeName()));
    return *value.AsInt();
  };
  int64_t step = bound(3, 1);
  if (step == 0) Wrong("a slice has step 0");
  // As Python: bounds count from the end when negative, and are clipped to what a step in this direction can reach.
  int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? size : size - 1;
  auto clipped = [&](size_t part, int64_t fallback) {
    int64_t value = bound(part, fallback);
    if (expression.parts[part] && value < 0 && value >= -size) value += size;
    return std::clamp(value, lowest, highest);
  };
  int64_t start = clipped(1, step > 0 ? lowest : highest), stop = clipped(2, step > 0 ? highest : lowest);
  List slice;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    slice.push_back(elements[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  if (object.AsList()) return Value(std::move(slice));
  std::string text;
  for (const Value& character : slice) text += *character.AsString();
  return Value(std::move(text));
}

}  // namespace ecld::jinja
