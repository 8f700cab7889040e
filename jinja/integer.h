#pragma once
// Python's integers, which have no limit: 64 bits where they suffice, Boost's cpp_int beyond.

#include <optional>
#include <string>
#include <string_view>

#include "jinja/value.h"

namespace ecld::jinja {

// The number that int(text, base) reads: white space around it, a sign and _ between digits are allowed, and with
// base 0 the prefixes of literals. nullopt when it is none.
std::optional<Value> ParseInteger(std::string_view text, int base);

// What follows REQUIRES IsInteger() of its operands.
// +, -, *, //, % and ** (with an exponent >= 0). THROWS Problem on a division by zero, or a result of more than a
// million bits.
Value IntegerOperation(const std::string& name, const Value& a, const Value& b);
int CompareIntegers(const Value& a, const Value& b);
int CompareWithFloat(const Value& a, double b);  // b is a finite number
double IntegerAsFloat(const Value& value);       // infinite when out of range
Value IntegerOfFloat(double value);              // toward zero; value is a finite number
// base: 2, 8, 10 or 16; no prefix. THROWS Problem for a number of more than 4300 decimal digits, as Python does.
std::string IntegerText(const Value& value, int base = 10);

}  // namespace ecld::jinja
