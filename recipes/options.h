#pragma once
// Typed reading of one stage's options from YAML, with line and path in every error. A pass factory reads each
// option once; Finish() then refuses whatever key was not asked for, with close matches.

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace ecld {

class Options {
 public:
  // node: a mapping (or null: no options). where: "recipe.yaml"; path: "stages[2]".
  Options(const YAML::Node& node, std::string where, std::string path);

  // The value under key, or fallback when absent. THROWS Error on a wrong type or a value out of [low, high].
  int64_t Int(const std::string& key, int64_t fallback, int64_t low, int64_t high);
  double Number(const std::string& key, double fallback, double low, double high);
  bool Bool(const std::string& key, bool fallback);
  std::string String(const std::string& key, const std::string& fallback);
  // One of choices.
  std::string Choice(const std::string& key, const std::string& fallback, const std::vector<std::string>& choices);
  std::vector<std::string> Strings(const std::string& key, const std::vector<std::string>& fallback);
  // A nested mapping, empty when absent, and a list of mappings.
  Options Map(const std::string& key);
  std::vector<Options> List(const std::string& key);
  bool Has(const std::string& key) const;
  std::vector<std::string> Keys() const;

  // "recipe.yaml:14: stages[2].bits" (of the mapping itself without a key).
  std::string Where(const std::string& key = "") const;

  // THROWS Error on the first key that was never asked for.
  void Finish() const;

 private:
  YAML::Node Take(const std::string& key);

  YAML::Node node_;
  std::string where_, path_;
  std::set<std::string> known_;
};

}  // namespace ecld
