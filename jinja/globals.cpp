// The functions that every template can call.

#include <array>
#include <chrono>
#include <ctime>

#include "core/error.h"
#include "jinja/interpreter.h"

namespace ecld::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // as Jinja's sandbox

Value Range(const Value&, const Bound& a) {
  const bool has_stop = a.values[1] != nullptr;
  const int64_t start = has_stop ? a.Int(0, 0) : 0, stop = a.Int(has_stop ? 1 : 0, 0), step = a.Int(2, 1);
  if (step == 0) Wrong("range with step 0");
  Sequence range{.kind = Sequence::kRange};
  range.text = fmt::format("range({}, {}{})", start, stop, step == 1 ? "" : fmt::format(", {}", step));
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (range.elements.size() == kMaxRange) Wrong(fmt::format("a range of more than {} numbers", kMaxRange));
    range.elements.push_back(Value(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  a.interpreter.Charge(sizeof(Value) * range.elements.size());
  return Value(std::move(range));
}

// What dict(...) is of: a dict or pairs, and names.
Dict DictOf(const Bound& a) {
  Dict dict;
  if (a.values[0]) {
    RequireDefined(*a.values[0]);
    if (const Dict* other = a.values[0]->AsDict()) {
      dict = *other;
    } else {
      for (const Value& pair : ElementsOf(a.interpreter, *a.values[0])) {
        List parts = ElementsOf(a.interpreter, pair);
        if (parts.size() != 2) Wrong(fmt::format("{} needs pairs, found {} values", a.callee, parts.size()));
        Put(dict, parts[0], parts[1]);
      }
    }
  }
  for (const auto& [name, value] : a.all.named) Put(dict, Value(name), value);
  return dict;
}

Value Namespace(const Value&, const Bound& a) {
  Object& object = a.interpreter.NewObject("");
  object.is_namespace = true;
  for (const auto& [name, value] : DictOf(a)) {
    if (!name.AsString()) Wrong("the attributes of a namespace are called by strings");
    if (name.AsString()->starts_with('_'))
      Wrong(fmt::format("attribute \"{}\" of a namespace: names with _ before them are not allowed", *name.AsString()));
    Put(object.attributes, *name.AsString(), value);
  }
  return Value(&object);
}

Value Cycler(const Value&, const Bound& a) {
  if (a.all.positional.empty() || !a.all.named.empty()) Wrong("cycler needs values");
  struct State {
    List values;
    size_t at = 0;
  };
  auto state = std::make_shared<State>(State{a.all.positional});
  Object& object = a.interpreter.NewObject("<Cycler>");
  Value next = a.interpreter.NewFunction("<function next>", [state](const Arguments&) {
    Value value = state->values[state->at];
    state->at = (state->at + 1) % state->values.size();
    return value;
  });
  Value reset = a.interpreter.NewFunction("<function reset>", [state](const Arguments&) {
    state->at = 0;
    return Value(None{});
  });
  object.attribute = [state, next, reset](const std::string& name) {
    if (name == "current") return state->values[state->at];
    if (name == "next") return next;
    return name == "reset" ? reset : Value::MakeUndefined(fmt::format("a cycler has no attribute '{}'", name));
  };
  return Value(&object);
}

Value Joiner(const Value&, const Bound& a) {
  const Value separator = a.values[0] ? *a.values[0] : Value(std::string(", "));
  auto used = std::make_shared<bool>(false);
  return a.interpreter.NewFunction("<Joiner>", [separator, used](const Arguments&) {
    return std::exchange(*used, true) ? separator : Value(std::string());
  });
}

// Python's %f is of its own: microseconds. %z and %Z are empty, as its time has no zone.
std::string Expanded(const std::string& format, int64_t microseconds) {
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    const char next = format[i] == '%' && i + 1 < format.size() ? format[i + 1] : ' ';
    if (next == 'f')
      out += fmt::format("{:06d}", microseconds);
    else if (next != 'z' && next != 'Z')
      out += format[i];
    if (next == '%') out += '%';
    if (next == 'f' || next == 'z' || next == 'Z' || next == '%') ++i;
  }
  return out;
}

Value StrftimeNow(const Value&, const Bound& a) {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch());
  std::tm local{};
  localtime_r(&seconds, &local);
  const std::string format = Expanded(a.Text(0), since.count() % 1'000'000);
  std::string text(format.size() * 64 + 1, '\0');  // more than the longest name of a day or month
  text.resize(std::strftime(text.data(), text.size(), format.c_str(), &local));
  return Value(std::move(text));
}

constexpr Row kGlobals[] = {
    {"raise_exception", "message", [](const Value&, const Bound& a) -> Value { Wrong(a.values[0]->Str()); }},
    {"namespace", "init?/ ...", Namespace},
    {"dict", "init?/ ...", [](const Value&, const Bound& a) { return Value(DictOf(a)); }},
    {"range", "start/ stop?/ step?/", Range},
    {"cycler", "...", Cycler},
    {"joiner", "sep?", Joiner},
    {"strftime_now", "format", StrftimeNow},
    {"lipsum", "...", [](const Value&, const Bound&) -> Value { Wrong("lipsum is not supported: it is random"); }},
};

}  // namespace

std::span<const Row> Globals() { return kGlobals; }

}  // namespace ecld::jinja
