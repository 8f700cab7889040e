#include "jinja/format_value.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/unicode.h"
#include "jinja/integer.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

std::string Padded(std::string text, const Spec& spec, char default_align) {
  const auto size = static_cast<int64_t>(CountCharacters(text));
  if (size >= spec.width) return text;
  const int64_t missing = spec.width - size;
  const char align = spec.align ? spec.align : default_align;
  const int64_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += spec.fill;
  out += text;
  for (int64_t i = left; i < missing; ++i) out += spec.fill;
  return out;
}

// "1234567" to "1,234,567", and at least so many characters wide, with zeros that are grouped as well.
std::string Grouped(const std::string& digits, char separator, size_t every, int64_t width) {
  std::string out;
  size_t count = 0;
  for (size_t i = digits.size(); i-- > 0 || static_cast<int64_t>(out.size()) < width;) {
    const bool more = i < digits.size();
    if (!more) i = 0;
    if (separator && count > 0 && count % every == 0) {
      out += separator;
      if (!more && static_cast<int64_t>(out.size()) >= width) width = static_cast<int64_t>(out.size()) + 1;
    }
    out += more ? digits[i] : '0';
    ++count;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::string Uppercase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

std::string Printed(const char* format, int precision, double value) {
  const int size = std::snprintf(nullptr, 0, format, precision, value);
  std::string text(static_cast<size_t>(size) + 1, '\0');
  std::snprintf(text.data(), text.size(), format, precision, value);
  text.pop_back();
  return text;
}

std::string FloatDigits(double value, const Spec& spec) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return "inf";
  const int precision = spec.precision < 0 ? 6 : static_cast<int>(spec.precision);
  const char type = static_cast<char>(spec.type | 0x20);
  if (spec.type == '%') return Printed("%.*f", precision, value * 100) + "%";
  if (type == 'f') return Printed(spec.alternate ? "%#.*f" : "%.*f", precision, value);
  if (type == 'e') return Printed(spec.alternate ? "%#.*e" : "%.*e", precision, value);
  if (spec.type != 0) return Printed(spec.alternate ? "%#.*g" : "%.*g", precision, value);
  if (spec.precision < 0) return FloatText(value);
  // Without a type: as "g", but it looks like a float.
  std::string text = Printed("%.*g", std::max(precision, 1), value);
  if (text.find_first_of("e.") == std::string::npos) {
    if (static_cast<int64_t>(text.size()) >= spec.precision && text.size() > 1)
      text = Printed("%.*e", std::max(precision - 1, 0), value);
    else
      text += ".0";
  }
  return text;
}

Spec ParseSpec(const std::string& text) {
  Spec spec;
  std::vector<std::string_view> characters = Characters(text);
  size_t at = 0;
  auto peek = [&](size_t i) { return i < characters.size() ? characters[i][0] : '\0'; };
  auto is_align = [&](size_t i) { return peek(i) && std::string_view("<>=^").find(peek(i)) != std::string_view::npos; };
  if (is_align(1)) {
    spec.fill = characters[0];
    spec.align = peek(1);
    at = 2;
  } else if (is_align(0)) {
    spec.align = peek(at++);
  }
  if (peek(at) == '+' || peek(at) == '-' || peek(at) == ' ') spec.sign = peek(at++);
  if (peek(at) == 'z') ++at;
  if (peek(at) == '#') spec.alternate = ++at > 0;
  if (peek(at) == '0') spec.zero = ++at > 0;
  auto number = [&] {
    int64_t value = 0;
    for (; peek(at) >= '0' && peek(at) <= '9'; ++at)
      if ((value = value * 10 + (peek(at) - '0')) > kMaxWidth) Wrong("format: the width is out of range");
    return value;
  };
  spec.width = number();
  if (peek(at) == ',' || peek(at) == '_') spec.grouping = peek(at++);
  if (peek(at) == '.') {
    ++at;
    if (peek(at) < '0' || peek(at) > '9') Wrong("format: a precision is missing after \".\"");
    spec.precision = number();
  }
  if (at < characters.size()) spec.type = peek(at++);
  if (at < characters.size()) Wrong(fmt::format("format: \"{}\" is not how to write a value", text));
  return spec;
}

}  // namespace

// A number, cut into sign, prefix (0x), digits before and the rest after the point.
std::string PutTogether(bool negative, const std::string& prefix, const std::string& text, const Spec& spec) {
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  const size_t whole = std::min(text.size(), text.find_first_not_of("0123456789abcdefABCDEF"));
  const bool decimal = prefix.empty() && text.find_first_of("eE.%") != std::string::npos;
  size_t digits = decimal ? std::min(text.size(), text.find_first_not_of("0123456789")) : whole;
  const bool numeric = digits > 0 && text.find_first_of("ni") != 0;
  const std::string rest = text.substr(digits);
  const bool padded = (spec.align == '=' || (spec.zero && !spec.align));
  std::string fill = spec.zero && spec.align != '=' && spec.fill == " " ? "0" : spec.fill;
  const auto taken = static_cast<int64_t>(sign.size() + prefix.size() + rest.size());
  const bool zeros = padded && fill == "0" && numeric;
  const size_t every = spec.type == 'x' || spec.type == 'X' || spec.type == 'b' || spec.type == 'o' ? 4 : 3;
  const std::string body = numeric
                               ? Grouped(text.substr(0, digits), spec.grouping, every, zeros ? spec.width - taken : 0)
                               : text.substr(0, digits);
  if (!padded) return Padded(sign + prefix + body + rest, spec, '>');
  Spec inner{.fill = fill, .align = '>'};
  inner.width = spec.width - static_cast<int64_t>(sign.size() + prefix.size());
  return sign + prefix + Padded(body + rest, inner, '>');
}

std::string FormatFloat(double value, const Spec& spec) {
  std::string text = FloatDigits(std::abs(value), spec);
  if (spec.type == 'E' || spec.type == 'F' || spec.type == 'G') text = Uppercase(text);
  return PutTogether(std::signbit(value) && !std::isnan(value), "", text, spec);
}

std::string FormatInteger(const Value& value, const Spec& spec) {
  const char type = spec.type ? spec.type : 'd';
  if (std::string_view("eEfFgG%").find(type) != std::string_view::npos) {
    if (std::isinf(value.Number())) Wrong("a number is out of range");
    return FormatFloat(value.Number(), spec);
  }
  if (type == 'c') {
    const double code = value.Number();
    if (code < 0 || code > 0x10ffff) Wrong("%c needs the number of a character");
    std::string text;
    AppendUtf8(static_cast<uint32_t>(code), text);
    return Padded(std::move(text), spec, '<');
  }
  const int base = type == 'd' || type == 'n'   ? 10
                   : type == 'b'                ? 2
                   : type == 'o'                ? 8
                   : type == 'x' || type == 'X' ? 16
                                                : 0;
  if (base == 0) Wrong(fmt::format("the format \"{}\" is not for integers", type));
  std::string text = IntegerText(value, base);
  const bool negative = text.starts_with('-');
  if (negative) text.erase(0, 1);
  std::string prefix = spec.alternate && base != 10 ? std::string("0") + type : "";
  if (type == 'X') text = Uppercase(text);
  return PutTogether(negative, prefix, text, spec);
}

std::string FormatText(const std::string& text, const Spec& spec) {
  std::vector<std::string_view> characters = Characters(text);
  if (spec.precision < 0 || static_cast<int64_t>(characters.size()) <= spec.precision) return Padded(text, spec, '<');
  std::string cut;
  for (int64_t i = 0; i < spec.precision; ++i) cut += characters[static_cast<size_t>(i)];
  return Padded(std::move(cut), spec, '<');
}

std::string Ascii(const std::string& text) {
  std::string out;
  for (std::string_view character : Characters(text)) {
    const uint32_t code = CharAt(character, 0).code;
    if (code < 0x80)
      out += character;
    else
      out += CodeEscape(code);
  }
  return out;
}

std::string FormatValue(Interpreter& interpreter, const Value& value, const std::string& text) {
  if (text.empty()) return value.Str();
  const Spec spec = ParseSpec(text);
  interpreter.Charge(static_cast<size_t>(spec.width + std::max<int64_t>(0, spec.precision)));
  auto refuse = [&](const char* what) { Wrong(fmt::format("format: \"{}\" does not work on {}", text, what)); };
  if (value.AsString()) {
    if ((spec.type && spec.type != 's') || spec.align == '=' || spec.sign != '-' || spec.grouping) refuse("a string");
    Spec of_text = spec;
    if (spec.zero && spec.fill == " ") of_text.fill = "0";
    return FormatText(*value.AsString(), of_text);
  }
  if (value.IsInteger() && spec.precision >= 0 && std::string_view("eEfFgG%").find(spec.type) == std::string_view::npos)
    refuse("an integer");
  if (value.IsInteger()) return FormatInteger(value, spec);
  if (!value.AsFloat()) refuse(std::string(value.TypeName()).c_str());
  if (spec.type && std::string_view("eEfFgGn%").find(spec.type) == std::string_view::npos) refuse("a float");
  return FormatFloat(*value.AsFloat(), spec);
}

}  // namespace ecld::jinja
