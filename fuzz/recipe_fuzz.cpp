// Text as a recipe: refused with an Error, or a recipe whose resolved form reads back to the same resolved form.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "recipes/recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string resolved;
  try {
    resolved = ecld::ParseRecipe(std::string_view(reinterpret_cast<const char*>(data), size), "input").Resolved();
  } catch (const ecld::Error&) {
    return 0;
  }
  if (ecld::ParseRecipe(resolved, "resolved").Resolved() != resolved) std::abort();
  return 0;
}
