#pragma once
// "quantization_config" of config.json in the compressed-tensors form (format "pack-quantized", weights only):
// which modules are packed, and how. Anything else found there (activations, other formats) is an Error.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "kernels/packing/packed_format.h"

namespace ecld {

struct QuantizationConfig {
  struct Group {
    std::string name;                  // "group_0"
    std::vector<std::string> targets;  // module class ("Linear", "Embedding"), exact module name, or "re:<regex>"
    PackedFormat format;
  };
  std::vector<Group> groups;
  std::vector<std::string> ignore;  // same forms as targets; wins over them

  // The format of module "model.layers.0.mlp.down_proj" of class "Linear" or "Embedding"; nullopt = dense.
  // An exact name beats a regex, which beats a class.
  std::optional<PackedFormat> FormatOf(std::string_view module, std::string_view module_class) const;
};

// Whether a regular expression (PCRE2 syntax) matches a module name from its start, not necessarily to its end: what
// "re:" means in this format. THROWS Error with where on a malformed expression.
bool RegexMatches(std::string_view pattern, std::string_view name, const std::string& where);

// THROWS Error with the key path. where: of the quantization_config object.
QuantizationConfig ParseQuantizationConfig(const JsonView& json);

// The minimal key set that every reader of the format accepts (their schemas forbid unknown keys).
Json ToJson(const QuantizationConfig& config);

}  // namespace ecld
