#include "core/json.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/files.h"

namespace ecld {
namespace {

constexpr int kMaxDepth = 256;

// nlohmann recurses per level when it destroys a value; a file of a million '[' must not exhaust the stack.
void CheckDepth(std::string_view text, std::string_view where) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) Fail(where, "JSON nested deeper than {} levels", kMaxDepth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
}

}  // namespace

std::string Shown(const Json& value) {
  constexpr size_t kMost = 60;
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= kMost) return text;
  size_t end = kMost - 3;
  while ((text[end] & 0xc0) == 0x80) --end;  // not inside a character
  return text.substr(0, end) + "...";
}

std::string_view JsonProblem(const nlohmann::json::exception& exception) {
  std::string_view what = exception.what();
  if (auto end = what.find("] "); end != std::string_view::npos) what.remove_prefix(end + 2);
  return what;
}

Json ParseJson(std::string_view text, std::string_view where) {
  CheckDepth(text, where);
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& e) {
    Fail(where, "not valid JSON: {}", JsonProblem(e));
  }
}

std::string QuotePythonNumbers(std::string_view text) {
  std::string quoted;
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    size_t length = 1;
    if (in_string && text[i] == '\\') length = 2;
    if (text[i] == '"') in_string = !in_string;
    std::string_view word;
    for (std::string_view candidate : {"NaN", "Infinity", "-Infinity"})
      if (!in_string && text.substr(i).starts_with(candidate)) word = candidate;
    if (word.empty()) {
      quoted += text.substr(i, length);
    } else {
      quoted += fmt::format("\"{}\"", word);
      length = word.size();
    }
    i += length;
  }
  return quoted;
}

Json ReadJsonFile(const std::filesystem::path& path) {
  const std::string text = ReadTextFile(path);
  if (text.empty()) Fail(path.string(), "is empty, expected JSON");
  return ParseJson(text, path.string());
}

void WriteJsonFile(const std::filesystem::path& path, const Json& value) {
  WriteFileAtomically(path, value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void JsonView::Wrong(std::string_view expected) const {
  Fail(Where(), "expected {}, found {}", expected, Shown(*value_));
}

bool JsonView::Has(std::string_view key) const {
  if (!value_->is_object()) return false;
  auto it = value_->find(std::string(key));
  return it != value_->end() && !it->is_null();
}

JsonView JsonView::At(std::string_view key) const {
  if (!value_->is_object()) Wrong("an object");
  auto it = value_->find(std::string(key));
  if (it == value_->end()) {
    auto near = CloseMatches(key, Keys());
    std::string hint = near.empty() ? "" : DidYouMean(key, Keys());
    Fail(Where(), "key \"{}\" is missing{}", key, hint);
  }
  return {*it, where_, path_.empty() ? std::string(key) : path_ + "." + std::string(key)};
}

JsonView JsonView::At(size_t index) const {
  if (index >= Size()) Fail(Where(), "has {} elements, element {} was asked for", Size(), index);
  return {(*value_)[index], where_, fmt::format("{}[{}]", path_, index)};
}

size_t JsonView::Size() const {
  if (!value_->is_array()) Wrong("an array");
  return value_->size();
}

std::vector<std::string> JsonView::Keys() const {
  if (!value_->is_object()) Wrong("an object");
  std::vector<std::string> keys;
  for (auto& [key, unused] : value_->items()) keys.push_back(key);
  return keys;
}

int64_t JsonView::Int() const {
  if (value_->is_number_unsigned() && value_->get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()})
    Wrong("an integer below 2^63");
  if (value_->is_number_integer()) return value_->get<int64_t>();
  if (value_->is_number_float()) {
    double number = value_->get<double>();
    if (number == std::floor(number) && std::abs(number) < 9e15) return static_cast<int64_t>(number);
  }
  Wrong("an integer");
}

double JsonView::Number() const {
  if (!value_->is_number()) Wrong("a number");
  return value_->get<double>();
}

bool JsonView::Bool() const {
  if (!value_->is_boolean()) Wrong("true or false");
  return value_->get<bool>();
}

std::string JsonView::String() const {
  if (!value_->is_string()) Wrong("a string");
  return value_->get<std::string>();
}

}  // namespace ecld
