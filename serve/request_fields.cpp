#include "serve/request_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "serve/openai_request.h"

namespace ecld {
namespace {

// Shown in an error, so short, and UTF-8.
std::string Shown(const Json& value) {
  if (value.is_structured())
    return fmt::format("{} {}",
                       value.empty()      ? "an empty"
                       : value.is_array() ? "a"
                                          : "an",
                       value.is_array() ? "list" : "object");
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  return text;
}

// Whole numbers; some clients write them as 5.0.
bool FitsInt(const Json& value) {
  constexpr double kExact = 9007199254740992;  // 2^53
  if (value.is_number_float()) {
    const double number = value.get<double>();
    return number == std::floor(number) && std::abs(number) <= kExact;
  }
  return value.is_number_integer() &&
         (!value.is_number_unsigned() || value.get<uint64_t>() <= std::numeric_limits<int64_t>::max());
}

// "messages[3].x" as "messages[].x": the same field of another message.
std::string WithoutIndices(const std::string& param) {
  std::string text;
  bool inside = false;
  for (char c : param) {
    inside = inside && c != ']';
    if (!inside) text += c;
    inside = inside || c == '[';
  }
  return text;
}

}  // namespace

void FailField(const std::string& param, const std::string& expected, const Json& found) {
  throw ApiError(fmt::format("{}: expected {}, found {}", param, expected, Shown(found)), {.param = param});
}

RequestFields::RequestFields(const Json& body, UnknownFields& unknown, std::string path)
    : body_(body), unknown_(unknown), path_(std::move(path)) {
  if (body.is_object()) return;
  if (path_.empty()) throw ApiError("expected a JSON object, found " + Shown(body), {});
  FailField(path_, "an object", body);
}

void RequestFields::Wrong(const std::string& name, const std::string& expected) const {
  FailField(Path(name), expected, body_.at(name));
}

const Json* RequestFields::Find(const std::string& name) {
  supported_.push_back(name);
  return Value(name);
}

const Json* RequestFields::Value(const std::string& name) {
  known_.push_back(name);
  const auto found = body_.find(name);
  return found == body_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<bool> RequestFields::Bool(const std::string& name) {
  const Json* value = Find(name);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) Wrong(name, "true or false");
  return value->get<bool>();
}

std::optional<int64_t> RequestFields::Int(const std::string& name, int64_t lowest, int64_t highest) {
  const Json* value = Find(name);
  if (!value) return std::nullopt;
  if (!FitsInt(*value) || value->get<int64_t>() < lowest || value->get<int64_t>() > highest)
    Wrong(name, highest == std::numeric_limits<int64_t>::max()
                    ? fmt::format("a whole number of at least {}", lowest)
                    : fmt::format("a whole number from {} to {}", lowest, highest));
  return value->get<int64_t>();
}

std::optional<double> RequestFields::Number(const std::string& name, double lowest, double highest) {
  const Json* value = Find(name);
  if (!value) return std::nullopt;
  // Written so that NaN fails too.
  if (!value->is_number() || !(value->get<double>() >= lowest && value->get<double>() <= highest))
    Wrong(name, fmt::format("a number from {} to {}", lowest, highest));
  return value->get<double>();
}

std::optional<std::string> RequestFields::String(const std::string& name) {
  const Json* value = Find(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) Wrong(name, "a string");
  return value->get<std::string>();
}

void RequestFields::AcceptOnly(const std::string& name, const std::vector<Json>& values) {
  const Json* value = Value(name);
  if (!value || std::ranges::find(values, *value) != values.end()) return;
  const std::string param = Path(name);
  throw ApiError(fmt::format("{} is not supported by this server", param),
                 {.param = param, .code = "unsupported_parameter"});
}

void RequestFields::RefuseRest() {
  for (const auto& [name, value] : body_.items()) {
    if (value.is_null() || std::ranges::find(known_, name) != known_.end()) continue;
    const std::string param = Path(name);
    if (unknown_.accept) {
      unknown_.accepted.push_back(WithoutIndices(param));
      continue;
    }
    // Only what is close: the list of all would be longer than any client shows.
    const std::vector<std::string> close = CloseMatches(name, supported_);
    throw ApiError(fmt::format("unknown parameter {}{}", param, close.empty() ? "" : DidYouMean(name, supported_)),
                   {.param = param, .code = "unknown_parameter"});
  }
}

}  // namespace ecld
