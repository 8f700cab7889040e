#include "checkpoint/quantization_config.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <memory>

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

// How specific target is for this module: 3 exact name, 2 regex, 1 class, 0 no match.
int Specificity(std::string_view target, std::string_view module, std::string_view module_class) {
  if (target == module) return 3;
  if (target.starts_with(kRegexPrefix))
    return RegexMatches(target.substr(kRegexPrefix.size()), module, "quantization_config") ? 2 : 0;
  return target == module_class ? 1 : 0;
}

std::vector<std::string> ReadNames(const JsonView& json) {
  std::vector<std::string> names;
  for (size_t i = 0; i < json.Size(); ++i) {
    names.push_back(json.At(i).String());
    if (names.back().starts_with(kRegexPrefix))
      Compile(std::string_view(names.back()).substr(kRegexPrefix.size()), json.At(i).Where());
  }
  return names;
}

void RequireNull(const JsonView& json, const char* key, const char* what) {
  if (json.Has(key)) Fail(json.At(key).Where(), "quantized {} are not supported; expected null", what);
}

void RequireText(const JsonView& json, const char* key, const char* expected) {
  std::string found = json.StringOr(key, expected);
  if (found != expected) Fail(json.At(key).Where(), "\"{}\" is not supported; expected \"{}\"", found, expected);
}

PackedFormat ReadWeights(const JsonView& json) {
  RequireText(json, "type", "int");
  if (json.Has("dynamic") && json.At("dynamic").json() != false)
    Fail(json.At("dynamic").Where(), "dynamic weight quantization is not supported");
  std::string order = json.StringOr("actorder", "static");
  if (order != "static" && order != "weight")
    Fail(json.At("actorder").Where(), "\"{}\" stores a group index per input; only \"static\" is supported", order);
  PackedFormat format;
  int64_t bits = json.At("num_bits").Int();
  if (bits < 1 || bits > 8) Fail(json.At("num_bits").Where(), "expected 2 to 6 or 8, found {}", bits);
  format.bits = static_cast<int>(bits);
  format.symmetric = json.BoolOr("symmetric", true);
  std::string strategy = json.StringOr("strategy", json.Has("group_size") ? "group" : "channel");
  if (strategy == "group")
    format.group_size = json.At("group_size").Int();
  else if (strategy == "channel")
    format.group_size = 0;
  else
    Fail(json.At("strategy").Where(), "\"{}\" is not supported; expected \"group\" or \"channel\"", strategy);
  CheckFormat(format, json.Where());
  return format;
}

}  // namespace

bool RegexMatches(std::string_view pattern, std::string_view name, const std::string& where) {
  Code code = Compile(pattern, where);
  std::unique_ptr<pcre2_match_data, FreeMatch> data(pcre2_match_data_create_from_pattern(code.get(), nullptr));
  return pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(), 0, PCRE2_ANCHORED, data.get(),
                     nullptr) >= 0;
}

std::optional<PackedFormat> QuantizationConfig::FormatOf(std::string_view module, std::string_view module_class) const {
  for (const auto& name : ignore)
    if (Specificity(name, module, module_class) > 0) return std::nullopt;
  int best = 0;
  std::optional<PackedFormat> format;
  for (const auto& group : groups)
    for (const auto& target : group.targets)
      if (int specificity = Specificity(target, module, module_class); specificity > best) {
        best = specificity;
        format = group.format;
      }
  return format;
}

QuantizationConfig ParseQuantizationConfig(const JsonView& json) {
  RequireText(json, "quant_method", "compressed-tensors");
  RequireText(json, "format", "pack-quantized");
  RequireText(json, "quantization_status", "compressed");
  RequireNull(json, "kv_cache_scheme", "key/value caches");
  QuantizationConfig config;
  if (json.Has("ignore")) config.ignore = ReadNames(json.At("ignore"));
  JsonView groups = json.At("config_groups");
  for (const auto& name : groups.Keys()) {
    JsonView group = groups.At(name);
    RequireText(group, "format", "pack-quantized");
    RequireNull(group, "input_activations", "activations");
    RequireNull(group, "output_activations", "activations");
    config.groups.push_back({name, ReadNames(group.At("targets")), ReadWeights(group.At("weights"))});
  }
  return config;
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
