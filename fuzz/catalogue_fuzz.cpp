// Text as a device catalogue: refused with an Error, or read; then every device has a memory and a source, and is found
// under its name.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/error.h"
#include "profile/score/catalogue.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const ecld::DeviceCatalogue catalogue =
        ecld::ParseCatalogue(std::string_view(reinterpret_cast<const char*>(data), size), "input.yaml");
    for (const ecld::CatalogueDevice& device : catalogue.devices)
      if (!(device.mem_B > 0) || device.sources.empty() || &catalogue.Find(device.id) != &device) std::abort();
  } catch (const ecld::Error&) {
  }
  return 0;
}
