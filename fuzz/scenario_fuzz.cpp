// Text as a scenario of offloading, of whatever question: refused with an Error, or read; then its resolved form reads
// back to the same. And text as what `inspect --json` wrote, which such a scenario may name: refused, or blocks that
// take as much as they say.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "offload/cache/shared_bytes.h"
#include "offload/study.h"

namespace {

void ReadAsScenario(std::string_view text) {
  std::string resolved;
  try {
    resolved = ecld::offload::ParseStudy(text, "input").study.resolved;
  } catch (const ecld::Error&) {
    return;
  }
  if (ecld::offload::ParseStudy(resolved, "resolved").study.resolved != resolved) std::abort();
}

void ReadAsInspected(std::string_view text) {
  try {
    const auto blocks = ecld::offload::ParseInspected(text, "input", "blocks");
    ecld::offload::SharedBytes bytes;
    bytes.Add(blocks, "input");
    double most = 0;
    for (const auto& block : blocks) most += block.bytes;
    if (const double all = bytes.Of(1); !(all >= 0 && all <= most * (1 + 1e-9))) std::abort();
  } catch (const ecld::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with("{\"schema"))
    ReadAsInspected(text);
  else
    ReadAsScenario(text);
  return 0;
}
