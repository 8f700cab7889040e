#pragma once
// Where recipes come from: a file the user names, or one that ships with ECLD and is found by name, beside the
// installed program (../share/ecld/recipes) or in the source tree it was built from.

#include <filesystem>
#include <string>
#include <vector>

#include "recipes/recipe.h"

namespace ecld {

// The shipped recipes, sorted by name.
std::vector<std::filesystem::path> ShippedRecipes();

// name_or_path: a file, or the name of a shipped recipe ("quickstart"). overrides: "stages.0.bits=3", in order.
// THROWS Error; an unknown name lists close ones.
Recipe ReadRecipe(const std::string& name_or_path, const std::vector<std::string>& overrides = {});

}  // namespace ecld
