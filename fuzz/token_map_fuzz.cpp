// Text as token_map.json: refused with an Error, or ids that ascend within the original's.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "checkpoint/tokenizer/token_map.h"
#include "core/error.h"
#include "core/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const ecld::Json json = ecld::ParseJson(std::string_view(reinterpret_cast<const char*>(data), size), "input");
    const ecld::TokenMap map = ecld::ParseTokenMap(ecld::JsonView(json, "input"));
    if (std::ranges::adjacent_find(map.old_ids, std::greater_equal()) != map.old_ids.end()) std::abort();
    if (!map.old_ids.empty() && (map.old_ids.front() < 0 || map.old_ids.back() >= map.vocab_size)) std::abort();
  } catch (const ecld::Error&) {
  }
  return 0;
}
