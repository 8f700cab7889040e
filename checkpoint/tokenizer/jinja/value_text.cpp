// Values as text: str() and repr() of Python, and JSON as Python's json.dumps writes it.

#include <cmath>

#include "checkpoint/tokenizer/jinja/value.h"
#include "core/error.h"

namespace ecld::jinja {
namespace {

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string QuotedForPython(std::string_view text) {
  bool has_single = text.find('\'') != std::string_view::npos;
  char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out += quote;
}

std::string QuotedForJson(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\b')
      out += "\\b";
    else if (c == '\f')
      out += "\\f";
    else if (byte < 0x20)
      out += fmt::format("\\u{:04x}", byte);
    else
      out += c;
  }
  return out += '"';
}

// "[a, b]", or one element per line when indent >= 0.
class JsonBrackets {
 public:
  JsonBrackets(std::string& out, char open, char close, int indent, int level)
      : out_(out), close_(close), indent_(indent), level_(level) {
    out_ += open;
  }
  void Next() {
    if (!empty_) out_ += indent_ >= 0 ? "," : ", ";
    empty_ = false;
    NewLine(level_ + 1);
  }
  void Close() {
    if (!empty_) NewLine(level_);
    out_ += close_;
  }

 private:
  void NewLine(int level) {
    if (indent_ >= 0) (out_ += '\n').append(static_cast<size_t>(indent_) * static_cast<size_t>(level), ' ');
  }
  std::string& out_;
  char close_;
  int indent_, level_;
  bool empty_ = true;
};

}  // namespace

std::string Value::Str() const {
  if (IsUndefined()) return "";
  if (auto* text = AsString()) return *text;
  return Repr();
}

std::string Value::Repr() const {
  if (IsUndefined()) return "Undefined";
  if (IsNone()) return "None";
  if (AsBool()) return *AsBool() ? "True" : "False";
  if (AsInt()) return std::to_string(*AsInt());
  if (AsFloat()) return FloatText(*AsFloat());
  if (auto* text = AsString()) return QuotedForPython(*text);
  std::string out;
  if (auto* list = AsList()) {
    for (const Value& element : *list) (out += out.empty() ? "" : ", ") += element.Repr();
    return "[" + out + "]";
  }
  if (auto* dict = AsDict()) {
    for (const auto& [key, element] : *dict)
      (out += out.empty() ? "" : ", ") += QuotedForPython(key) + ": " + element.Repr();
    return "{" + out + "}";
  }
  return fmt::format("<{}>", TypeName());
}

std::string Value::ToJson(int indent, int level) const {
  if (IsNone()) return "null";
  if (AsBool()) return *AsBool() ? "true" : "false";
  if (AsInt()) return std::to_string(*AsInt());
  if (AsFloat()) {
    if (std::isnan(*AsFloat())) return "NaN";
    return std::isinf(*AsFloat()) ? (*AsFloat() > 0 ? "Infinity" : "-Infinity") : FloatText(*AsFloat());
  }
  if (auto* text = AsString()) return QuotedForJson(*text);
  std::string out;
  if (auto* list = AsList()) {
    JsonBrackets brackets(out, '[', ']', indent, level);
    for (const Value& element : *list) {
      brackets.Next();
      out += element.ToJson(indent, level + 1);
    }
    brackets.Close();
    return out;
  }
  if (auto* dict = AsDict()) {
    JsonBrackets brackets(out, '{', '}', indent, level);
    for (const auto& [key, element] : *dict) {
      brackets.Next();
      out += QuotedForJson(key) + ": " + element.ToJson(indent, level + 1);
    }
    brackets.Close();
    return out;
  }
  Fail("tojson", "JSON cannot hold a value of type {}", TypeName());
}

}  // namespace ecld::jinja
