// "{} {name:>5}".format(...).

#include <algorithm>

#include "core/error.h"
#include "jinja/format.h"
#include "jinja/format_value.h"
#include "jinja/integer.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

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

Value BraceFormat(Interpreter& interpreter, const Value& format, const Arguments& arguments) {
  return Value(Brace(interpreter, format.IsMarkup(), arguments).Run(*format.AsString(), 1), format.IsMarkup());
}

}  // namespace ecld::jinja
