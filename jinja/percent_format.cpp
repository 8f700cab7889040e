// "%s %5.2f" % values.

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "jinja/format.h"
#include "jinja/format_value.h"
#include "jinja/integer.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

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

}  // namespace

Value PercentFormat(Interpreter& interpreter, const Value& format, const Value& values) {
  return Percent(interpreter, format, values).Run();
}

}  // namespace ecld::jinja
