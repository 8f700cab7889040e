#include "cli/workbench/recipe_flags.h"

#include <CLI/CLI.hpp>

#include "core/error.h"
#include "recipes/calibration.h"
#include "recipes/shipped.h"

namespace ecld {

Recipe RecipeFlags::Read() const {
  std::vector<std::string> overrides = set;
  if (!calibration.empty()) {
    for (const std::string& assignment : set)
      if (assignment.starts_with("calibration.text"))
        Fail("--calibration", "names the texts, and so does --set {}; give one of the two", assignment);
    overrides.push_back(CalibrationOverride(calibration));
  }
  return ReadRecipe(recipe, overrides);
}

void AddRecipeFlags(CLI::App& verb, RecipeFlags* flags) {
  verb.add_option("recipe", flags->recipe, "recipe file, or the name of a shipped one")->required();
  verb.add_option("--calibration", flags->calibration,
                  "text for passes that look at activations: plain text or JSON lines, with options behind a colon: "
                  "field=NAME (of JSON), weight=N (share beside other files), format=text or json")
      ->allow_extra_args(false)
      ->type_name("FILE[:KEY=VALUE,...]");
  verb.add_option("--set", flags->set, "override a value of the recipe, like stages.0.bits=3")
      ->allow_extra_args(false)
      ->type_name("PATH=VALUE");
}

void AddMemoryBudgetFlag(CLI::App& verb, uint64_t* budget_B) {
  verb.add_option("--memory-budget", *budget_B, "memory the passes may take, like 4GB")
      ->transform(CLI::AsSizeValue(true).description(""))
      ->type_name("SIZE");
}

}  // namespace ecld
