// The filters of numbers.

#include <cmath>
#include <cstdlib>
#include <optional>

#include "core/error.h"
#include "jinja/filters.h"
#include "jinja/integer.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

// float(value) of Python; nullopt for a text that is no number.
std::optional<double> ParseFloat(const std::string& text) {
  std::string number = Lower(Strip(text, nullptr, true, true));
  for (size_t i = 1; i + 1 < number.size(); ++i)
    if (number[i] == '_' && std::isdigit(number[i - 1]) && std::isdigit(number[i + 1])) number.erase(i, 1);
  const std::string_view bare = std::string_view(number).substr(number.find_first_of("+-") == 0 ? 1 : 0);
  if (bare != "inf" && bare != "infinity" && bare != "nan" &&
      bare.find_first_not_of("0123456789.e+-") != std::string::npos)
    return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0') return std::nullopt;
  return value;
}

Value Float(const Value& value, const Bound& a) {
  RequireDefined(value);
  if (value.AsBig() && std::isinf(value.Number())) Wrong("float: a number is out of range");
  if (value.IsNumber()) return Value(value.Number());
  if (auto number = value.AsString() ? ParseFloat(*value.AsString()) : std::nullopt) return Value(*number);
  return a.values[0] ? *a.values[0] : Value(0.0);
}

Value Int(const Value& value, const Bound& a) {
  RequireDefined(value);
  const Value fallback = a.values[0] ? *a.values[0] : Value(int64_t{0});
  if (value.IsInteger()) return value.AsBool() ? Value(int64_t{*value.AsBool()}) : value;
  if (value.AsFloat()) {
    if (std::isinf(*value.AsFloat())) Wrong("int: a number is out of range");
    return std::isnan(*value.AsFloat()) ? fallback : IntegerOfFloat(*value.AsFloat());
  }
  if (!value.AsString()) return fallback;
  const int64_t base = a.Int(1, 10);
  if (base == 0 || (base >= 2 && base <= 36))
    if (auto integer = ParseInteger(*value.AsString(), static_cast<int>(base))) return *integer;
  auto number = ParseFloat(*value.AsString());
  return number && std::isfinite(*number) ? IntegerOfFloat(*number) : fallback;
}

Value Abs(const Value& value, const Bound& a) {
  if (!value.IsNumber()) Wrong(fmt::format("abs needs a number, found {}", value.TypeName()));
  if (value.AsFloat()) return Value(std::abs(*value.AsFloat()));
  const bool negative = Less(value, Value(int64_t{0}));
  return BinaryOperation(a.interpreter, negative ? "-" : "+", Value(int64_t{0}), value);
}

Value Round(const Value& value, const Bound& a) {
  RequireDefined(value);
  const int64_t precision = a.Int(0, 0);
  const std::string method = a.values[1] ? a.Text(1) : "common";
  if (method != "common" && method != "ceil" && method != "floor") Wrong("round: the method is common, ceil or floor");
  if (!value.IsNumber()) Wrong(fmt::format("round needs a number, found {}", value.TypeName()));
  if (std::abs(precision) > 300) Wrong("round: the precision is out of range");
  if (method != "common") {
    const double scale = std::pow(10.0, static_cast<double>(precision)), scaled = value.Number() * scale;
    return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
  }
  if (value.IsInteger() && precision >= 0) return value.AsBool() ? Value(int64_t{*value.AsBool()}) : value;
  if (value.IsInteger() || precision < 0) {  // to tens, hundreds, ...: half to even
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    const double rounded = std::nearbyint(value.Number() / scale) * scale;
    return value.IsInteger() ? IntegerOfFloat(rounded) : Value(rounded);
  }
  if (!std::isfinite(*value.AsFloat())) return value;
  return Value(std::strtod(fmt::format("{:.{}f}", *value.AsFloat(), precision).c_str(), nullptr));
}

Value FileSize(const Value& value, const Bound& a) {
  const Value number = Float(value, {a.interpreter, a.callee, {nullptr}, a.all});
  const bool binary = a.True(0, false);
  const double bytes = *number.AsFloat(), base = binary ? 1024 : 1000;
  if (bytes == 1) return Value(std::string("1 Byte"));
  if (bytes < base) return Value(fmt::format("{} Bytes", static_cast<int64_t>(bytes)));
  std::string_view prefixes = "kMGTPEZY";
  double unit = base;
  size_t at = 0;
  for (; at + 1 < prefixes.size() && bytes >= unit * base; ++at) unit *= base;
  std::string prefix(1, binary && at == 0 ? 'K' : prefixes[at]);
  return Value(fmt::format("{:.1f} {}{}B", bytes / unit, prefix, binary ? "i" : ""));
}

constexpr Row kFilters[] = {
    {"int", "default? base?", Int},
    {"float", "default?", Float},
    {"abs", "", Abs},
    {"round", "precision? method?", Round},
    {"filesizeformat", "binary?", FileSize},
};

}  // namespace

std::span<const Row> NumberFilters() { return kFilters; }

}  // namespace ecld::jinja
