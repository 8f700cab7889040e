#pragma once
// Typed reading of one mapping of a YAML file (the file itself, a stage of a recipe, ...), with line and path in every
// error. Whoever reads asks for each key once; Finish() then refuses whatever key was not asked for, with close
// matches. A key that is absent is filled in with the default that was asked for, so that after reading the tree is
// resolved: what ran, with nothing left implied.

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace ecld {

// One option as it was asked for: what `ecld passes` shows.
struct OptionFact {
  std::string key;
  std::string kind;           // "whole number 2 to 8", "one of minmax, mse", "text", ...
  std::string default_value;  // as YAML text; empty: there is none
  std::string help;           // a sentence on what it does
};

class Options {
 public:
  // node: a mapping (or null: no options). where: "recipe.yaml"; path: "stages[2]" (empty for the file itself).
  Options(const YAML::Node& node, std::string where, std::string path);
  Options(const Options&) = default;
  Options& operator=(const Options&) = delete;  // assigning a YAML::Node would rewrite the tree it came from

  // The value under key, or fallback when absent. help: for whoever asks what there is to set.
  // THROWS Error on a wrong type or a value out of [low, high].
  int64_t Int(const std::string& key, int64_t fallback, int64_t low, int64_t high, const std::string& help = "");
  double Number(const std::string& key, double fallback, double low, double high, const std::string& help = "");
  bool Bool(const std::string& key, bool fallback, const std::string& help = "");
  std::string String(const std::string& key, const std::string& fallback, const std::string& help = "");
  // One of choices.
  std::string Choice(const std::string& key, const std::string& fallback, const std::vector<std::string>& choices,
                     const std::string& help = "");
  std::vector<std::string> Strings(const std::string& key, const std::vector<std::string>& fallback,
                                   const std::string& help = "");
  // A nested mapping, empty when absent, and a list of mappings.
  Options Map(const std::string& key);
  std::vector<Options> List(const std::string& key, const std::string& help = "");
  // Whether it is written in the file or set on the command line; counts as asked for. kind: what may stand there.
  bool Has(const std::string& key, const std::string& kind = "", const std::string& help = "");
  std::vector<std::string> Keys() const;  // all of them, filled in ones too

  // Replaces the value of a key that was read.
  void Set(const std::string& key, const std::string& value);

  // "recipe.yaml:14: stages[2].bits" (of the mapping itself without a key). What came from the command line has no
  // line: "--set: stages[2].bits".
  std::string Where(const std::string& key = "") const;

  // THROWS Error on the first key that was never asked for.
  void Finish() const;

  const YAML::Node& resolved() const { return node_; }
  const std::vector<OptionFact>& facts() const { return facts_; }

 private:
  YAML::Node Take(const std::string& key) const;  // undefined when absent
  void Asked(const std::string& key, const std::string& kind, const YAML::Node& fallback, const std::string& help);
  std::string PathOf(const std::string& key) const;

  YAML::Node node_;
  std::string where_, path_;
  std::set<std::string> known_, filled_in_;
  std::vector<OptionFact> facts_;
};

}  // namespace ecld
