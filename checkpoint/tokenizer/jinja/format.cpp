#include "checkpoint/tokenizer/jinja/format.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "checkpoint/tokenizer/jinja/integer.h"
#include "checkpoint/tokenizer/jinja/text.h"
#include "checkpoint/tokenizer/utf8.h"
#include "core/error.h"

namespace ecld::jinja {
namespace {

// How a value is written: [[fill]align][sign][z][#][0][width][grouping][.precision][type].
struct Spec {
  std::string fill = " ";
  char align = 0, sign = '-', grouping = 0, type = 0;
  bool alternate = false, zero = false;
  int64_t width = 0, precision = -1;
};

constexpr int64_t kMaxWidth = 1'000'000;

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

// "%(name)05.1f" and the like, after the "%".
class Percent {
 public:
  Percent(Interpreter& interpreter, const Value& format, const Value& values)
      : interpreter_(interpreter), text_(*format.AsString()), markup_(format.IsMarkup()), values_(values) {
    if (values.AsSequence() && values.AsSequence()->IsTuple())
      tuple_ = values.AsList();
    else if (!values.AsDict())
      single_ = {values};
  }

  Value Run() {
    std::string out;
    while (at_ < text_.size()) {
      const size_t percent = std::min(text_.find('%', at_), text_.size());
      out += text_.substr(at_, percent - at_);
      at_ = percent;
      if (at_ == text_.size()) break;
      ++at_;
      out += One();
      interpreter_.Charge(out.size() / 8);
    }
    const List* list = tuple_ ? tuple_ : &single_;
    const bool mapped = named_ || values_.AsDict() || (!tuple_ && values_.AsList() && used_ == 0);
    if (used_ < list->size() && !mapped) Wrong("\"%\": there are more values than places for them");
    return Value(std::move(out), markup_);
  }

 private:
  char Peek() const {
    if (at_ >= text_.size()) Wrong("\"%\": the format ends inside a place for a value");
    return text_[at_];
  }

  const Value& Next() {
    const List* list = tuple_ ? tuple_ : &single_;
    if (used_ < list->size()) return (*list)[used_++];
    if (!tuple_ && used_ == 0 && values_.AsDict()) {
      ++used_;
      return values_;
    }
    Wrong("\"%\": there are fewer values than places for them");
  }

  int64_t Number() {
    if (Peek() == '*') {
      ++at_;
      const Value& value = Next();
      if (!value.AsInt() || *value.AsInt() > kMaxWidth) Wrong("\"%\": * needs an integer");
      return *value.AsInt();
    }
    int64_t number = 0;
    for (; Peek() >= '0' && Peek() <= '9'; ++at_) {
      number = number * 10 + (Peek() - '0');
      if (number > kMaxWidth) Wrong("\"%\": the width is out of range");
    }
    return number;
  }

  std::string One() {
    std::optional<Value> mapped;
    if (Peek() == '(') {
      const size_t end = text_.find(')', at_);
      if (end == std::string::npos) Wrong("\"%\": a name is not closed with )");
      if (!values_.AsDict()) Wrong("\"%\": a format with names needs a dict");
      const std::string name = text_.substr(at_ + 1, end - at_ - 1);
      const Value* found = Find(*values_.AsDict(), name);
      if (!found) Wrong(fmt::format("\"%\": there is no value \"{}\"", name));
      mapped = *found;
      named_ = true;
      at_ = end + 1;
    }
    Spec spec;
    spec.align = '>';
    bool left = false;
    for (; std::string_view("-+ #0").find(Peek()) != std::string_view::npos; ++at_) {
      left = left || Peek() == '-';
      spec.zero = spec.zero || Peek() == '0';
      spec.alternate = spec.alternate || Peek() == '#';
      if (Peek() == '+' || (Peek() == ' ' && spec.sign != '+')) spec.sign = Peek();
    }
    spec.width = Number();
    left = left || spec.width < 0;
    spec.width = std::abs(spec.width);
    if (Peek() == '.') {
      ++at_;
      spec.precision = std::max<int64_t>(0, Number());
    }
    while (Peek() == 'h' || Peek() == 'l' || Peek() == 'L') ++at_;
    spec.type = Peek();
    ++at_;
    if (spec.type == '%') return "%";
    interpreter_.Charge(static_cast<size_t>(spec.width + std::max<int64_t>(0, spec.precision)));
    if (left) spec.zero = false;
    if (left) spec.align = '<';
    return Convert(mapped ? *mapped : Next(), spec);
  }

  std::string Convert(const Value& value, Spec spec) {
    const char type = spec.type;
    if (type == 's' || type == 'r' || type == 'a') {
      const std::string text = type == 's' ? value.Str() : type == 'r' ? value.Repr() : Ascii(value.Repr());
      return FormatText(markup_ && !value.IsMarkup() ? Escaped(text) : text, spec);
    }
    if (type == 'c' && value.AsString() && CountCharacters(*value.AsString()) == 1)
      return FormatText(*value.AsString(), spec);
    if (spec.zero) spec.align = 0;
    RequireDefined(value);
    if (!value.IsNumber()) Wrong(fmt::format("\"%{}\" needs a number, found {}", type, value.TypeName()));
    if (std::string_view("eEfFgG").find(type) != std::string_view::npos) return FormatFloat(value.Number(), spec);
    const bool whole = type == 'd' || type == 'i' || type == 'u';
    if (!whole && type != 'c' && type != 'x' && type != 'X' && type != 'o')
      Wrong(fmt::format("\"%{}\" is not a format", type));
    if (!whole && !value.IsInteger()) Wrong(fmt::format("\"%{}\" needs an integer, found a float", type));
    if (value.AsFloat() && !std::isfinite(*value.AsFloat())) Wrong("\"%d\": a number is not finite");
    if (whole) spec.type = 'd';
    Value integer = value.AsFloat() ? IntegerOfFloat(*value.AsFloat()) : value;
    if (spec.precision >= 0 && type != 'c') {  // the digits there are at least
      std::string digits =
          FormatInteger(integer, {.zero = true, .width = spec.precision + (Less(integer, Value(int64_t{0})) ? 1 : 0)});
      const bool negative = digits.starts_with('-');
      return PutTogether(negative, "", negative ? digits.substr(1) : digits, spec);
    }
    return FormatInteger(integer, spec);
  }

  Interpreter& interpreter_;
  const std::string& text_;
  const bool markup_;
  const Value& values_;
  const List* tuple_ = nullptr;
  List single_;
  size_t at_ = 0, used_ = 0;
  bool named_ = false;
};

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
  if (value.AsBool() && spec.type == 0) return FormatText(value.Str(), spec);
  if (value.IsInteger() && spec.precision >= 0 && std::string_view("eEfFgG%").find(spec.type) == std::string_view::npos)
    refuse("an integer");
  if (value.IsInteger()) return FormatInteger(value, spec);
  if (!value.AsFloat()) refuse(std::string(value.TypeName()).c_str());
  if (spec.type && std::string_view("eEfFgGn%").find(spec.type) == std::string_view::npos) refuse("a float");
  return FormatFloat(*value.AsFloat(), spec);
}

class Brace {
 public:
  Brace(Interpreter& interpreter, bool markup, const Arguments& arguments)
      : interpreter_(interpreter), markup_(markup), arguments_(arguments) {}

  std::string Run(const std::string& text, int depth) {
    if (depth > 2) Wrong("format: places for values are nested too deep");
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c && depth == 1) {
        out += c;
        ++i;
      } else if (c == '}') {
        Wrong("format: a \"}\" without \"{\"");
      } else if (c == '{') {
        const size_t end = Closing(text, i + 1);
        out += Field(text.substr(i + 1, end - i - 1), depth);
        interpreter_.Charge(out.size() / 8);
        i = end;
      } else {
        out += c;
      }
    }
    return out;
  }

 private:
  static size_t Closing(const std::string& text, size_t at) {
    int open = 1;
    for (; at < text.size(); ++at) {
      open += text[at] == '{' ? 1 : text[at] == '}' ? -1 : 0;
      if (open == 0) return at;
    }
    Wrong("format: a \"{\" is not closed");
  }

  std::string Field(const std::string& field, int depth) {
    size_t end = 0;  // of the name: [ ] may hold ! and :
    for (bool inside = false; end < field.size() && (inside || (field[end] != '!' && field[end] != ':')); ++end)
      inside = field[end] == '[' || (inside && field[end] != ']');
    Value value = Named(field.substr(0, end));
    if (end < field.size() && field[end] == '!') {
      if (end + 1 >= field.size()) Wrong("format: a conversion is missing after \"!\"");
      const char conversion = field[end + 1];
      if (conversion != 'r' && conversion != 's' && conversion != 'a')
        Wrong(fmt::format("format: \"!{}\" is not a conversion", conversion));
      value = Value(conversion == 's' ? value.Str() : conversion == 'r' ? value.Repr() : Ascii(value.Repr()));
      end += 2;
      if (end < field.size() && field[end] != ':') Wrong("format: expected \":\" after the conversion");
    }
    const std::string spec = end < field.size() ? Run(field.substr(end + 1), depth + 1) : "";
    const std::string text = FormatValue(interpreter_, value, spec);
    return markup_ && !value.IsMarkup() && depth == 1 ? Escaped(text) : text;
  }

  Value Named(const std::string& path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = First(path.substr(0, end));
    for (size_t at = end; at < path.size();) {
      const bool index = path[at] == '[';
      size_t stop = index ? path.find(']', at) : std::min(path.find_first_of(".[", at + 1), path.size());
      if (stop == std::string::npos || stop == at + 1) Wrong("format: an attribute or index is missing");
      const std::string name = path.substr(at + 1, stop - at - 1);
      const bool number = std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
      if (index)
        value = ElementOf(interpreter_, value, number ? *ParseInteger(name, 10) : Value(name));
      else
        value = AttributeOf(interpreter_, value, name);
      at = index ? stop + 1 : stop;
    }
    return value;
  }

  Value First(const std::string& name) {
    const bool number = std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!number) {
      const Value* value = Find(arguments_.named, name);
      if (!value) Wrong(fmt::format("format: there is no value \"{}\"", name));
      return *value;
    }
    if ((name.empty() && numbered_) || (!name.empty() && next_ > 0)) Wrong("format: places with and without a number");
    numbered_ = numbered_ || !name.empty();
    const size_t at = name.empty() ? next_++ : name.size() > 6 ? kMaxWidth : static_cast<size_t>(std::stoul(name));
    if (at >= arguments_.positional.size()) Wrong("format: there are fewer values than places for them");
    return arguments_.positional[at];
  }

  Interpreter& interpreter_;
  const bool markup_;
  const Arguments& arguments_;
  size_t next_ = 0;
  bool numbered_ = false;
};

}  // namespace

Value PercentFormat(Interpreter& interpreter, const Value& format, const Value& values) {
  return Percent(interpreter, format, values).Run();
}

Value BraceFormat(Interpreter& interpreter, const Value& format, const Arguments& arguments) {
  return Value(Brace(interpreter, format.IsMarkup(), arguments).Run(*format.AsString(), 1), format.IsMarkup());
}

}  // namespace ecld::jinja
