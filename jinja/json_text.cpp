// Values as JSON, as Python's json.dumps writes it.

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/unicode.h"
#include "jinja/integer.h"
#include "jinja/interpreter.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

std::string Quoted(std::string_view text, bool ensure_ascii) {
  std::string out = "\"";
  for (std::string_view character : Characters(text)) {
    static constexpr std::string_view kLetters = "nrtbf", kMeaning = "\n\r\t\b\f";
    uint32_t code = CharAt(character, 0).code;
    size_t known = character.size() == 1 ? kMeaning.find(character[0]) : std::string_view::npos;
    if (code == '"' || code == '\\')
      (out += '\\') += character;
    else if (known != std::string_view::npos)
      (out += '\\') += kLetters[known];
    else if (code < 0x20 || (ensure_ascii && code >= 0x7f && code <= 0xffff))
      out += fmt::format("\\u{:04x}", code);
    else if (ensure_ascii && code > 0xffff && code != kInvalidCodePoint)
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
    else
      out += character;
  }
  return out += '"';
}

std::string Number(const Value& value) {
  if (!value.AsFloat()) return IntegerText(value);
  if (std::isnan(*value.AsFloat())) return "NaN";
  return std::isinf(*value.AsFloat()) ? (*value.AsFloat() > 0 ? "Infinity" : "-Infinity") : FloatText(*value.AsFloat());
}

class Writer {
 public:
  explicit Writer(const JsonStyle& style) : style_(style) {}
  std::string text;

  void Write(const Value& value, int level) {
    if (auto* list = value.AsList(); list && value.AsSequence()->kind != Sequence::kRange) {
      Brackets('[', ']', level, *list, [&](const Value& element) { Write(element, level + 1); });
    } else if (auto* dict = value.AsDict()) {
      Dict sorted;
      if (style_.sort_keys) {
        sorted = *dict;
        std::stable_sort(sorted.begin(), sorted.end(),
                         [](const auto& a, const auto& b) { return Less(a.first, b.first); });
        dict = &sorted;
      }
      Brackets('{', '}', level, *dict, [&](const auto& entry) {
        text += Quoted(Key(entry.first), style_.ensure_ascii) + style_.key_separator;
        Write(entry.second, level + 1);
      });
    } else {
      text += Plain(value);
    }
  }

 private:
  // What is no container, as JSON has it.
  std::string Plain(const Value& value) const {
    if (value.AsString()) return Quoted(*value.AsString(), style_.ensure_ascii);
    if (value.IsNone()) return "null";
    if (value.AsBool()) return *value.AsBool() ? "true" : "false";
    if (value.IsNumber()) return Number(value);
    Wrong(fmt::format("JSON cannot hold a value of type {}", value.TypeName()));
  }

  std::string Key(const Value& key) const {
    if (key.AsString()) return *key.AsString();
    if (key.AsSequence()) Wrong("the key of a JSON object cannot be a tuple");
    return Plain(key);
  }

  template <class Elements, class WriteOne>
  void Brackets(char open, char close, int level, const Elements& elements, WriteOne&& write_one) {
    text += open;
    bool first = true;
    for (const auto& element : elements) {
      if (!std::exchange(first, false)) text += style_.item_separator;
      NewLine(level + 1);
      write_one(element);
    }
    if (!first) NewLine(level);
    text += close;
  }

  void NewLine(int level) {
    if (!style_.lines) return;
    text += '\n';
    for (int i = 0; i < level; ++i) text += style_.indent;
  }

  const JsonStyle& style_;
};

}  // namespace

std::string ToJson(const Value& value, const JsonStyle& style) {
  Writer writer(style);
  writer.Write(value, 0);
  return std::move(writer.text);
}

}  // namespace ecld::jinja
