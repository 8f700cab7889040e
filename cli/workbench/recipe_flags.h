#pragma once
// The flags of every verb that reads a recipe and a text for it.

#include <string>
#include <vector>

#include "recipes/recipe.h"

namespace CLI {
class App;
}

namespace ecld {

// The recipe, --calibration and --set.
struct RecipeFlags {
  std::string recipe;
  std::vector<std::string> calibration, set;

  Recipe Read() const;  // THROWS Error
};
void AddRecipeFlags(CLI::App& verb, RecipeFlags* flags);

// --memory-budget.
void AddMemoryBudgetFlag(CLI::App& verb, uint64_t* budget_B);

}  // namespace ecld
