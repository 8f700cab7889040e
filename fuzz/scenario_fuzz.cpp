// Text as a scenario of offloading, of whatever question: refused with an Error, or read; then its resolved form reads
// back to the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "offload/study.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string resolved;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    resolved = ecld::offload::ParseStudy(text, "input").study.resolved;
  } catch (const ecld::Error&) {
    return 0;
  }
  if (ecld::offload::ParseStudy(resolved, "resolved").study.resolved != resolved) std::abort();
  return 0;
}
