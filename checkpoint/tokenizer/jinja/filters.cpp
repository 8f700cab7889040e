// The filters of Jinja that chat templates use.

#include <algorithm>
#include <charconv>
#include <cmath>

#include "checkpoint/tokenizer/jinja/interpreter.h"
#include "checkpoint/tokenizer/jinja/text.h"
#include "checkpoint/tokenizer/normalizer.h"
#include "core/error.h"

namespace ecld::jinja {
namespace {

using Filter = Value (*)(Interpreter&, const Value&, const Arguments&);
struct NamedFilter {
  std::string_view name;
  Filter filter;
};

Value ToJsonFilter(Interpreter& interpreter, const Value& value, const Arguments& arguments) {
  // The Python function is tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False).
  for (const auto& [name, argument] : arguments.named)
    if (name != "indent" && !(name == "ensure_ascii" && !argument.Truth()))
      interpreter.Wrong(fmt::format("tojson: the argument {} is not supported", name));
  Value indent = arguments.Get(1, "indent");
  if (indent.AsInt() && (*indent.AsInt() < 0 || *indent.AsInt() > 64)) interpreter.Wrong("tojson: indent out of range");
  return Value(value.ToJson(indent.AsInt() ? static_cast<int>(*indent.AsInt()) : -1));
}

Value Length(Interpreter& interpreter, const Value& value, const Arguments&) {
  size_t length = 0;
  if (auto* list = value.AsList())
    length = list->size();
  else if (auto* dict = value.AsDict())
    length = dict->size();
  else
    length = ElementsOf(interpreter, value).size();
  return Value(static_cast<int64_t>(length));
}

Value Default(Interpreter&, const Value& value, const Arguments& arguments) {
  bool replace = value.IsUndefined() || (arguments.Get(1, "boolean").Truth() && !value.Truth());
  if (!replace) return value;
  Value fallback = arguments.Get(0, "default_value");
  return fallback.IsUndefined() ? Value(std::string()) : fallback;
}

Value Join(Interpreter& interpreter, const Value& value, const Arguments& arguments) {
  std::string separator = arguments.Get(0, "d").Str(), text;
  Value attribute = arguments.Get(1, "attribute");
  bool first = true;
  for (const Value& element : ElementsOf(interpreter, value)) {
    if (!std::exchange(first, false)) text += separator;
    text += (attribute.AsString() ? ElementOf(interpreter, element, attribute) : element).Str();
    interpreter.Charge(text.size() / 64);
  }
  interpreter.Charge(text.size());
  return Value(std::move(text));
}

Value Replace(Interpreter& interpreter, const Value& value, const Arguments& arguments) {
  std::string text = value.Str(), pattern = arguments.Get(0, "old").Str(), content = arguments.Get(1, "new").Str();
  if (arguments.positional.size() + arguments.named.size() > 2)
    interpreter.Wrong("replace with a count is not supported");
  if (pattern.empty()) interpreter.Wrong("replace of an empty string");
  interpreter.Charge(text.size() * (1 + content.size() / pattern.size()));
  return Value(ReplaceAll(text, pattern, content));
}

Value Items(Interpreter& interpreter, const Value& value, const Arguments&) {
  if (value.IsUndefined()) return Value(List());
  if (!value.AsDict()) interpreter.Wrong(fmt::format("items needs a dict, found {}", value.TypeName()));
  List items;
  for (const auto& [key, element] : *value.AsDict()) items.push_back(Value(List{Value(key), element}));
  interpreter.Charge(sizeof(Value) * items.size());
  return Value(std::move(items));
}

// select, reject, selectattr, rejectattr: keeps elements (or those whose attribute) by a test, by truth without one.
Value Select(Interpreter& interpreter, const Value& value, const Arguments& arguments, bool by_attribute, bool keep) {
  size_t test_at = by_attribute ? 1 : 0;
  if (by_attribute && !arguments.Get(0, "").AsString()) interpreter.Wrong("selectattr needs the name of an attribute");
  Arguments test_arguments;
  for (size_t i = test_at + 1; i < arguments.positional.size(); ++i)
    test_arguments.positional.push_back(arguments.positional[i]);
  List kept;
  for (const Value& element : ElementsOf(interpreter, value)) {
    Value tested = by_attribute ? ElementOf(interpreter, element, arguments.positional[0]) : element;
    bool passes = arguments.positional.size() > test_at
                      ? interpreter.ApplyTest(arguments.positional[test_at].Str(), tested, test_arguments)
                      : tested.Truth();
    if (passes == keep) kept.push_back(element);
  }
  return Value(std::move(kept));
}

Value Map(Interpreter& interpreter, const Value& value, const Arguments& arguments) {
  Value attribute = arguments.Get(arguments.positional.size(), "attribute");
  if (!attribute.AsString() && arguments.positional.empty()) interpreter.Wrong("map needs a filter or an attribute");
  Arguments rest;
  for (size_t i = 1; i < arguments.positional.size(); ++i) rest.positional.push_back(arguments.positional[i]);
  List mapped;
  for (const Value& element : ElementsOf(interpreter, value)) {
    Value result = attribute.AsString() ? ElementOf(interpreter, element, attribute)
                                        : interpreter.ApplyFilter(arguments.positional[0].Str(), element, rest);
    if (result.IsUndefined()) result = arguments.Get(arguments.positional.size(), "default");
    mapped.push_back(std::move(result));
  }
  return Value(std::move(mapped));
}

Value Int(Interpreter&, const Value& value, const Arguments& arguments) {
  Value fallback = arguments.Get(0, "default");
  Value other = fallback.IsUndefined() ? Value(int64_t{0}) : fallback;
  if (value.AsInt()) return value;
  double number = 0;
  if (value.IsNumber()) {
    number = value.Number();
  } else {
    std::string text = Strip(value.Str(), nullptr, true, true);
    int64_t integer = 0;
    auto whole = std::from_chars(text.data(), text.data() + text.size(), integer);
    if (whole.ec == std::errc() && whole.ptr == text.data() + text.size()) return Value(integer);
    auto real = std::from_chars(text.data(), text.data() + text.size(), number);
    if (real.ec != std::errc() || real.ptr != text.data() + text.size()) return other;
  }
  return std::abs(number) < 9e18 ? Value(static_cast<int64_t>(number)) : other;
}

Value Indent(Interpreter& interpreter, const Value& value, const Arguments& arguments) {
  Value width = arguments.Get(0, "width");
  int64_t count = width.AsInt() ? std::clamp<int64_t>(*width.AsInt(), 0, 64) : 4;
  bool first = arguments.Get(1, "first").Truth(), blank = arguments.Get(2, "blank").Truth();
  std::string text, pad(static_cast<size_t>(count), ' ');
  std::vector<std::string> lines = SplitAt(value.Str(), "\n", -1, false);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) text += '\n';
    if ((i > 0 || first) && (blank || !lines[i].empty())) text += pad;
    text += lines[i];
  }
  interpreter.Charge(text.size());
  return Value(std::move(text));
}

Value End(Interpreter& interpreter, const Value& value, bool first) {
  List elements = ElementsOf(interpreter, value);
  if (elements.empty()) return Value(Undefined{first ? "the first of no elements" : "the last of no elements"});
  return first ? elements.front() : elements.back();
}

Value Reverse(Interpreter& interpreter, const Value& value, const Arguments&) {
  List elements = ElementsOf(interpreter, value);
  std::reverse(elements.begin(), elements.end());
  if (!value.AsString()) return Value(std::move(elements));
  std::string text;
  for (const Value& character : elements) text += *character.AsString();
  return Value(std::move(text));
}

constexpr NamedFilter kFilters[] = {
    {"tojson", ToJsonFilter},
    {"length", Length},
    {"count", Length},
    {"default", Default},
    {"d", Default},
    {"join", Join},
    {"replace", Replace},
    {"items", Items},
    {"map", Map},
    {"int", Int},
    {"indent", Indent},
    {"reverse", Reverse},
    {"select", [](Interpreter& i, const Value& v, const Arguments& a) { return Select(i, v, a, false, true); }},
    {"reject", [](Interpreter& i, const Value& v, const Arguments& a) { return Select(i, v, a, false, false); }},
    {"selectattr", [](Interpreter& i, const Value& v, const Arguments& a) { return Select(i, v, a, true, true); }},
    {"rejectattr", [](Interpreter& i, const Value& v, const Arguments& a) { return Select(i, v, a, true, false); }},
    {"first", [](Interpreter& i, const Value& v, const Arguments&) { return End(i, v, true); }},
    {"last", [](Interpreter& i, const Value& v, const Arguments&) { return End(i, v, false); }},
    {"list", [](Interpreter& i, const Value& v, const Arguments&) { return Value(ElementsOf(i, v)); }},
    {"string", [](Interpreter&, const Value& v, const Arguments&) { return Value(v.Str()); }},
    {"safe", [](Interpreter&, const Value& v, const Arguments&) { return Value(v.Str()); }},
    {"upper", [](Interpreter&, const Value& v, const Arguments&) { return Value(Upper(v.Str())); }},
    {"lower", [](Interpreter&, const Value& v, const Arguments&) { return Value(Lower(v.Str())); }},
    {"title", [](Interpreter&, const Value& v, const Arguments&) { return Value(Title(v.Str())); }},
    {"capitalize", [](Interpreter&, const Value& v, const Arguments&) { return Value(Capitalized(v.Str())); }},
    {"trim",
     [](Interpreter&, const Value& v, const Arguments& a) {
       Value characters = a.Get(0, "chars");
       return Value(Strip(v.Str(), characters.AsString(), true, true));
     }},
};

}  // namespace

Value Interpreter::ApplyFilter(const std::string& name, const Value& value, const Arguments& arguments) {
  Charge(value.AsString() ? value.AsString()->size() : 0);
  std::vector<std::string> known;
  for (const NamedFilter& entry : kFilters) {
    if (entry.name == name) {
      Value result = entry.filter(*this, value, arguments);
      Charge(result.AsString() ? result.AsString()->size() : 0);
      return result;
    }
    known.emplace_back(entry.name);
  }
  Wrong(fmt::format("filter \"{}\" is not supported{}", name, DidYouMean(name, known)));
}

}  // namespace ecld::jinja
