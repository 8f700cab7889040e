// 8-bit floats with a scale for each block, output or matrix, as DeepSeek's and Qwen's checkpoints have them ("fp8"),
// and fbgemm's, with one for each output.

#include <tuple>

#include "checkpoint/foreign/foreign_config.h"
#include "core/error.h"

namespace ecld {
ForeignConfig ParseFp8(const JsonView& json) {
  RequireKeys(
      json, {"quant_method", "fmt", "activation_scheme", "weight_block_size", "modules_to_not_convert",
             "ignored_layers", "modules_to_convert", "scale_fmt", "dequantize", "expert_dtype", "activation_scale_ub"});
  RequireOneOf(json, "fmt", {"e4m3", "float8_e4m3fn", "e5m2"});
  RequireOneOf(json, "activation_scheme", {"dynamic", "static"});
  RequireOneOf(json, "scale_fmt", {"float", "ue8m0"});
  RequireOneOf(json, "expert_dtype", {"fp8"});
  // Which modules were left as they are is seen from their types.
  for (const char* key : {"modules_to_not_convert", "ignored_layers", "modules_to_convert"})
    if (json.Has(key)) ReadModuleNames(json.At(key));
  ForeignScheme scheme{
      .layout = ForeignLayout::kFloat, .block_outputs = 0, .block_is_open = !json.Has("weight_block_size")};
  if (!scheme.block_is_open)
    std::tie(scheme.block_outputs, scheme.block_inputs) = ReadBlock(json.At("weight_block_size"));
  ForeignConfig config;
  config.groups.push_back({"fp8", {"Linear", "Embedding"}, scheme});
  config.unapplied.push_back("activations are not rounded to 8-bit floats, as a runtime of their format does");
  return config;
}

}  // namespace ecld
