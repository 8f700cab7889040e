#pragma once
// An object of tokenizer.json may hold what we know and nothing else: whatever is not known could change the ids.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/json.h"

namespace ecld {

// THROWS Error naming a key of the object that is not in known.
inline void RequireKeys(const JsonView& json, const std::vector<std::string>& known) {
  for (const std::string& key : json.Keys())
    if (std::find(known.begin(), known.end(), key) == known.end())
      Fail(json.Where(), "key \"{}\" is unknown{}", key, DidYouMean(key, known));
}

}  // namespace ecld
