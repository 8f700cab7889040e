// The filters of texts.

#include <algorithm>

#include "core/error.h"
#include "core/unicode.h"
#include "jinja/filters.h"
#include "jinja/format.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

// The Python function is tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False).
Value ToJsonFilter(const Value& value, const Bound& a) {
  JsonStyle style{.ensure_ascii = a.True(0, false), .sort_keys = a.True(3, false)};
  if (a.Has(1)) {
    style.lines = true;
    style.item_separator = ",";
    const int64_t width = a.values[1]->AsString() ? 0 : a.Int(1, 0);
    if (width > 1000) Wrong("tojson: indent out of range");
    style.indent = a.values[1]->AsString() ? *a.values[1]->AsString()
                                           : std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  if (a.Has(2)) {
    List separators = ElementsOf(a.interpreter, *a.values[2]);
    if (separators.size() != 2 || !separators[0].AsString() || !separators[1].AsString())
      Wrong("tojson: separators are two strings");
    style.item_separator = *separators[0].AsString();
    style.key_separator = *separators[1].AsString();
  }
  return Value(ToJson(value, style));
}

// As Markup where the text was.
template <std::string (*kMaps)(std::string_view)>
Value Mapped(const Value& value, const Bound&) {
  return Value(kMaps(value.Str()), value.IsMarkup());
}

Value Replace(const Value& value, const Bound& a) {
  const int64_t count = a.Has(2) ? a.Int(2, -1) : -1;
  const Value &pattern = *a.values[0], &content = *a.values[1];
  const bool escapes = a.interpreter.autoescape();
  const bool markup = escapes && (value.IsMarkup() || pattern.IsMarkup() || content.IsMarkup());
  std::string text = markup && !value.IsMarkup() ? Escaped(value.Str()) : value.Str();
  std::string with = markup && !content.IsMarkup() ? Escaped(content.Str()) : content.Str();
  a.interpreter.Charge(text.size() * (1 + with.size() / std::max<size_t>(1, pattern.Str().size())));
  return Value(Replaced(text, pattern.Str(), with, count), markup);
}

bool StartsWord(std::string_view character) {
  static constexpr std::string_view kBefore = "-({[<";
  return IsSpace(CharAt(character, 0).code) || kBefore.find(character) != std::string_view::npos;
}

// Jinja's own: words begin after white space and opening brackets, unlike those of Python's title().
Value TitleFilter(const Value& value, const Bound&) {
  const std::string source = value.Str();
  std::string text, word;
  auto flush = [&] {
    std::vector<std::string_view> characters = Characters(word);
    if (!characters.empty()) text += Upper(characters[0]) + Lower(std::string_view(word).substr(characters[0].size()));
    word.clear();
  };
  for (std::string_view character : Characters(source)) {
    if (StartsWord(character)) {
      flush();
      text += character;
    } else {
      word += character;
    }
  }
  flush();
  return Value(std::move(text), false);
}

Value Trim(const Value& value, const Bound& a) {
  return Value(Strip(value.Str(), a.Has(0) ? &a.Text(0) : nullptr, true, true), value.IsMarkup());
}

const std::string& RequireText(const Value& value, const Bound& a) {
  RequireDefined(value);
  if (!value.AsString()) Wrong(fmt::format("{} needs a string, found {}", a.callee, value.TypeName()));
  return *value.AsString();
}

Value Indent(const Value& value, const Bound& a) {
  const std::string& source = RequireText(value, a);
  std::string pad;
  if (a.values[0] && a.values[0]->AsString())
    pad = *a.values[0]->AsString();
  else
    pad.assign(static_cast<size_t>(std::clamp<int64_t>(a.Int(0, 4), 0, 100'000)), ' ');
  const bool first = a.True(1, false), blank = a.True(2, false);
  std::string text;
  std::vector<std::string> lines = SplitLines(source + "\n", false);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) text += '\n';
    if (i == 0 ? first : blank || !lines[i].empty()) text += pad;
    text += lines[i];
    a.interpreter.Charge(pad.size());
  }
  return Value(std::move(text), value.IsMarkup());
}

Value Truncate(const Value& value, const Bound& a) {
  if (value.IsUndefined()) return value;
  const std::vector<std::string_view> all = Characters(RequireText(value, a));
  const std::string end = a.values[2] ? a.Text(2) : "...";
  const int64_t length = a.Int(0, 255), leeway = a.Has(3) ? a.Int(3, 5) : 5;
  const auto end_size = static_cast<int64_t>(CountCharacters(end));
  if (length < end_size || leeway < 0) Wrong("truncate: the length is shorter than what it ends with");
  if (static_cast<int64_t>(all.size()) <= length + leeway) return value;
  std::string text;
  for (int64_t i = 0; i < length - end_size; ++i) text += all[static_cast<size_t>(i)];
  if (!a.True(1, false)) text = SplitAt(text, " ", 1, true).front();
  return Value(text + end, value.IsMarkup());
}

Value WordCount(const Value& value, const Bound&) {
  int64_t count = 0;
  bool inside = false;
  for (std::string_view character : Characters(value.Str())) {
    const bool word = IsWordCharacter(CharAt(character, 0).code);
    if (word && !inside) ++count;
    inside = word;
  }
  return Value(count);
}

std::string WithoutTags(std::string text) {
  auto cut = [&](std::string_view open, std::string_view close) {
    for (size_t begin = 0; (begin = text.find(open, begin)) != std::string::npos;) {
      const size_t end = text.find(close, begin);
      if (end == std::string::npos) return;
      text.erase(begin, end + close.size() - begin);
    }
  };
  cut("<!--", "-->");
  cut("<", ">");
  return text;
}

Value StripTags(const Value& value, const Bound&) {
  std::string joined;
  for (const std::string& word : SplitAtSpace(WithoutTags(value.Str()), -1, false))
    (joined += joined.empty() ? "" : " ") += word;
  std::string text;
  for (size_t i = 0; i < joined.size(); ++i) {
    static constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
        {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#34;", "\""}, {"&#39;", "'"}};
    const std::string_view rest = std::string_view(joined).substr(i);
    auto known = std::find_if(std::begin(kEntities), std::end(kEntities),
                              [&](const auto& entity) { return rest.starts_with(entity.first); });
    const size_t end = rest.find(';');
    if (known != std::end(kEntities)) {
      text += known->second;
      i += known->first.size() - 1;
    } else if (rest[0] == '&' && end != std::string_view::npos &&
               rest.substr(0, end).find(' ') == std::string_view::npos) {
      Wrong(fmt::format("striptags: the entity {} is not supported", rest.substr(0, end + 1)));
    } else {
      text += rest[0];
    }
  }
  return Value(std::move(text));
}

Value Escape(const Value& value, const Bound&) { return value.IsMarkup() ? value : Value(Escaped(value.Str()), true); }

Value Center(const Value& value, const Bound& a) {
  return CallMethod(a.interpreter, *FindRow(MethodsOf(Value(std::string())), "center"),
                    Value(value.Str(), value.IsMarkup()), {{Value(a.Int(0, 80))}, {}});
}

Value Format(const Value& value, const Bound& a) {
  if (!a.all.named.empty() && !a.all.positional.empty()) Wrong("format takes values or names with values, not both");
  const Value text = value.AsString() ? value : Value(value.Str());
  if (a.all.named.empty()) return PercentFormat(a.interpreter, text, Value::Tuple(a.all.positional));
  Dict named;
  for (const auto& [name, argument] : a.all.named) Put(named, Value(name), argument);
  return PercentFormat(a.interpreter, text, Value(std::move(named)));
}

std::string UrlQuoted(const std::string& text, bool in_query) {
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte < 0x80 && IsWordCharacter(byte)) || c == '.' || c == '-' || c == '~';
    if (plain || (c == '/' && !in_query))
      out += c;
    else if (c == ' ' && in_query)
      out += '+';
    else
      out += fmt::format("%{:02X}", byte);
  }
  return out;
}

Value UrlEncode(const Value& value, const Bound& a) {
  if (value.AsString() || !(value.AsDict() || value.AsSequence() || value.IsUndefined()))
    return Value(UrlQuoted(value.Str(), false));
  List pairs;
  if (value.AsDict())
    for (const auto& [key, element] : *value.AsDict()) pairs.push_back(Value::Tuple({key, element}));
  else
    pairs = ElementsOf(a.interpreter, value);
  std::string out;
  for (const Value& pair : pairs) {
    List parts = ElementsOf(a.interpreter, pair);
    if (parts.size() != 2) Wrong("urlencode needs pairs");
    (out += out.empty() ? "" : "&") += UrlQuoted(parts[0].Str(), true) + "=" + UrlQuoted(parts[1].Str(), true);
  }
  return Value(std::move(out));
}

Value XmlAttr(const Value& value, const Bound& a) {
  if (!value.AsDict()) Wrong(fmt::format("xmlattr needs a dict, found {}", value.TypeName()));
  std::string out;
  auto escaped = [](const Value& v) { return v.IsMarkup() ? v.Str() : Escaped(v.Str()); };
  for (const auto& [key, element] : *value.AsDict()) {
    if (element.IsNone() || element.IsUndefined()) continue;
    if (!key.AsString() || key.AsString()->find_first_of(" \t\n\r\f\v/>=") != std::string::npos)
      Wrong(fmt::format("xmlattr: {} cannot be the name of an attribute", key.Repr()));
    out += fmt::format("{}{}=\"{}\"", out.empty() ? "" : " ", escaped(key), escaped(element));
  }
  return Value((a.True(0, true) && !out.empty() ? " " : "") + out, a.interpreter.autoescape());
}

// Dicts by key, as Python's pprint has them.
Value Sorted(const Value& value) {
  if (auto* dict = value.AsDict()) {
    Dict sorted;
    for (const auto& [key, element] : *dict) sorted.emplace_back(key, Sorted(element));
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& x, const auto& y) { return Less(x.first, y.first); });
    return Value(std::move(sorted));
  }
  if (!value.AsList() || value.AsSequence()->kind == Sequence::kRange) return value;
  Sequence sorted = *value.AsSequence();
  for (Value& element : sorted.elements) element = Sorted(element);
  return Value(std::move(sorted));
}

Value PrettyPrint(const Value& value, const Bound&) {
  std::string text = Sorted(value).Repr();
  if (CountCharacters(text) > 80) Wrong("pprint is supported for what fits in a line of 80 characters only");
  return Value(std::move(text));
}

constexpr Row kFilters[] = {
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", ToJsonFilter},
    {"string", "", [](const Value& v, const Bound&) { return v.AsString() ? v : Value(v.Str()); }},
    {"upper", "", Mapped<Upper>},
    {"lower", "", Mapped<Lower>},
    {"capitalize", "", Mapped<Capitalized>},
    {"title", "", TitleFilter},
    {"trim", "chars?", Trim},
    {"replace", "old new count?", Replace},
    {"indent", "width? first? blank?", Indent},
    {"truncate", "length? killwords? end? leeway?", Truncate},
    {"wordcount", "", WordCount},
    {"center", "width?", Center},
    {"format", "...", Format},
    {"striptags", "", StripTags},
    {"e", "", Escape},
    {"escape", "", Escape},
    {"forceescape", "", [](const Value& v, const Bound&) { return Value(Escaped(v.Str()), true); }},
    {"safe", "", [](const Value& v, const Bound&) { return Value(v.Str(), true); }},
    {"urlencode", "", UrlEncode},
    {"xmlattr", "autospace?", XmlAttr},
    {"pprint", "", PrettyPrint},
};

}  // namespace

std::span<const Row> TextFilters() { return kFilters; }

}  // namespace ecld::jinja
