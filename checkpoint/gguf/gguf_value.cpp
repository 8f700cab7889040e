#include <algorithm>
#include <cstring>
#include <limits>

#include "checkpoint/gguf/gguf_file.h"
#include "core/error.h"

namespace ecld {
namespace {

template <class T>
T ElementAt(std::span<const std::byte> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

std::string_view Describe(GgufValueType type) {
  switch (type) {
    case GgufValueType::kF32:
    case GgufValueType::kF64:
      return "float";
    case GgufValueType::kBool:
      return "boolean";
    case GgufValueType::kString:
      return "string";
    default:
      return "integer";
  }
}

bool IsInteger(GgufValueType type) { return Describe(type) == "integer"; }
bool IsNumber(GgufValueType type) { return IsInteger(type) || Describe(type) == "float"; }

}  // namespace

std::string_view GgufValue::Kind() const { return Describe(type_); }

bool GgufValue::SameAs(const GgufValue& other) const {
  return type_ == other.type_ && array_ == other.array_ && count_ == other.count_ &&
         std::equal(bytes_.begin(), bytes_.end(), other.bytes_.begin(), other.bytes_.end());
}

void GgufValue::Wrong(std::string_view expected) const {
  if (array_) Fail(where_, "expected {}, found an array of {} {}s", expected, count_, Describe(type_));
  Fail(where_, "expected {}, found {} {}", expected, IsInteger(type_) ? "an" : "a", Describe(type_));
}

int64_t GgufValue::IntAt(size_t index) const {
  switch (type_) {
    case GgufValueType::kU8:
    case GgufValueType::kBool:
      return ElementAt<uint8_t>(bytes_, index);
    case GgufValueType::kI8:
      return ElementAt<int8_t>(bytes_, index);
    case GgufValueType::kU16:
      return ElementAt<uint16_t>(bytes_, index);
    case GgufValueType::kI16:
      return ElementAt<int16_t>(bytes_, index);
    case GgufValueType::kU32:
      return ElementAt<uint32_t>(bytes_, index);
    case GgufValueType::kI32:
      return ElementAt<int32_t>(bytes_, index);
    case GgufValueType::kI64:
      return ElementAt<int64_t>(bytes_, index);
    case GgufValueType::kU64: {
      auto value = ElementAt<uint64_t>(bytes_, index);
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        Fail(where_, "{} is larger than any count can be", value);
      }
      return static_cast<int64_t>(value);
    }
    default:
      Wrong("an integer");
  }
}

double GgufValue::NumberAt(size_t index) const {
  if (type_ == GgufValueType::kF32) return ElementAt<float>(bytes_, index);
  if (type_ == GgufValueType::kF64) return ElementAt<double>(bytes_, index);
  return static_cast<double>(IntAt(index));
}

int64_t GgufValue::Int() const {
  if (array_ || !IsInteger(type_)) Wrong("an integer");
  return IntAt(0);
}

double GgufValue::Number() const {
  if (array_ || !IsNumber(type_)) Wrong("a number");
  return NumberAt(0);
}

double GgufValue::Decimal() const {
  const double number = Number();
  return type_ == GgufValueType::kF32 ? ShortestDecimal(static_cast<float>(number)) : number;
}

double ShortestDecimal(float value) { return std::stod(fmt::format("{}", value)); }

bool GgufValue::Bool() const {
  if (array_ || type_ != GgufValueType::kBool) Wrong("a boolean");
  auto value = ElementAt<uint8_t>(bytes_, 0);
  if (value > 1) Fail(where_, "a boolean is stored as 0 or 1, found {}", value);
  return value == 1;
}

std::string GgufValue::String() const {
  if (array_ || type_ != GgufValueType::kString) Wrong("a string");
  auto text = bytes_.subspan(sizeof(uint64_t));
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

std::vector<int64_t> GgufValue::Ints() const {
  if (!array_ || !IsInteger(type_)) Wrong("an array of integers");
  std::vector<int64_t> values(count_);
  for (size_t i = 0; i < count_; ++i) values[i] = IntAt(i);
  return values;
}

std::vector<float> GgufValue::Floats() const {
  if (!array_ || type_ == GgufValueType::kString) Wrong("an array of numbers");
  std::vector<float> values(count_);
  for (size_t i = 0; i < count_; ++i) values[i] = static_cast<float>(NumberAt(i));
  return values;
}

std::vector<std::string_view> GgufValue::Strings() const {
  if (!array_ || type_ != GgufValueType::kString) Wrong("an array of strings");
  std::vector<std::string_view> values;
  values.reserve(count_);
  const auto* at = reinterpret_cast<const char*>(bytes_.data());
  for (size_t i = 0; i < count_; ++i) {
    uint64_t length;
    std::memcpy(&length, at, sizeof length);
    values.emplace_back(at + sizeof length, length);
    at += sizeof length + length;
  }
  return values;
}

}  // namespace ecld
