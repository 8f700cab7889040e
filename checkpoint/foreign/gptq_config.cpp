// GPTQ, AWQ, and AutoRound's form of the two. Most of their fields say how the codes were found.

#include <algorithm>

#include "checkpoint/foreign/foreign_config.h"
#include "core/error.h"

namespace ecld {
namespace {

// Of AutoRound's search, in all three of its exports.
const std::vector<std::string> kAutoRoundSearch = {"amp",
                                                   "autoround_version",
                                                   "batch_size",
                                                   "block_name_to_quantize",
                                                   "damp_percent",
                                                   "dataset",
                                                   "desc_act",
                                                   "enable_minmax_tuning",
                                                   "enable_norm_bias_tuning",
                                                   "enable_quanted_input",
                                                   "gradient_accumulate_steps",
                                                   "iters",
                                                   "low_gpu_mem_usage",
                                                   "lr",
                                                   "minmax_lr",
                                                   "nsamples",
                                                   "provider",
                                                   "quant_block_list",
                                                   "scale_dtype",
                                                   "seqlen",
                                                   "supported_types",
                                                   "to_quant_block_names",
                                                   "true_sequential"};
// What AutoRound says of the codes and of activations; CheckAutoRound reads them.
const std::vector<std::string> kAutoRoundForm = {"data_type",
                                                 "act_bits",
                                                 "act_data_type",
                                                 "act_dynamic",
                                                 "act_group_size",
                                                 "act_sym",
                                                 "super_bits",
                                                 "super_group_size",
                                                 "static_kv_dtype",
                                                 "static_kv_granularity",
                                                 "static_attention_dtype",
                                                 "static_attention_granularity",
                                                 "rotation_config",
                                                 "rotation_configs"};
// Of GPTQ's search and of the kernels it is run with.
const std::vector<std::string> kGptqSearch = {"act_group_aware",
                                              "backend",
                                              "cache_block_outputs",
                                              "damp_auto_increment",
                                              "disable_exllama",
                                              "exllama_config",
                                              "max_input_length",
                                              "meta",
                                              "model_file_base_name",
                                              "model_name_or_path",
                                              "model_seqlen",
                                              "module_name_preceding_first_block",
                                              "modules_in_block_to_quantize",
                                              "mse",
                                              "pad_token_id",
                                              "static_groups",
                                              "tokenizer",
                                              "use_cuda_fp16",
                                              "use_exllama"};

std::vector<std::string> Join(std::initializer_list<std::vector<std::string>> lists) {
  std::vector<std::string> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

void RequireAbsent(const JsonView& json, const std::vector<std::string>& keys) {
  for (const std::string& key : keys)
    if (json.Has(key) && json.At(key).json() != false && !json.At(key).json().empty())
      Fail(json.At(key).Where(), "is not supported; expected null");
}

void CheckAutoRound(const JsonView& json, ForeignConfig* config) {
  const std::string type = json.StringOr("data_type", "int");
  if (!type.starts_with("int")) Fail(json.At("data_type").Where(), "\"{}\" is not supported; expected \"int\"", type);
  RequireAbsent(json, {"super_bits", "super_group_size", "rotation_config", "rotation_configs"});
  if (const int64_t bits = json.IntOr("act_bits", 16); bits < 16)
    config->unapplied.push_back(fmt::format("activations are not rounded to {} bits (act_bits)", bits));
  for (const char* key : {"static_kv_dtype", "static_attention_dtype"})
    if (json.Has(key))
      config->unapplied.push_back(fmt::format("{} is not applied: keys and values are kept as --kv says", key));
}

int64_t ReadGroupSize(const JsonView& json, const char* key, int64_t fallback) {
  const int64_t size = json.IntOr(key, fallback);
  if (size != -1 && (size < 1 || size > (int64_t{1} << 30)))
    Fail(json.At(key).Where(), "expected -1 (the whole row) or 1 to 2^30, found {}", size);
  return std::max<int64_t>(size, 0);
}

// THROWS Error where two keys that say the same thing are there and do not.
void RequireSame(const JsonView& json, const char* key, const char* older) {
  if (json.Has(key) && json.Has(older) && json.At(key).json() != json.At(older).json())
    Fail(json.At(older).Where(), "is {}, and {} {}; one of the two is wrong", Shown(json.At(older).json()), key,
         Shown(json.At(key).json()));
}

int ReadBits(const JsonView& json, const char* key, std::initializer_list<int64_t> known) {
  const int64_t bits = json.At(key).Int();
  if (std::find(known.begin(), known.end(), bits) == known.end())
    Fail(json.At(key).Where(), "expected {}, found {}", fmt::join(known, ", "), bits);
  return static_cast<int>(bits);
}

// "dynamic" of GPTQ and "extra_config" of AutoRound: modules that differ. The first that matches counts.
void ReadOverrides(const JsonView& json, const ForeignScheme& main, bool signs, ForeignConfig* config) {
  for (const std::string& name : json.Keys()) {
    const JsonView entry = json.At(name);
    std::string pattern = name;
    const bool left_out = signs && name.starts_with("-:");
    if (signs && (left_out || name.starts_with("+:"))) pattern.erase(0, 2);
    const bool regex = signs || pattern.find_first_of("*+?[]()^$|\\") != std::string::npos;
    const std::string target = regex ? "re:" + pattern : pattern;
    if (regex) RegexMatches(pattern, "", entry.Where());
    std::vector<std::string> known = {"bits", "group_size", "sym", "data_type", "desc_act", "damp_percent"};
    known.insert(known.end(), kAutoRoundForm.begin(), kAutoRoundForm.end());
    RequireKeys(entry, known);
    CheckAutoRound(entry, config);
    if (left_out || entry.IntOr("bits", main.bits) >= 16) {
      config->groups.push_back({pattern, {target}, std::nullopt});
      continue;
    }
    ForeignScheme scheme = main;
    if (entry.Has("bits")) scheme.bits = ReadBits(entry, "bits", {2, 3, 4, 8});
    if (entry.Has("group_size")) scheme.block_inputs = ReadGroupSize(entry, "group_size", 0);
    scheme.symmetric = entry.BoolOr("sym", main.symmetric);
    if (scheme.layout == ForeignLayout::kGptq) scheme.group_index = entry.BoolOr("desc_act", main.group_index);
    config->groups.push_back({pattern, {target}, scheme});
  }
}

bool ReadVersionOne(const JsonView& json) {
  const char* key = json.Has("checkpoint_format") ? "checkpoint_format" : "format";
  const std::string format = json.StringOr(key, "gptq");
  if (const std::string other = json.StringOr("format", format); other != format)
    Fail(json.At("format").Where(), "\"{}\" contradicts checkpoint_format \"{}\"; zero points differ by one", other,
         format);
  if (format != "gptq" && format != "gptq_v2")
    Fail(json.At(key).Where(), "\"{}\" is not supported; expected \"gptq\" or \"gptq_v2\"", format);
  return format == "gptq";
}

}  // namespace

ForeignConfig ParseGptq(const JsonView& json) {
  RequireKeys(json, Join({{"quant_method", "method", "bits", "group_size", "sym", "lm_head", "dynamic",
                           "checkpoint_format", "format", "pack_dtype", "is_marlin_format", "adapter", "rotation"},
                          kGptqSearch,
                          kAutoRoundSearch,
                          kAutoRoundForm}));
  RequireAbsent(json, {"is_marlin_format", "adapter", "rotation"});
  RequireOneOf(json, "method", {"gptq"});
  RequireOneOf(json, "pack_dtype", {"int32"});
  ForeignConfig config;
  CheckAutoRound(json, &config);
  // Without the field the zero points are read from the file, which is right either way.
  ForeignScheme scheme{.layout = ForeignLayout::kGptq,
                       .bits = ReadBits(json, "bits", {2, 3, 4, 8}),
                       .symmetric = json.BoolOr("sym", false),
                       .block_inputs = ReadGroupSize(json, "group_size", 128),
                       .group_index = json.BoolOr("desc_act", false),
                       .zeros_minus_one = ReadVersionOne(json)};
  if (json.Has("dynamic") && !json.At("dynamic").json().empty() && json.At("dynamic").json() != false)
    ReadOverrides(json.At("dynamic"), scheme, true, &config);
  config.groups.push_back({"gptq", {"Linear"}, scheme});
  return config;
}

ForeignConfig ParseAwq(const JsonView& json) {
  RequireKeys(json, Join({{"quant_method",    "bits",
                           "w_bit",           "group_size",
                           "q_group_size",    "sym",
                           "zero_point",      "version",
                           "format",          "modules_to_not_convert",
                           "lm_head",         "pack_dtype",
                           "do_fuse",         "fuse_max_seq_len",
                           "modules_to_fuse", "checkpoint_format",
                           "dynamic",         "method",
                           "adapter",         "rotation"},
                          kGptqSearch,
                          kAutoRoundSearch,
                          kAutoRoundForm}));
  RequireAbsent(json, {"dynamic", "adapter", "rotation"});
  RequireOneOf(json, "method", {"awq"});
  RequireOneOf(json, "pack_dtype", {"int32"});
  for (const char* key : {"version", "format", "checkpoint_format"}) RequireOneOf(json, key, {"gemm"});
  RequireSame(json, "bits", "w_bit");
  RequireSame(json, "group_size", "q_group_size");
  // Which modules were left as they are is seen from their tensors.
  if (json.Has("modules_to_not_convert")) ReadModuleNames(json.At("modules_to_not_convert"));
  ForeignConfig config;
  CheckAutoRound(json, &config);
  config.groups.push_back({"awq",
                           {"Linear"},
                           ForeignScheme{.layout = ForeignLayout::kAwq,
                                         .bits = ReadBits(json, json.Has("w_bit") ? "w_bit" : "bits", {4}),
                                         .symmetric = !json.BoolOr("zero_point", true),
                                         .block_inputs = ReadGroupSize(
                                             json, json.Has("q_group_size") ? "q_group_size" : "group_size", 128)}});
  return config;
}

ForeignConfig ParseAutoRound(const JsonView& json) {
  RequireKeys(json, Join({{"quant_method", "bits", "group_size", "sym", "packing_format", "backend", "extra_config",
                           "lm_head", "modules_to_not_convert"},
                          kAutoRoundSearch,
                          kAutoRoundForm}));
  ForeignConfig config;
  CheckAutoRound(json, &config);
  const std::string packing = json.StringOr("packing_format", "auto_round:auto_gptq");
  const bool awq = packing == "auto_round:auto_awq" || packing == "auto_round:awq";
  const bool less_one = packing == "auto_round:auto_gptq" || packing == "auto_round:gptq";
  if (!awq && !less_one && packing != "auto_round" && packing != "auto_round:gptqmodel")
    Fail(json.At("packing_format").Where(),
         "\"{}\" is not supported; expected \"auto_round:auto_gptq\", \"auto_round:auto_awq\" or \"auto_round\"",
         packing);
  ForeignScheme scheme{.layout = awq ? ForeignLayout::kAwq : ForeignLayout::kGptq,
                       .bits = awq ? ReadBits(json, "bits", {4}) : ReadBits(json, "bits", {2, 3, 4, 8}),
                       .symmetric = json.BoolOr("sym", true),
                       .block_inputs = ReadGroupSize(json, "group_size", 128),
                       .zeros_minus_one = less_one};
  if (json.Has("extra_config")) ReadOverrides(json.At("extra_config"), scheme, false, &config);
  config.groups.push_back({"auto-round", {"Linear"}, scheme});
  return config;
}

}  // namespace ecld
