#include "jinja/string_methods.h"

#include <algorithm>

#include "core/error.h"
#include "core/unicode.h"
#include "jinja/format.h"
#include "jinja/interpreter.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

Value ListOf(std::vector<std::string> parts, const Bound& a) {
  List list;
  for (std::string& part : parts) list.push_back(Value(std::move(part)));
  a.interpreter.Charge(sizeof(Value) * list.size());
  return Value(std::move(list));
}

template <bool kFromRight>
Value Split(const Value& self, const Bound& a) {
  const int64_t limit = a.Int(1, -1);
  if (!a.Has(0)) return ListOf(SplitAtSpace(*self.AsString(), limit, kFromRight), a);
  if (a.Text(0).empty()) Wrong(fmt::format("{} at an empty string", a.callee));
  return ListOf(SplitAt(*self.AsString(), a.Text(0), limit, kFromRight), a);
}

template <bool kLeft, bool kRight>
Value StripMethod(const Value& self, const Bound& a) {
  return Value(Strip(*self.AsString(), a.Has(0) ? &a.Text(0) : nullptr, kLeft, kRight));
}

template <bool kFromRight>
Value Partition(const Value& self, const Bound& a) {
  const std::string &text = *self.AsString(), &separator = a.Text(0);
  if (separator.empty()) Wrong(fmt::format("{} at an empty string", a.callee));
  const size_t at = kFromRight ? text.rfind(separator) : text.find(separator);
  const Value all(text), none{std::string()};
  if (at == std::string::npos) return kFromRight ? Value::Tuple({none, none, all}) : Value::Tuple({all, none, none});
  return Value::Tuple({Value(text.substr(0, at)), Value(separator), Value(text.substr(at + separator.size()))});
}

// The part that the arguments "start" and "end" (the second and third) cut out, and the characters before it.
struct Part {
  std::string_view text;
  int64_t before = 0;
  bool exists = true;  // a start behind the end finds not even an empty text
};

Part PartOf(const Value& self, const Bound& a) {
  const std::vector<std::string_view> all = Characters(*self.AsString());
  const auto size = static_cast<int64_t>(all.size());
  auto place = [&](size_t i, int64_t fallback) {
    const int64_t value = a.Has(i) ? a.Int(i, fallback) : fallback;
    return value < 0 ? std::max<int64_t>(0, value + size) : value;
  };
  const int64_t start = place(1, 0), end = std::min(size, place(2, size));
  if (start > end) return {"", start, false};
  const std::string_view text(*self.AsString());
  auto offset = [&](int64_t i) {
    return i == size ? text.size() : static_cast<size_t>(all[static_cast<size_t>(i)].data() - text.data());
  };
  return {text.substr(offset(start), offset(end) - offset(start)), start};
}

template <bool kFromRight>
int64_t Position(const Value& self, const Bound& a) {
  const Part part = PartOf(self, a);
  const size_t at = kFromRight ? part.text.rfind(a.Text(0)) : part.text.find(a.Text(0));
  if (!part.exists || at == std::string_view::npos) return -1;
  return part.before + static_cast<int64_t>(CountCharacters(part.text.substr(0, at)));
}

template <bool kFromRight>
Value FindMethod(const Value& self, const Bound& a) {
  return Value(Position<kFromRight>(self, a));
}

template <bool kFromRight>
Value IndexMethod(const Value& self, const Bound& a) {
  const int64_t at = Position<kFromRight>(self, a);
  if (at < 0) Wrong(fmt::format("{}: the text is not in the string", a.callee));
  return Value(at);
}

Value CountMethod(const Value& self, const Bound& a) {
  const Part part = PartOf(self, a);
  const std::string& sought = a.Text(0);
  if (!part.exists) return Value(int64_t{0});
  if (sought.empty()) return Value(static_cast<int64_t>(CountCharacters(part.text)) + 1);
  int64_t count = 0;
  for (size_t at = 0; (at = part.text.find(sought, at)) != std::string_view::npos; at += sought.size()) ++count;
  return Value(count);
}

// startswith and endswith take one string or a tuple of them.
template <bool kEnd>
Value Touches(const Value& self, const Bound& a) {
  const Part part = PartOf(self, a);
  auto touches = [&](const Value& value) {
    if (!value.AsString()) Wrong(fmt::format("{} needs a string, found {}", a.callee, value.TypeName()));
    return part.exists && (kEnd ? part.text.ends_with(*value.AsString()) : part.text.starts_with(*value.AsString()));
  };
  const Value& sought = *a.values[0];
  if (!sought.AsSequence() || !sought.AsSequence()->IsTuple()) return Value(touches(sought));
  return Value(std::any_of(sought.AsList()->begin(), sought.AsList()->end(), touches));
}

template <bool kEnd>
Value Remove(const Value& self, const Bound& a) {
  const std::string &text = *self.AsString(), &part = a.Text(0);
  if (kEnd) return Value(text.ends_with(part) ? text.substr(0, text.size() - part.size()) : text);
  return Value(text.starts_with(part) ? text.substr(part.size()) : text);
}

template <std::string (*kMaps)(std::string_view)>
Value Mapped(const Value& self, const Bound&) {
  return Value(kMaps(*self.AsString()));
}

Value Replace(const Value& self, const Bound& a) {
  const std::string& text = *self.AsString();
  const std::string content = self.IsMarkup() && !a.values[1]->IsMarkup() ? Escaped(a.Text(1)) : a.Text(1);
  a.interpreter.Charge(text.size() * (1 + content.size() / std::max<size_t>(1, a.Text(0).size())));
  return Value(Replaced(text, a.Text(0), content, a.Int(2, -1)));
}

Value Join(const Value& self, const Bound& a) {
  std::string text;
  bool first = true;
  for (const Value& element : ElementsOf(a.interpreter, *a.values[0])) {
    if (!element.AsString() && !self.IsMarkup()) Wrong(fmt::format("join needs strings, found {}", element.TypeName()));
    if (!std::exchange(first, false)) text += *self.AsString();
    text += self.IsMarkup() && !element.IsMarkup() ? Escaped(element.Str()) : element.Str();
    a.interpreter.Charge(text.size() / 64);
  }
  return Value(std::move(text));
}

// ljust, rjust, center: the share of the fill that stands before the text, in halves.
template <int kHalves>
Value Pad(const Value& self, const Bound& a) {
  const std::string fill = a.values[1] ? a.Text(1) : " ";
  if (CountCharacters(fill) != 1) Wrong(fmt::format("{} fills with one character", a.callee));
  const int64_t width = a.Int(0, 0);
  const int64_t missing = std::max<int64_t>(0, width - static_cast<int64_t>(CountCharacters(*self.AsString())));
  a.interpreter.Charge(static_cast<size_t>(missing) * fill.size());
  // The odd character of a centered text goes where Python has it.
  const int64_t left = kHalves == 1 ? missing / 2 + (missing & width & 1) : kHalves == 2 ? missing : 0;
  std::string text;
  for (int64_t i = 0; i < left; ++i) text += fill;
  text += *self.AsString();
  for (int64_t i = left; i < missing; ++i) text += fill;
  return Value(std::move(text));
}

Value ZeroFill(const Value& self, const Bound& a) {
  std::string text = *self.AsString();
  const int64_t missing = std::max<int64_t>(0, a.Int(0, 0) - static_cast<int64_t>(CountCharacters(text)));
  a.interpreter.Charge(static_cast<size_t>(missing));
  return Value(text.insert(text.starts_with('-') || text.starts_with('+'), static_cast<size_t>(missing), '0'));
}

Value ExpandTabs(const Value& self, const Bound& a) {
  const int64_t width = a.Int(0, 8);
  std::string text;
  int64_t column = 0;
  for (std::string_view character : Characters(*self.AsString())) {
    if (character == "\t") {
      const int64_t missing = width > 0 ? width - column % width : 0;
      a.interpreter.Charge(static_cast<size_t>(missing));
      text.append(static_cast<size_t>(missing), ' ');
      column += missing;
      continue;
    }
    text += character;
    column = character == "\n" || character == "\r" ? 0 : column + 1;
  }
  return Value(std::move(text));
}

Value Translate(const Value& self, const Bound& a) {
  if (!a.values[0]->AsDict()) Wrong("translate needs a dict");
  std::string text;
  for (std::string_view character : Characters(*self.AsString())) {
    const Value* to = Find(*a.values[0]->AsDict(), Value(static_cast<int64_t>(CharAt(character, 0).code)));
    if (to && to->AsInt())
      AppendUtf8(static_cast<uint32_t>(std::clamp<int64_t>(*to->AsInt(), 0, 0x10ffff)), text);
    else if (!to || !to->IsNone())
      text += to ? to->Str() : character;
  }
  return Value(std::move(text));
}

Value Is(const Value& self, const Bound& a) {
  bool known = false;
  return Value(HasProperty(*self.AsString(), a.callee, &known));
}

Value Refuse(const Value&, const Bound& a) { Wrong(fmt::format("the method {} is not supported", a.callee)); }

constexpr Row kMethods[] = {
    {"strip", "chars?/", StripMethod<true, true>},
    {"lstrip", "chars?/", StripMethod<true, false>},
    {"rstrip", "chars?/", StripMethod<false, true>},
    {"split", "sep? maxsplit?", Split<false>},
    {"rsplit", "sep? maxsplit?", Split<true>},
    {"splitlines", "keepends?",
     [](const Value& self, const Bound& a) { return ListOf(SplitLines(*self.AsString(), a.True(0, false)), a); }},
    {"partition", "sep/", Partition<false>},
    {"rpartition", "sep/", Partition<true>},
    {"startswith", "prefix/ start?/ end?/", Touches<false>},
    {"endswith", "suffix/ start?/ end?/", Touches<true>},
    {"find", "sub/ start?/ end?/", FindMethod<false>},
    {"rfind", "sub/ start?/ end?/", FindMethod<true>},
    {"index", "sub/ start?/ end?/", IndexMethod<false>},
    {"rindex", "sub/ start?/ end?/", IndexMethod<true>},
    {"count", "sub/ start?/ end?/", CountMethod},
    {"removeprefix", "prefix/", Remove<false>},
    {"removesuffix", "suffix/", Remove<true>},
    {"replace", "old/ new/ count?/", Replace},
    {"join", "iterable/", Join},
    {"upper", "", Mapped<Upper>},
    {"lower", "", Mapped<Lower>},
    {"title", "", Mapped<Title>},
    {"capitalize", "", Mapped<Capitalized>},
    {"swapcase", "", Mapped<SwapCase>},
    {"casefold", "", Mapped<CaseFolded>},
    {"ljust", "width/ fillchar?/", Pad<0>},
    {"center", "width/ fillchar?/", Pad<1>},
    {"rjust", "width/ fillchar?/", Pad<2>},
    {"zfill", "width/", ZeroFill},
    {"expandtabs", "tabsize?", ExpandTabs},
    {"translate", "table/", Translate},
    {"format", "...", [](const Value& self, const Bound& a) { return BraceFormat(a.interpreter, self, a.all); }},
    {"format_map", "mapping/",
     [](const Value& self, const Bound& a) {
       if (!a.values[0]->AsDict()) Wrong("format_map needs a dict");
       Arguments arguments;
       for (const auto& [key, value] : *a.values[0]->AsDict()) arguments.named.emplace_back(key.Str(), value);
       return BraceFormat(a.interpreter, self, arguments);
     }},
    {"isalnum", "", Is},
    {"isalpha", "", Is},
    {"isascii", "", Is},
    {"isdecimal", "", Is},
    {"isdigit", "", Is},
    {"isidentifier", "", Is},
    {"islower", "", Is},
    {"isnumeric", "", Is},
    {"isprintable", "", Is},
    {"isspace", "", Is},
    {"istitle", "", Is},
    {"isupper", "", Is},
    {"encode", "...", Refuse},
    {"maketrans", "...", Refuse},
};

}  // namespace

std::span<const Row> StringMethods() { return kMethods; }

}  // namespace ecld::jinja
