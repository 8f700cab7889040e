#include "recipes/shipped.h"

#include <algorithm>

#include "core/error.h"
#include "core/files.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

fs::path RecipeDirectory() {
  std::error_code error;
  fs::path program = fs::read_symlink("/proc/self/exe", error);
  fs::path installed = program.parent_path().parent_path() / "share/ecld/recipes";
  return fs::is_directory(installed, error) ? installed : fs::path(ECLD_SOURCE_DIR) / "recipes";
}

}  // namespace

std::vector<fs::path> ShippedRecipes() {
  std::vector<fs::path> recipes;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(RecipeDirectory(), error))
    if (entry.path().extension() == ".yaml") recipes.push_back(entry.path());
  std::sort(recipes.begin(), recipes.end());
  return recipes;
}

Recipe ReadRecipe(const std::string& name_or_path, const std::vector<std::string>& overrides) {
  fs::path path = name_or_path;
  if (!fs::exists(path)) {
    std::vector<std::string> names;
    for (const fs::path& shipped : ShippedRecipes()) {
      names.push_back(shipped.stem().string());
      if (names.back() == name_or_path) path = shipped;
    }
    if (!fs::exists(path))
      Fail(name_or_path, "is neither a file nor a shipped recipe{}", DidYouMean(name_or_path, names));
  }
  return ParseRecipe(ReadTextFile(path), path.string(), overrides, fs::absolute(path).parent_path());
}

}  // namespace ecld
