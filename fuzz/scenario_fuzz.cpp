// Text as a scenario of offloading: refused with an Error, or read; then its resolved form reads back to the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "offload/scenario.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string resolved;
  try {
    resolved =
        ecld::offload::ParseScenario(std::string_view(reinterpret_cast<const char*>(data), size), "input").resolved;
  } catch (const ecld::Error&) {
    return 0;
  }
  if (ecld::offload::ParseScenario(resolved, "resolved").resolved != resolved) std::abort();
  return 0;
}
