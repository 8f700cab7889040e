#include "checkpoint/quantization_config.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <memory>

#include "checkpoint/foreign/foreign_config.h"
#include "core/error.h"

namespace ecld {
namespace {

constexpr std::string_view kRegexPrefix = "re:";

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;

Code Compile(std::string_view pattern, const std::string& where) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF, &error, &offset, nullptr));
  if (!code) {
    PCRE2_UCHAR text[128];
    pcre2_get_error_message(error, text, sizeof(text));
    Fail(where, "\"{}\" is not a regular expression: {} at {}", pattern, reinterpret_cast<char*>(text), offset);
  }
  return code;
}

}  // namespace

bool RegexMatches(std::string_view pattern, std::string_view name, const std::string& where) {
  Code code = Compile(pattern, where);
  std::unique_ptr<pcre2_match_data, FreeMatch> data(pcre2_match_data_create_from_pattern(code.get(), nullptr));
  return pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(), 0, PCRE2_ANCHORED, data.get(),
                     nullptr) >= 0;
}

int Specificity(std::string_view target, const std::vector<std::string>& names, std::string_view module_class) {
  if (std::ranges::find(names, target) != names.end()) return 3;
  if (!target.starts_with(kRegexPrefix)) return target == module_class ? 1 : 0;
  target.remove_prefix(kRegexPrefix.size());
  const auto matches = [&](const std::string& name) { return RegexMatches(target, name, "quantization_config"); };
  return std::ranges::any_of(names, matches) ? 2 : 0;
}

std::vector<std::string> ReadModuleNames(const JsonView& json) {
  std::vector<std::string> names;
  for (size_t i = 0; i < json.Size(); ++i) {
    names.push_back(json.At(i).String());
    if (names.back().starts_with(kRegexPrefix))
      Compile(std::string_view(names.back()).substr(kRegexPrefix.size()), json.At(i).Where());
  }
  return names;
}

std::optional<PackedFormat> QuantizationConfig::FormatOf(std::string_view module, std::string_view module_class) const {
  const Group* group = MostSpecific(groups, ignore, {std::string(module)}, module_class);
  return group ? std::optional(group->format) : std::nullopt;
}

QuantizationConfig ParseQuantizationConfig(const JsonView& json) {
  const auto native = ParseForeignConfig(json).Native();
  if (!native) Fail(json.Where(), "holds formats that ECLD does not write");
  return *native;
}

Json ToJson(const QuantizationConfig& config) {
  Json groups = Json::object();
  for (const auto& group : config.groups) {
    const auto& format = group.format;
    Json weights = {{"num_bits", format.bits}, {"type", "int"}, {"symmetric", format.symmetric}};
    if (format.group_size > 0) {
      weights["strategy"] = "group";
      weights["group_size"] = format.group_size;
    } else {
      weights["strategy"] = "channel";
    }
    weights["dynamic"] = false;
    groups[group.name] = {{"targets", group.targets},
                          {"weights", weights},
                          {"input_activations", nullptr},
                          {"output_activations", nullptr},
                          {"format", "pack-quantized"}};
  }
  return {{"quant_method", "compressed-tensors"},
          {"format", "pack-quantized"},
          {"quantization_status", "compressed"},
          {"ignore", config.ignore},
          {"config_groups", groups}};
}

}  // namespace ecld
