#pragma once
// The catalogue of passes: a name as it stands in recipes, how to make one of the options of a stage, and one line on
// what it does. Adding a pass is a line in pass_table.cpp.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/options.h"
#include "model/pass.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace ecld {

struct PassEntry {
  std::string_view name;                            // "<room>.<what>"
  std::unique_ptr<Pass> (*make)(Options& options);  // beside the pass
  std::string_view summary;
};

std::span<const PassEntry> PassTable();

// THROWS Error listing close names. where: for the error.
const PassEntry& FindPass(const std::string& name, const std::string& where);

// What the pass asks for, with its defaults: those of a stage that says nothing.
std::vector<OptionFact> OptionFacts(const PassEntry& entry);

// Makes the pass of every stage; the recipe then holds every default. THROWS Error on an unknown pass or option.
std::vector<PreparedStage> PrepareStages(Recipe& recipe);

}  // namespace ecld
