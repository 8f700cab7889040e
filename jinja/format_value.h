#pragma once
// One value as text, as a format asks: what both ways of formatting stand on.

#include <string>

#include "jinja/interpreter.h"

namespace ecld::jinja {

// How a value is written: [[fill]align][sign][z][#][0][width][grouping][.precision][type].
struct Spec {
  std::string fill = " ";
  char align = 0, sign = '-', grouping = 0, type = 0;
  bool alternate = false, zero = false;
  int64_t width = 0, precision = -1;
};

constexpr int64_t kMaxWidth = 1'000'000;  // of a value, and of its precision

// REQUIRES IsInteger(). THROWS Problem for a type of format that is not for integers.
std::string FormatInteger(const Value& value, const Spec& spec);
std::string FormatFloat(double value, const Spec& spec);
std::string FormatText(const std::string& text, const Spec& spec);
// A number of which sign, prefix (0x) and digits are known.
std::string PutTogether(bool negative, const std::string& prefix, const std::string& text, const Spec& spec);
// format(value, text) of Python. THROWS Problem when text is no format, or not one for such a value.
std::string FormatValue(Interpreter& interpreter, const Value& value, const std::string& text);
// As ascii() writes what repr() does.
std::string Ascii(const std::string& text);

}  // namespace ecld::jinja
