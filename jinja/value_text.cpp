// Values as text: str() and repr() of Python.

#include <utf8proc.h>

#include <cmath>

#include "core/error.h"
#include "core/unicode.h"
#include "jinja/integer.h"
#include "jinja/text.h"
#include "jinja/value.h"

namespace ecld::jinja {
namespace {

constexpr int kMaxReprDepth = 400;  // of namespaces too, which may hold themselves

std::string QuotedForPython(std::string_view text) {
  bool has_single = text.find('\'') != std::string_view::npos;
  char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (std::string_view character : Characters(text)) {
    uint32_t code = CharAt(character, 0).code;
    if (code == static_cast<uint32_t>(quote) || code == '\\')
      (out += '\\') += character;
    else if (code == '\n')
      out += "\\n";
    else if (code == '\r')
      out += "\\r";
    else if (code == '\t')
      out += "\\t";
    else if (IsPrintable(code))
      out += character;
    else
      out += CodeEscape(code);
  }
  return out += quote;
}

}  // namespace

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string Value::Str() const {
  if (IsUndefined()) return "";
  if (auto* text = AsString()) return *text;
  return Repr();
}

std::string Value::Repr() const {
  std::string out;
  AppendRepr(out, 0);
  return out;
}

void Value::AppendRepr(std::string& out, int level) const {
  if (level > kMaxReprDepth) Wrong("a value that holds itself cannot be printed");
  if (IsUndefined()) {
    out += "Undefined";
  } else if (IsNone()) {
    out += "None";
  } else if (AsBool()) {
    out += *AsBool() ? "True" : "False";
  } else if (IsInteger()) {
    out += IntegerText(*this);
  } else if (AsFloat()) {
    out += FloatText(*AsFloat());
  } else if (auto* text = AsString()) {
    out += IsMarkup() ? "Markup(" + QuotedForPython(*text) + ")" : QuotedForPython(*text);
  } else if (auto* sequence = AsSequence()) {
    static constexpr std::pair<const char*, const char*> kBrackets[] = {{"[", "]"},
                                                                        {"(", ")"},
                                                                        {"(", ")"},
                                                                        {"", ""},
                                                                        {"dict_keys([", "])"},
                                                                        {"dict_values([", "])"},
                                                                        {"dict_items([", "])"},
                                                                        {"<iterator", ">"}};
    if (sequence->kind == Sequence::kRange) {
      out += sequence->text;
      return;
    }
    out += kBrackets[sequence->kind].first;
    if (sequence->kind != Sequence::kIterator) {
      for (size_t i = 0; i < sequence->elements.size(); ++i) {
        if (i > 0) out += ", ";
        sequence->elements[i].AppendRepr(out, level + 1);
      }
      if (sequence->IsTuple() && sequence->elements.size() == 1) out += ',';
    }
    out += kBrackets[sequence->kind].second;
  } else if (auto* dict = AsDict()) {
    out += '{';
    for (size_t i = 0; i < dict->size(); ++i) {
      if (i > 0) out += ", ";
      (*dict)[i].first.AppendRepr(out, level + 1);
      out += ": ";
      (*dict)[i].second.AppendRepr(out, level + 1);
    }
    out += '}';
  } else if (AsObject()->is_namespace) {
    out += "<Namespace {";
    for (size_t i = 0; i < AsObject()->attributes.size(); ++i) {
      const auto& [name, value] = AsObject()->attributes[i];
      (out += i > 0 ? ", " : "") += QuotedForPython(name) + ": ";
      value.AppendRepr(out, level + 1);
    }
    out += "}>";
  } else {
    out += AsObject()->text;
  }
}

}  // namespace ecld::jinja
