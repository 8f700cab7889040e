#pragma once
// The recipes that a recipe with variations stands for.

#include <cstdint>
#include <string>

#include "recipes/recipe.h"
#include "search/descent.h"

namespace ecld {

// The recipe at a point as YAML, plain: without `search`, and without the stages that are off. budget_B: what
// quantize.allocate is to fill, so that all candidates are as large; 0: what the recipe says.
// THROWS Error: no stage is left.
std::string RecipeAt(const Recipe& recipe, const Point& point, uint64_t budget_B = 0);

// "stages.0.tokens: off, stages.2.ratio: 0.1"
std::string NameOf(const Recipe& recipe, const Point& point);

}  // namespace ecld
