#include "jinja/integer.h"

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "jinja/text.h"

namespace ecld::jinja {

using boost::multiprecision::cpp_int;

class BigInteger {
 public:
  explicit BigInteger(cpp_int number) : value(std::move(number)) {}
  cpp_int value;
};

namespace {

constexpr unsigned kMaxBits = 1'000'000;
constexpr size_t kMaxDigits = 4300;

cpp_int Big(const Value& value) {
  if (value.AsBig()) return value.AsBig()->value;
  return value.AsInt() ? cpp_int(*value.AsInt()) : cpp_int(*value.AsBool() ? 1 : 0);
}

unsigned Bits(const cpp_int& value) { return value == 0 ? 0 : static_cast<unsigned>(msb(abs(value))) + 1; }

void RequireBits(uint64_t bits) {
  if (bits > kMaxBits) Wrong(fmt::format("an integer of more than {} bits", kMaxBits));
}

Value Made(cpp_int value) {
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min(), kHighest = std::numeric_limits<int64_t>::max();
  if (value >= kLowest && value <= kHighest) return Value(static_cast<int64_t>(value));
  return Value(std::make_shared<const BigInteger>(std::move(value)));
}

// Rounded down, as Python divides.
cpp_int FloorDivide(const cpp_int& a, const cpp_int& b, cpp_int* remainder) {
  cpp_int quotient;
  divide_qr(a, b, quotient, *remainder);
  if (*remainder != 0 && (*remainder < 0) != (b < 0)) {
    --quotient;
    *remainder += b;
  }
  return quotient;
}

cpp_int Power(cpp_int base, const Value& exponent) {
  if (base == 0 || base == 1) return exponent.Truth() ? base : 1;
  if (base == -1) return Big(exponent) % 2 == 0 ? 1 : -1;
  if (exponent.AsBig()) RequireBits(kMaxBits + 1);
  uint64_t rest = static_cast<uint64_t>(Big(exponent));
  RequireBits(rest > kMaxBits ? rest : rest * (Bits(base) - 1));
  return pow(base, static_cast<unsigned>(rest));
}

int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

// Takes 0x, 0o or 0b where base asks for it or is 0, and returns the base; 0 for a number that no literal is.
int TakePrefix(std::string_view& text, int base) {
  int marked = 0;
  if (text.size() > 2 && text[0] == '0') {
    const char letter = static_cast<char>(text[1] | 0x20);
    marked = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
  }
  if (marked != 0 && (base == 0 || base == marked)) {
    text.remove_prefix(2);
    if (text.starts_with('_')) text.remove_prefix(1);
    return marked;
  }
  if (base != 0) return base;
  const bool zeros = text.find_first_not_of("0_") == std::string_view::npos;
  return text.starts_with('0') && !zeros ? 0 : 10;
}

}  // namespace

std::optional<Value> ParseInteger(std::string_view text, int base) {
  const std::string stripped = Strip(text, nullptr, true, true);
  text = stripped;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  base = TakePrefix(text, base);
  if (base == 0 || text.empty() || text.back() == '_' || text.front() == '_') return std::nullopt;
  if (text.size() > kMaxDigits) return std::nullopt;
  cpp_int value = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_' && text[i - 1] != '_') continue;
    if (Digit(text[i]) >= base) return std::nullopt;
    value = value * base + Digit(text[i]);
  }
  return Made(negative ? cpp_int(-value) : value);
}

Value IntegerOperation(const std::string& name, const Value& a, const Value& b) {
  int64_t result = 0;
  if (a.AsInt() && b.AsInt()) {
    if (name == "+" && !__builtin_add_overflow(*a.AsInt(), *b.AsInt(), &result)) return Value(result);
    if (name == "-" && !__builtin_sub_overflow(*a.AsInt(), *b.AsInt(), &result)) return Value(result);
    if (name == "*" && !__builtin_mul_overflow(*a.AsInt(), *b.AsInt(), &result)) return Value(result);
  }
  cpp_int x = Big(a), y = Big(b), remainder;
  if (name == "+") return Made(x + y);
  if (name == "-") return Made(x - y);
  if (name == "*") {
    RequireBits(uint64_t{Bits(x)} + Bits(y));
    return Made(x * y);
  }
  if (name == "**") return Made(Power(std::move(x), b));
  if (y == 0) Wrong("division by zero");
  cpp_int quotient = FloorDivide(x, y, &remainder);
  return Made(name == "%" ? std::move(remainder) : std::move(quotient));
}

int CompareIntegers(const Value& a, const Value& b) {
  if (a.AsInt() && b.AsInt()) return *a.AsInt() < *b.AsInt() ? -1 : *a.AsInt() > *b.AsInt();
  return Big(a).compare(Big(b));
}

int CompareWithFloat(const Value& a, double b) {
  const int whole = Big(a).compare(cpp_int(std::trunc(b)));
  if (whole != 0 || b == std::trunc(b)) return whole;
  return b > 0 ? -1 : 1;
}

double IntegerAsFloat(const Value& value) {
  if (value.AsBig()) return static_cast<double>(value.AsBig()->value);
  return value.AsInt() ? static_cast<double>(*value.AsInt()) : static_cast<double>(*value.AsBool());
}

Value IntegerOfFloat(double value) { return Made(cpp_int(std::trunc(value))); }

std::string IntegerText(const Value& value, int base) {
  if (value.AsInt() && base == 10) return std::to_string(*value.AsInt());
  cpp_int number = Big(value);
  if (base == 10) {
    std::string text = Bits(number) > 20'000 ? std::string(kMaxDigits + 2, '0') : number.str();
    if (text.size() > kMaxDigits + (text[0] == '-'))
      Wrong(fmt::format("an integer of more than {} digits", kMaxDigits));
    return text;
  }
  if (base == 8 || base == 16) {
    std::string text = cpp_int(abs(number)).str(0, base == 8 ? std::ios::oct : std::ios::hex);
    std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'A' && c <= 'F' ? c | 0x20 : c; });
    return (number < 0 ? "-" : "") + text;
  }
  std::string bits;
  for (cpp_int rest = abs(number); rest != 0; rest >>= 1) bits += bit_test(rest, 0) ? '1' : '0';
  if (bits.empty()) bits = "0";
  if (number < 0) bits += '-';
  std::reverse(bits.begin(), bits.end());
  return bits;
}

}  // namespace ecld::jinja
