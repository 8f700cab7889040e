#include "search/candidates.h"

#include <fmt/format.h>

#include <set>

#include "core/error.h"
#include "core/yaml_reader.h"

namespace ecld {

std::string RecipeAt(const Recipe& recipe, const Point& point, uint64_t budget_B) {
  YAML::Node tree = YAML::Clone(recipe.root.resolved());
  tree.remove("search");
  std::set<size_t> off;
  for (size_t i = 0; i < point.size(); ++i) {
    const Variation& variation = recipe.variations[i];
    const std::string& value = variation.values[point[i]];
    if (value == kOff)
      off.insert(variation.stage);
    else
      ApplyOverride(tree, variation.at + "=" + value);
  }
  YAML::Node stages(YAML::NodeType::Sequence);
  for (size_t i = 0; i < tree["stages"].size(); ++i) {
    if (off.contains(i)) continue;
    YAML::Node stage = tree["stages"][i];
    if (budget_B > 0 && recipe.stages[i].pass == "quantize.allocate") {
      stage["budget_MB"] = static_cast<double>(budget_B) / 1e6;
      stage["bits_per_weight"] = 0;
    }
    stages.push_back(stage);
  }
  if (stages.size() == 0) Fail(recipe.root.Where("search"), "at {} no stage is left", NameOf(recipe, point));
  tree["stages"] = stages;
  return WriteYaml(tree);
}

std::string NameOf(const Recipe& recipe, const Point& point) {
  std::string name;
  for (size_t i = 0; i < point.size(); ++i)
    name += fmt::format("{}{}: {}", i ? ", " : "", recipe.variations[i].at, recipe.variations[i].values[point[i]]);
  return name;
}

}  // namespace ecld
