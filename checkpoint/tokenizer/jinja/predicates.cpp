// The tests of Jinja ("is defined", "is string", ...) that chat templates use.

#include "checkpoint/tokenizer/jinja/interpreter.h"
#include "core/error.h"

namespace ecld::jinja {
namespace {

using Test = bool (*)(Interpreter&, const Value&, const Value& argument);
struct NamedTest {
  std::string_view name;
  Test test;
};

bool Compared(Interpreter& interpreter, const char* name, const Value& value, const Value& argument) {
  return BinaryOperation(interpreter, name, value, argument).Truth();
}

bool IsDivisible(Interpreter& interpreter, const Value& value, int64_t divisor) {
  return Compared(interpreter, "==", BinaryOperation(interpreter, "%", value, Value(divisor)), Value(int64_t{0}));
}

constexpr NamedTest kTests[] = {
    {"defined", [](Interpreter&, const Value& v, const Value&) { return !v.IsUndefined(); }},
    {"undefined", [](Interpreter&, const Value& v, const Value&) { return v.IsUndefined(); }},
    {"none", [](Interpreter&, const Value& v, const Value&) { return v.IsNone(); }},
    {"true", [](Interpreter&, const Value& v, const Value&) { return v.AsBool() && *v.AsBool(); }},
    {"false", [](Interpreter&, const Value& v, const Value&) { return v.AsBool() && !*v.AsBool(); }},
    {"boolean", [](Interpreter&, const Value& v, const Value&) { return v.AsBool() != nullptr; }},
    {"integer", [](Interpreter&, const Value& v, const Value&) { return v.AsInt() != nullptr; }},
    {"float", [](Interpreter&, const Value& v, const Value&) { return v.AsFloat() != nullptr; }},
    {"number", [](Interpreter&, const Value& v, const Value&) { return v.IsNumber(); }},
    {"string", [](Interpreter&, const Value& v, const Value&) { return v.AsString() != nullptr; }},
    {"mapping", [](Interpreter&, const Value& v, const Value&) { return v.AsDict() != nullptr; }},
    {"callable", [](Interpreter&, const Value& v, const Value&) { return v.AsFunction() != nullptr; }},
    // An undefined value is a sequence and iterable in Jinja: the empty one.
    {"sequence", [](Interpreter&, const Value& v,
                    const Value&) { return v.AsList() || v.AsDict() || v.AsString() || v.IsUndefined(); }},
    {"iterable", [](Interpreter&, const Value& v,
                    const Value&) { return v.AsList() || v.AsDict() || v.AsString() || v.IsUndefined(); }},
    {"odd", [](Interpreter& i, const Value& v, const Value&) { return !IsDivisible(i, v, 2); }},
    {"even", [](Interpreter& i, const Value& v, const Value&) { return IsDivisible(i, v, 2); }},
    {"divisibleby",
     [](Interpreter& i, const Value& v, const Value& a) {
       if (!a.AsInt()) i.Wrong("divisibleby needs an integer");
       return IsDivisible(i, v, *a.AsInt());
     }},
    {"eq", [](Interpreter&, const Value& v, const Value& a) { return v == a; }},
    {"equalto", [](Interpreter&, const Value& v, const Value& a) { return v == a; }},
    {"==", [](Interpreter&, const Value& v, const Value& a) { return v == a; }},
    {"sameas", [](Interpreter&, const Value& v, const Value& a) { return v.TypeName() == a.TypeName() && v == a; }},
    {"ne", [](Interpreter&, const Value& v, const Value& a) { return !(v == a); }},
    {"!=", [](Interpreter&, const Value& v, const Value& a) { return !(v == a); }},
    {"lt", [](Interpreter& i, const Value& v, const Value& a) { return Compared(i, "<", v, a); }},
    {"le", [](Interpreter& i, const Value& v, const Value& a) { return Compared(i, "<=", v, a); }},
    {"gt", [](Interpreter& i, const Value& v, const Value& a) { return Compared(i, ">", v, a); }},
    {"ge", [](Interpreter& i, const Value& v, const Value& a) { return Compared(i, ">=", v, a); }},
    {"in", [](Interpreter& i, const Value& v, const Value& a) { return Contains(i, a, v); }},
};

}  // namespace

bool Interpreter::ApplyTest(const std::string& name, const Value& value, const Arguments& arguments) {
  Charge(0);
  std::vector<std::string> known;
  for (const NamedTest& entry : kTests) {
    if (entry.name == name) return entry.test(*this, value, arguments.Get(0, ""));
    known.emplace_back(entry.name);
  }
  Wrong(fmt::format("test \"{}\" is not supported{}", name, DidYouMean(name, known)));
}

}  // namespace ecld::jinja
