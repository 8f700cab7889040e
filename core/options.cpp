#include "core/options.h"

#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "core/error.h"

namespace ecld {
namespace {

constexpr char kQuotedTag[] = "!";  // yaml-cpp's mark of a scalar in quotes: text, whatever it looks like

std::string Found(const YAML::Node& node) {
  if (node.IsSequence()) return "a list";
  if (node.IsMap()) return "a mapping";
  if (node.IsNull()) return "nothing";
  std::string text = node.Scalar();
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return '"' + text + '"';
}

template <class T>
std::optional<T> ParseNumber(const YAML::Node& node) {
  if (!node.IsScalar() || node.Tag() == kQuotedTag) return std::nullopt;
  const std::string& text = node.Scalar();
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string AsText(const YAML::Node& node) {
  YAML::Emitter emitter;
  emitter << YAML::Flow << node;
  return emitter.c_str();
}

// "name:line", with the line counted from 1; a node without a place in the file was set on the command line.
std::string Place(const std::string& where, const YAML::Mark& mark) {
  return mark.is_null() ? "--set" : fmt::format("{}:{}", where, mark.line + 1);
}

}  // namespace

Options::Options(const YAML::Node& node, std::string where, std::string path)
    : node_(node.IsDefined() ? node : YAML::Node(YAML::NodeType::Map)),
      where_(std::move(where)),
      path_(std::move(path)) {
  if (!node_.IsMap() && !node_.IsNull()) Fail(Where(), "expected a mapping of options, found {}", Found(node_));
}

std::string Options::PathOf(const std::string& key) const {
  if (path_.empty() || key.empty()) return path_ + key;
  return path_ + "." + key;
}

std::string Options::Where(const std::string& key) const {
  YAML::Mark mark = node_.Mark();
  bool of_file = path_.empty();  // an empty file has no line
  if (!key.empty() && !filled_in_.contains(key)) {
    for (const auto& item : node_)
      if (item.first.Scalar() == key) {
        // The key's line: the value may begin on a later one.
        mark = item.second.Mark().is_null() ? item.second.Mark() : item.first.Mark();
        of_file = false;
      }
  }
  std::string place = of_file && mark.is_null() ? where_ : Place(where_, mark);
  std::string path = PathOf(key);
  return path.empty() ? place : place + ": " + path;
}

YAML::Node Options::Take(const std::string& key) const {
  const YAML::Node& view = node_;  // the non-const operator[] would create the key
  return view[key];
}

void Options::Asked(const std::string& key, const std::string& kind, const YAML::Node& fallback,
                    const std::string& help) {
  facts_.push_back({key, kind, AsText(fallback), help});
  known_.insert(key);
  if (Take(key).IsDefined()) return;
  node_[key] = fallback;
  filled_in_.insert(key);
}

int64_t Options::Int(const std::string& key, int64_t fallback, int64_t low, int64_t high, const std::string& help) {
  std::string kind = fmt::format("a whole number from {} to {}", low, high);
  Asked(key, kind, YAML::Node(fallback), help);
  YAML::Node node = Take(key);
  auto value = ParseNumber<int64_t>(node);
  if (!value || *value < low || *value > high) Fail(Where(key), "expected {}, found {}", kind, Found(node));
  return *value;
}

double Options::Number(const std::string& key, double fallback, double low, double high, const std::string& help) {
  std::string kind = fmt::format("a number from {} to {}", low, high);
  Asked(key, kind, YAML::Node(fmt::format("{}", fallback)), help);
  YAML::Node node = Take(key);
  auto value = ParseNumber<double>(node);
  // Written so that a NaN fails too.
  if (!value || !(*value >= low && *value <= high)) Fail(Where(key), "expected {}, found {}", kind, Found(node));
  return *value;
}

bool Options::Bool(const std::string& key, bool fallback, const std::string& help) {
  Asked(key, "true or false", YAML::Node(fallback ? "true" : "false"), help);
  YAML::Node node = Take(key);
  if (node.IsScalar() && node.Tag() != kQuotedTag) {
    if (node.Scalar() == "true") return true;
    if (node.Scalar() == "false") return false;
  }
  Fail(Where(key), "expected true or false, found {}", Found(node));
}

std::string Options::String(const std::string& key, const std::string& fallback, const std::string& help) {
  Asked(key, "text", YAML::Node(fallback), help);
  YAML::Node node = Take(key);
  if (!node.IsScalar()) Fail(Where(key), "expected text, found {}", Found(node));
  return node.Scalar();
}

std::string Options::Choice(const std::string& key, const std::string& fallback,
                            const std::vector<std::string>& choices, const std::string& help) {
  Asked(key, fmt::format("one of {}", fmt::join(choices, ", ")), YAML::Node(fallback), help);
  YAML::Node node = Take(key);
  if (!node.IsScalar()) Fail(Where(key), "expected one of {}, found {}", fmt::join(choices, ", "), Found(node));
  const std::string& value = node.Scalar();
  for (const auto& choice : choices)
    if (choice == value) return value;
  Fail(Where(key), "{} is not a choice here{}", Found(node), DidYouMean(value, choices));
}

std::vector<std::string> Options::Strings(const std::string& key, const std::vector<std::string>& fallback,
                                          const std::string& help) {
  YAML::Node list(YAML::NodeType::Sequence);
  for (const auto& text : fallback) list.push_back(text);
  Asked(key, "a list of texts", list, help);
  YAML::Node node = Take(key);
  if (!node.IsSequence()) Fail(Where(key), "expected a list of texts, found {}", Found(node));
  std::vector<std::string> texts;
  for (const auto& item : node) {
    if (!item.IsScalar()) Fail(Where(key), "expected a list of texts, found {} in it", Found(item));
    texts.push_back(item.Scalar());
  }
  return texts;
}

Options Options::Map(const std::string& key) {
  Asked(key, "a mapping", YAML::Node(YAML::NodeType::Map), "");
  return Options(Take(key), where_, PathOf(key));
}

std::vector<Options> Options::List(const std::string& key, const std::string& help) {
  Asked(key, "a list of mappings", YAML::Node(YAML::NodeType::Sequence), help);
  YAML::Node node = Take(key);
  if (!node.IsSequence()) Fail(Where(key), "expected a list, found {}", Found(node));
  std::vector<Options> items;
  for (const auto& item : node) items.emplace_back(item, where_, fmt::format("{}[{}]", PathOf(key), items.size()));
  return items;
}

bool Options::Has(const std::string& key, const std::string& kind, const std::string& help) {
  known_.insert(key);
  if (!kind.empty()) facts_.push_back({key, kind, "", help});
  return !filled_in_.contains(key) && Take(key).IsDefined();
}

std::vector<std::string> Options::Keys() const {
  std::vector<std::string> keys;
  for (const auto& item : node_) keys.push_back(item.first.Scalar());
  return keys;
}

void Options::Set(const std::string& key, const std::string& value) {
  node_[key] = YAML::Node(value);
  known_.insert(key);
}

void Options::Finish() const {
  for (const auto& item : node_) {
    const std::string& key = item.first.Scalar();
    if (known_.contains(key)) continue;
    Fail(Place(where_, item.first.Mark()) + (path_.empty() ? "" : ": " + path_), "unknown key \"{}\"{}", key,
         DidYouMean(key, {known_.begin(), known_.end()}));
  }
}

}  // namespace ecld
