// Text as config.json: refused with an Error, or a config whose tensor table can be built and whose JSON reads back to
// the same JSON.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "checkpoint/config.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"
#include "core/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ecld::ModelConfig config;
  try {
    config = ecld::ParseConfig(ecld::ParseJson(std::string_view(reinterpret_cast<const char*>(data), size), "input"),
                               "input");
  } catch (const ecld::Error&) {
    return 0;
  }
  const ecld::Json written = ecld::ToJson(config);
  if (ecld::ToJson(ecld::ParseConfig(written, "written")) != written) std::abort();
  if (config.num_layers <= 256) ecld::WeightFileBytes(config);
  return 0;
}
