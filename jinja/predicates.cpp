// The tests of Jinja ("is defined", "is string", ...).

#include <array>

#include "core/error.h"
#include "jinja/interpreter.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

bool IsDivisible(const Value& value, const Bound& a, const Value& divisor) {
  return BinaryOperation(a.interpreter, "%", value, divisor) == Value(int64_t{0});
}

template <const char* kOperator>
Value Compared(const Value& value, const Bound& a) {
  return Value(Compare(a.interpreter, kOperator, value, *a.values[0]));
}
constexpr char kEqual[] = "==", kUnequal[] = "!=", kLess[] = "<", kLessEqual[] = "<=", kGreater[] = ">",
               kGreaterEqual[] = ">=", kIn[] = "in";

bool IsIterable(const Value& v) { return v.AsSequence() || v.AsDict() || v.AsString() || v.IsUndefined(); }

bool IsSequence(const Value& v) { return v.AsList() || v.AsDict() || v.AsString() || v.IsUndefined(); }

// In Python the same object: what is copied in a template stays that; small numbers are one object as well.
bool IsSame(const Value& a, const Value& b) {
  if (a.AsSequence() || a.AsDict()) return a.AsSequence() == b.AsSequence() && a.AsDict() == b.AsDict();
  return a.TypeName() == b.TypeName() && a == b;
}

bool HasCase(const Value& v, std::string_view name) {
  bool known = false;
  return HasProperty(v.Str(), name, &known);
}

constexpr Row kTests[] = {
    {"defined", "", [](const Value& v, const Bound&) { return Value(!v.IsUndefined()); }},
    {"undefined", "", [](const Value& v, const Bound&) { return Value(v.IsUndefined()); }},
    {"none", "", [](const Value& v, const Bound&) { return Value(v.IsNone()); }},
    {"true", "", [](const Value& v, const Bound&) { return Value(v.AsBool() && *v.AsBool()); }},
    {"false", "", [](const Value& v, const Bound&) { return Value(v.AsBool() && !*v.AsBool()); }},
    {"boolean", "", [](const Value& v, const Bound&) { return Value(v.AsBool() != nullptr); }},
    {"integer", "", [](const Value& v, const Bound&) { return Value(v.IsInteger() && !v.AsBool()); }},
    {"float", "", [](const Value& v, const Bound&) { return Value(v.AsFloat() != nullptr); }},
    {"number", "", [](const Value& v, const Bound&) { return Value(v.IsNumber()); }},
    {"string", "", [](const Value& v, const Bound&) { return Value(v.AsString() != nullptr); }},
    {"mapping", "", [](const Value& v, const Bound&) { return Value(v.AsDict() != nullptr); }},
    {"callable", "",
     [](const Value& v, const Bound&) { return Value((v.AsObject() && v.AsObject()->call) || v.IsUndefined()); }},
    {"sequence", "", [](const Value& v, const Bound&) { return Value(IsSequence(v)); }},
    {"iterable", "", [](const Value& v, const Bound&) { return Value(IsIterable(v)); }},
    {"escaped", "", [](const Value& v, const Bound&) { return Value(v.IsMarkup()); }},
    {"lower", "", [](const Value& v, const Bound&) { return Value(HasCase(v, "islower")); }},
    {"upper", "", [](const Value& v, const Bound&) { return Value(HasCase(v, "isupper")); }},
    {"odd", "",
     [](const Value& v, const Bound& a) {
       return Value(BinaryOperation(a.interpreter, "%", v, Value(int64_t{2})) == Value(int64_t{1}));
     }},
    {"even", "", [](const Value& v, const Bound& a) { return Value(IsDivisible(v, a, Value(int64_t{2}))); }},
    {"divisibleby", "num", [](const Value& v, const Bound& a) { return Value(IsDivisible(v, a, *a.values[0])); }},
    {"filter", "", [](const Value& v, const Bound&) { return Value(v.AsString() && HasFilter(*v.AsString())); }},
    {"test", "", [](const Value& v, const Bound&) { return Value(v.AsString() && HasTest(*v.AsString())); }},
    {"sameas", "other", [](const Value& v, const Bound& a) { return Value(IsSame(v, *a.values[0])); }},
    {"in", "seq", Compared<kIn>},
    {"==", "other/", Compared<kEqual>},
    {"eq", "other/", Compared<kEqual>},
    {"equalto", "other/", Compared<kEqual>},
    {"!=", "other/", Compared<kUnequal>},
    {"ne", "other/", Compared<kUnequal>},
    {"<", "other/", Compared<kLess>},
    {"lt", "other/", Compared<kLess>},
    {"lessthan", "other/", Compared<kLess>},
    {"<=", "other/", Compared<kLessEqual>},
    {"le", "other/", Compared<kLessEqual>},
    {">", "other/", Compared<kGreater>},
    {"gt", "other/", Compared<kGreater>},
    {"greaterthan", "other/", Compared<kGreater>},
    {">=", "other/", Compared<kGreaterEqual>},
    {"ge", "other/", Compared<kGreaterEqual>},
};

}  // namespace

bool HasTest(const std::string& name) { return FindRow(kTests, name) != nullptr; }

std::string UnknownTest(const std::string& name) {
  std::vector<std::string> known;
  for (const Row& row : kTests) known.emplace_back(row.name);
  return fmt::format("\"{}\" is not supported{}", name, DidYouMean(name, known));
}

bool Interpreter::ApplyTest(const std::string& name, const Value& value, const Arguments& arguments) {
  const Row* row = FindRow(kTests, name);
  if (!row) Wrong("test " + UnknownTest(name));
  return CallRow(*this, *row, value, arguments).Truth();
}

}  // namespace ecld::jinja
