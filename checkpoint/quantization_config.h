#pragma once
// "quantization_config" of config.json as ECLD writes it, in the compressed-tensors form (format "pack-quantized",
// weights only): which modules are packed, and how. What other programs write there is read by
// foreign/foreign_config.h.

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

// How specific target is for a module that has these names: 3 exact name, 2 regex, 1 class, 0 no match.
int Specificity(std::string_view target, const std::vector<std::string>& names, std::string_view module_class);

// The group whose target is the most specific one, the first among equals; nullptr: none, or ignored.
template <class Group>
const Group* MostSpecific(const std::vector<Group>& groups, const std::vector<std::string>& ignore,
                          const std::vector<std::string>& names, std::string_view module_class) {
  for (const auto& target : ignore)
    if (Specificity(target, names, module_class) > 0) return nullptr;
  int best = 0;
  const Group* found = nullptr;
  for (const auto& group : groups)
    for (const auto& target : group.targets)
      if (int specificity = Specificity(target, names, module_class); specificity > best) {
        best = specificity;
        found = &group;
      }
  return found;
}

// A list of targets. THROWS Error: not texts, or a malformed expression.
std::vector<std::string> ReadModuleNames(const JsonView& json);

// THROWS Error with the key path; also for what other programs write and ECLD does not.
QuantizationConfig ParseQuantizationConfig(const JsonView& json);

// The minimal key set that every reader of the format accepts (their schemas forbid unknown keys).
Json ToJson(const QuantizationConfig& config);

}  // namespace ecld
