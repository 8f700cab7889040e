// compressed-tensors: groups of modules, each with a format of its own or the one of the whole config.

#include <array>
#include <tuple>

#include "checkpoint/foreign/foreign_config.h"
#include "core/error.h"

namespace ecld {
namespace {

// "naive-quantized" is one of the two after it, as "type" says.
constexpr std::array<std::string_view, 4> kFormats = {"pack-quantized", "naive-quantized", "int-quantized",
                                                      "float-quantized"};

constexpr std::string_view kMixed = "mixed-precision";  // each group has a format of its own

// The format of the whole config or of a group.
std::string ReadFormat(const JsonView& json, std::string_view fallback) {
  const std::string format = json.StringOr("format", fallback);
  for (const std::string_view known : kFormats)
    if (format == known) return format;
  Fail(json.At("format").Where(), "\"{}\" is not supported; expected \"{}\"", format, fmt::join(kFormats, "\", \""));
}

std::string FormatOf(const JsonView& group, const std::string& all) {
  if (all == kMixed && !group.Has("format"))
    Fail(group.Where(), "has no \"format\", which each group of a \"{}\" config needs", kMixed);
  return ReadFormat(group, all);
}

void ReadActivationOrder(const JsonView& json, ForeignScheme* scheme) {
  if (!json.Has("actorder") || json.At("actorder").json() == false) return;
  const JsonView order = json.At("actorder");
  const std::string name = order.json() == true ? "group" : order.String();
  if (name == "static" || name == "weight") return;  // how the codes were found; they are stored as without
  if (name != "group" && name != "dynamic")
    Fail(order.Where(), "\"{}\" is not known; expected \"static\", \"weight\", \"group\" or null", name);
  scheme->group_index = true;
}

// 0: absent; -1: an output is a group.
int64_t ReadGroupSize(const JsonView& json) {
  const int64_t size = json.IntOr("group_size", 0);
  if (json.Has("group_size") && size != -1 && (size < 1 || size > (int64_t{1} << 30)))
    Fail(json.At("group_size").Where(), "expected 1 to 2^30 or -1 (none), found {}", size);
  return size;
}

void ReadStrategy(const JsonView& json, ForeignScheme* scheme) {
  const int64_t size = ReadGroupSize(json);
  const std::string strategy = json.StringOr("strategy", size > 0 ? "group" : size < 0 ? "channel" : "tensor");
  if (strategy == "group") {
    scheme->block_inputs = size;
  } else if (strategy == "block") {
    std::tie(scheme->block_outputs, scheme->block_inputs) = ReadBlock(json.At("block_structure"));
  } else if (strategy == "tensor") {
    scheme->block_outputs = 0;
  } else if (strategy != "channel") {
    Fail(json.At("strategy").Where(),
         "\"{}\" is not supported; expected \"group\", \"channel\", \"tensor\" or \"block\"", strategy);
  }
  if (json.Has("block_structure") && strategy != "block")
    Fail(json.At("block_structure").Where(), "is of strategy \"block\", and the strategy is \"{}\"", strategy);
  if ((size > 0) != (strategy == "group"))
    Fail(json.Where(), "has strategy \"{}\" and group_size {}; groups have a size, and nothing else has", strategy,
         size);
}

// Of weights, and of what ECLD does not round.
const std::vector<std::string> kArguments = {
    "num_bits", "type",     "symmetric",   "group_size", "strategy", "block_structure",
    "dynamic",  "actorder", "scale_dtype", "zp_dtype",   "observer", "observer_kwargs"};

ForeignScheme ReadWeights(const JsonView& json, const std::string& format) {
  RequireKeys(json, kArguments);
  ForeignScheme scheme;
  const std::string type = json.StringOr("type", format == "float-quantized" ? "float" : "int");
  const bool is_float = format == "float-quantized" || (format == "naive-quantized" && type == "float");
  if (type != (is_float ? "float" : "int"))
    Fail(json.At("type").Where(), "\"{}\" is not supported; expected \"{}\"", type, is_float ? "float" : "int");
  if (json.Has("dynamic") && json.At("dynamic").json() != false)
    Fail(json.At("dynamic").Where(), "dynamic weight quantization is not supported");
  const int64_t bits = json.IntOr("num_bits", 8);
  if (is_float && bits != 8) Fail(json.At("num_bits").Where(), "expected 8, found {}", bits);
  if (bits < 1 || bits > 8) Fail(json.At("num_bits").Where(), "expected 1 to 8, found {}", bits);
  scheme.bits = static_cast<int>(bits);
  scheme.symmetric = json.BoolOr("symmetric", true);
  if (is_float && !scheme.symmetric) Fail(json.At("symmetric").Where(), "8-bit floats have no zero points");
  scheme.layout = is_float                     ? ForeignLayout::kFloat
                  : format == "pack-quantized" ? ForeignLayout::kPacked
                                               : ForeignLayout::kInteger;
  ReadStrategy(json, &scheme);
  ReadActivationOrder(json, &scheme);
  return scheme;
}

std::string Describe(const JsonView& json) {
  RequireKeys(json, kArguments);
  return fmt::format("{}-bit {}", json.IntOr("num_bits", 8),
                     json.StringOr("type", "int") == "float" ? "floats" : "integers");
}

ForeignConfig::Group ReadGroup(const std::string& name, const JsonView& json, const std::string& all,
                               ForeignConfig* config) {
  if (json.json().is_array())
    Fail(json.Where(), "a preset of schemes by name is not supported; expected the scheme itself");
  RequireKeys(json, {"targets", "weights", "input_activations", "output_activations", "format"});
  ForeignConfig::Group group{name, ReadModuleNames(json.At("targets")), std::nullopt};
  if (json.Has("weights")) group.scheme = ReadWeights(json.At("weights"), FormatOf(json, all));
  for (const char* key : {"input_activations", "output_activations"})
    if (json.Has(key))
      config->unapplied.push_back(fmt::format("{} of {} are not rounded to {}, as a runtime of their format does", key,
                                              name, Describe(json.At(key))));
  return group;
}

void RefuseSparsity(const JsonView& json) {
  if (!json.Has("sparsity_config")) return;
  const JsonView sparsity = json.At("sparsity_config");
  RequireKeys(sparsity, {"format", "targets", "ignore", "global_sparsity", "sparsity_structure"});
  const std::string format = sparsity.StringOr("format", "dense");
  if (format != "dense")
    Fail(sparsity.At("format").Where(), "\"{}\" is not supported; expected \"dense\": zeros stored as they are",
         format);
}

}  // namespace

ForeignConfig ParseCompressedTensors(const JsonView& json) {
  RequireKeys(json, {"quant_method", "format", "quantization_status", "global_compression_ratio", "kv_cache_scheme",
                     "ignore", "config_groups", "version", "sparsity_config", "transform_config", "moe_sparsity_config",
                     "run_compressed", "dequantize"});
  // "frozen": written before they were compressed, or by a program that leaves the word; the tensors tell which.
  RequireOneOf(json, "quantization_status", {"compressed", "frozen"});
  RefuseSparsity(json);
  const std::string format =
      json.StringOr("format", "") == kMixed ? std::string(kMixed) : ReadFormat(json, "pack-quantized");
  if (json.Has("moe_sparsity_config"))
    Fail(json.At("moe_sparsity_config").Where(), "sparse experts are not supported; expected null");
  ForeignConfig config;
  if (json.Has("ignore")) config.ignore = ReadModuleNames(json.At("ignore"));
  const JsonView groups = json.At("config_groups");
  for (const auto& name : groups.Keys()) config.groups.push_back(ReadGroup(name, groups.At(name), format, &config));
  if (json.Has("kv_cache_scheme"))
    config.unapplied.push_back(fmt::format("keys and values are kept as --kv says, not as {} (kv_cache_scheme)",
                                           Describe(json.At("kv_cache_scheme"))));
  if (json.Has("transform_config")) config.transforms = ParseTransforms(json.At("transform_config"));
  return config;
}

}  // namespace ecld
