// Methods of strings, lists and dicts: those of Python that change nothing.

#include <algorithm>

#include "checkpoint/tokenizer/jinja/interpreter.h"
#include "checkpoint/tokenizer/jinja/text.h"
#include "core/error.h"

namespace ecld::jinja {
namespace {

const std::string& TextArgument(Interpreter& interpreter, const Value& value, const char* method) {
  if (!value.AsString()) interpreter.Wrong(fmt::format("{} needs a string, found {}", method, value.TypeName()));
  return *value.AsString();
}

// startswith and endswith take one string or a list of them.
template <class Matches>
bool AnyOf(Interpreter& interpreter, const Value& candidates, const char* method, Matches&& matches) {
  if (!candidates.AsList()) return matches(TextArgument(interpreter, candidates, method));
  return std::any_of(candidates.AsList()->begin(), candidates.AsList()->end(),
                     [&](const Value& value) { return matches(TextArgument(interpreter, value, method)); });
}

Value SplitMethod(Interpreter& interpreter, const std::string& text, const Arguments& arguments, bool from_right) {
  Value separator = arguments.Get(0, "sep"), limit = arguments.Get(1, "maxsplit");
  int64_t count = limit.AsInt() ? *limit.AsInt() : -1;
  std::vector<std::string> parts;
  if (separator.IsUndefined() || separator.IsNone()) {
    parts = SplitAtSpace(text, count);
  } else {
    if (TextArgument(interpreter, separator, "split").empty()) interpreter.Wrong("split at an empty string");
    parts = SplitAt(text, *separator.AsString(), count, from_right);
  }
  List list;
  for (std::string& part : parts) list.push_back(Value(std::move(part)));
  interpreter.Charge(sizeof(Value) * list.size() + text.size());
  return Value(std::move(list));
}

using Method = Value (*)(Interpreter&, const Value& self, const Arguments&);
struct NamedMethod {
  std::string_view name;
  Method method;
};

Value StripMethod(Interpreter& interpreter, const Value& self, const Arguments& arguments, bool left, bool right) {
  Value characters = arguments.Get(0, "chars");
  bool space = characters.IsUndefined() || characters.IsNone();
  return Value(Strip(*self.AsString(), space ? nullptr : &TextArgument(interpreter, characters, "strip"), left, right));
}

constexpr NamedMethod kStringMethods[] = {
    {"strip",
     [](Interpreter& i, const Value& self, const Arguments& a) { return StripMethod(i, self, a, true, true); }},
    {"lstrip",
     [](Interpreter& i, const Value& self, const Arguments& a) { return StripMethod(i, self, a, true, false); }},
    {"rstrip",
     [](Interpreter& i, const Value& self, const Arguments& a) { return StripMethod(i, self, a, false, true); }},
    {"split",
     [](Interpreter& i, const Value& self, const Arguments& a) { return SplitMethod(i, *self.AsString(), a, false); }},
    {"rsplit",
     [](Interpreter& i, const Value& self, const Arguments& a) { return SplitMethod(i, *self.AsString(), a, true); }},
    {"startswith",
     [](Interpreter& i, const Value& self, const Arguments& a) {
       return Value(AnyOf(i, a.Get(0, "prefix"), "startswith",
                          [&](const std::string& prefix) { return self.AsString()->starts_with(prefix); }));
     }},
    {"endswith",
     [](Interpreter& i, const Value& self, const Arguments& a) {
       return Value(AnyOf(i, a.Get(0, "suffix"), "endswith",
                          [&](const std::string& suffix) { return self.AsString()->ends_with(suffix); }));
     }},
    {"upper", [](Interpreter&, const Value& self, const Arguments&) { return Value(Upper(*self.AsString())); }},
    {"lower", [](Interpreter&, const Value& self, const Arguments&) { return Value(Lower(*self.AsString())); }},
    {"title", [](Interpreter&, const Value& self, const Arguments&) { return Value(Title(*self.AsString())); }},
    {"capitalize",
     [](Interpreter&, const Value& self, const Arguments&) { return Value(Capitalized(*self.AsString())); }},
    {"replace",
     [](Interpreter& i, const Value& self, const Arguments& a) { return i.ApplyFilter("replace", self, a); }},
    {"join",
     [](Interpreter& i, const Value& self, const Arguments& a) {
       return i.ApplyFilter("join", a.Get(0, "iterable"), {{self}, {}});
     }},
    {"find",
     [](Interpreter& i, const Value& self, const Arguments& a) {
       size_t at = self.AsString()->find(TextArgument(i, a.Get(0, "sub"), "find"));
       if (at == std::string::npos) return Value(int64_t{-1});
       return Value(static_cast<int64_t>(Characters(std::string_view(*self.AsString()).substr(0, at)).size()));
     }},
};

constexpr NamedMethod kDictMethods[] = {
    {"items", [](Interpreter& i, const Value& self, const Arguments& a) { return i.ApplyFilter("items", self, a); }},
    {"keys", [](Interpreter& i, const Value& self, const Arguments&) { return Value(ElementsOf(i, self)); }},
    {"values",
     [](Interpreter& i, const Value& self, const Arguments&) {
       List values;
       for (const auto& [key, value] : *self.AsDict()) values.push_back(value);
       i.Charge(sizeof(Value) * values.size());
       return Value(std::move(values));
     }},
    {"get",
     [](Interpreter& i, const Value& self, const Arguments& a) {
       const Value* found = Find(*self.AsDict(), TextArgument(i, a.Get(0, "key"), "get"));
       if (found) return *found;
       Value fallback = a.Get(1, "default");
       return fallback.IsUndefined() ? Value(None{}) : fallback;
     }},
};

constexpr NamedMethod kListMethods[] = {
    {"index",
     [](Interpreter& i, const Value& self, const Arguments& a) {
       const List& list = *self.AsList();
       auto found = std::find(list.begin(), list.end(), a.Get(0, "value"));
       if (found == list.end()) i.Wrong("index: the value is not in the list");
       return Value(static_cast<int64_t>(found - list.begin()));
     }},
    {"count",
     [](Interpreter&, const Value& self, const Arguments& a) {
       return Value(static_cast<int64_t>(std::count(self.AsList()->begin(), self.AsList()->end(), a.Get(0, "value"))));
     }},
};

template <size_t kCount>
Value Bound(Interpreter& interpreter, const NamedMethod (&methods)[kCount], const Value& self, std::string_view name) {
  for (const NamedMethod& entry : methods) {
    if (entry.name != name) continue;
    Function bound = [&interpreter, method = entry.method, self](const Arguments& arguments) {
      interpreter.Charge(self.AsString() ? self.AsString()->size() : 0);
      return method(interpreter, self, arguments);
    };
    return Value(std::move(bound), self);
  }
  return Value(Undefined{std::string(name)});
}

}  // namespace

Value AttributeOf(Interpreter& interpreter, const Value& object, const std::string& name) {
  if (object.IsUndefined())
    interpreter.Wrong(fmt::format("'{}' is undefined, so it has no attribute '{}'", object.UndefinedName(), name));
  if (object.IsNamespace()) return object.GetAttribute(name);
  if (object.AsString()) return Bound(interpreter, kStringMethods, object, name);
  if (object.AsList()) return Bound(interpreter, kListMethods, object, name);
  if (!object.AsDict()) return Value(Undefined{name});
  Value method = Bound(interpreter, kDictMethods, object, name);
  if (!method.IsUndefined()) return method;
  const Value* entry = Find(*object.AsDict(), name);
  return entry ? *entry : method;
}

}  // namespace ecld::jinja
