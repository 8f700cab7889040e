#pragma once
// The fields of a JSON request, one by one: type and range are checked, and what is left over at the end is refused, or
// let pass where the server was told so. A field that is null counts as absent, as in OpenAI's API.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"

namespace ecld {

// What becomes of fields that this server does not know.
struct UnknownFields {
  bool accept = false;
  std::vector<std::string> accepted;  // their names, like "messages[].x"
};

class RequestFields {
 public:
  // body must be an object; it and unknown must outlive this. THROWS ApiError, as everything here; param is path +
  // name.
  RequestFields(const Json& body, UnknownFields& unknown, std::string path = "");

  // The value, nullptr when absent.
  const Json* Find(const std::string& name);
  std::optional<bool> Bool(const std::string& name);
  std::optional<int64_t> Int(const std::string& name, int64_t lowest, int64_t highest);
  std::optional<double> Number(const std::string& name, double lowest, double highest);
  std::optional<std::string> String(const std::string& name);

  // Accepts a field that changes nothing.
  void Ignore(const std::string& name) { Value(name); }
  // Accepts a field that is not supported as long as it asks for nothing: one of these values.
  void AcceptOnly(const std::string& name, const std::vector<Json>& values);
  // Refuses what was not asked for above, or lets it pass and notes it.
  void RefuseRest();

  // "name: expected what, found value", with the path.
  [[noreturn]] void Wrong(const std::string& name, const std::string& expected) const;

 private:
  const Json* Value(const std::string& name);
  std::string Path(const std::string& name) const { return path_.empty() ? name : path_ + "." + name; }

  const Json& body_;
  UnknownFields& unknown_;
  std::string path_;
  std::vector<std::string> known_, supported_;  // the latter are worth being named
};

// "expected what, found value" for a value somewhere inside a request.
[[noreturn]] void FailField(const std::string& param, const std::string& expected, const Json& found);

}  // namespace ecld
