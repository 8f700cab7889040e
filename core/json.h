#pragma once
// JSON reading whose errors say where: "config.json: rope_scaling.factor: expected a number, found \"8\"".
// A JsonView is a value plus the path that led to it; plain nlohmann::json stays available through json().

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ecld {

using Json = nlohmann::ordered_json;  // keeps key order, so that a rewritten config reads like the original

// Parses a whole file / text. THROWS Error with file, line and column on malformed JSON, or nesting deeper than 256.
Json ReadJsonFile(const std::filesystem::path& path);
Json ParseJson(std::string_view text, std::string_view where);

// Python writes NaN, Infinity and -Infinity, which JSON has no words for: the text with them as strings.
std::string QuotePythonNumbers(std::string_view text);

// What the JSON library says of a text, line and column included, without its own "[json.exception...]" prefix.
std::string_view JsonProblem(const nlohmann::json::exception& exception);

// A value as an error shows it: its text, cut after 60 bytes, always UTF-8.
std::string Shown(const Json& value);

// Writes with two-space indent and a final newline, through a temporary file and rename. THROWS Error.
void WriteJsonFile(const std::filesystem::path& path, const Json& value);

class JsonView {
 public:
  JsonView(const Json& value, std::string where, std::string path = "")
      : value_(&value), where_(std::move(where)), path_(std::move(path)) {}

  const Json& json() const { return *value_; }
  std::string Where() const { return path_.empty() ? where_ : where_ + ": " + path_; }

  bool Has(std::string_view key) const;     // present and not null
  JsonView At(std::string_view key) const;  // THROWS Error when absent or when this is not an object
  JsonView At(size_t index) const;          // THROWS Error when this is not an array that long
  size_t Size() const;                      // of an array; THROWS Error otherwise
  std::vector<std::string> Keys() const;    // of an object; THROWS Error otherwise

  // THROWS Error on another type. Integers refuse fractions and values outside int64.
  int64_t Int() const;
  double Number() const;
  bool Bool() const;
  std::string String() const;

  // The typed value under key, or fallback when absent or null; a wrong type still throws.
  int64_t IntOr(std::string_view key, int64_t fallback) const { return Has(key) ? At(key).Int() : fallback; }
  double NumberOr(std::string_view key, double fallback) const { return Has(key) ? At(key).Number() : fallback; }
  bool BoolOr(std::string_view key, bool fallback) const { return Has(key) ? At(key).Bool() : fallback; }
  std::string StringOr(std::string_view key, std::string_view fallback) const {
    return Has(key) ? At(key).String() : std::string(fallback);
  }

 private:
  [[noreturn]] void Wrong(std::string_view expected) const;

  const Json* value_;
  std::string where_;
  std::string path_;
};

}  // namespace ecld
