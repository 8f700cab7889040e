#include "checkpoint/foreign/foreign_config.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/error.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

struct MethodRow {
  std::string_view name;
  ForeignConfig (*parse)(const JsonView&);
};

constexpr std::array kMethods = {
    MethodRow{kGroupsMethod, ParseCompressedTensors},
    MethodRow{"fp8", ParseFp8},
    MethodRow{"fbgemm_fp8", ParseFp8},
    MethodRow{"gptq", ParseGptq},
    MethodRow{"awq", ParseAwq},
    MethodRow{"auto-round", ParseAutoRound},
};

// The files of two programs that wrote no quantization_config into config.json at first.
struct FileRow {
  const char* name;
  std::string_view method;
};
constexpr std::array kFiles = {FileRow{"quantize_config.json", "gptq"}, FileRow{"quant_config.json", "awq"}};

bool SameSchemes(const ForeignConfig& a, const ForeignConfig& b) {
  return a.ignore == b.ignore && std::ranges::equal(a.groups, b.groups, [](const auto& x, const auto& y) {
           return x.targets == y.targets && x.scheme == y.scheme;
         });
}

// THROWS Error: other programs do not agree on which of two groups counts.
void RequireOneGroup(const ForeignConfig& config, const ForeignConfig::Group& found,
                     const std::vector<std::string>& names, std::string_view module_class) {
  const auto rank = [&](const ForeignConfig::Group& group) {
    int best = 0;
    for (const auto& target : group.targets) best = std::max(best, Specificity(target, names, module_class));
    return best;
  };
  for (const auto& group : config.groups)
    if (group.scheme != found.scheme && rank(group) == rank(found))
      Fail("quantization_config: config_groups",
           "{} and {} say different things of {}, and neither names it more closely; expected one of them", found.name,
           group.name, names[0]);
}

// What would be right where "quant_method" is missing.
std::string MethodHint(const JsonView& json) {
  if (json.Has("load_in_4bit") || json.Has("load_in_8bit"))
    return "these are keys of bitsandbytes, whose weights are not read; save the model unquantized";
  if (json.Has("config_groups")) return "\"compressed-tensors\" is the method that has config_groups";
  if (json.Has("weight_block_size")) return "\"fp8\" is the method that has weight_block_size";
  if (json.Has("zero_point") || json.Has("w_bit")) return "\"awq\" is the method that has these keys";
  if (json.Has("desc_act")) return "\"gptq\" is the method that has desc_act";
  return "it names the program that quantized the model";
}

}  // namespace

std::optional<PackedFormat> ForeignScheme::Packed() const {
  const PackedFormat format{bits, block_inputs, symmetric};
  if (layout == ForeignLayout::kFloat || !IsFormat(format)) return std::nullopt;
  return format;
}

const ForeignScheme* ForeignConfig::SchemeOf(const std::vector<std::string>& names,
                                             std::string_view module_class) const {
  const auto group = MostSpecific(groups, ignore, names, module_class);
  if (group && method == kGroupsMethod) RequireOneGroup(*this, *group, names, module_class);
  return group && group->scheme ? &*group->scheme : nullptr;
}

std::optional<QuantizationConfig> ForeignConfig::Native() const {
  if (!transforms.empty()) return std::nullopt;
  QuantizationConfig native;
  native.ignore = ignore;
  for (const Group& group : groups) {
    const auto& scheme = group.scheme;
    if (!scheme || scheme->layout != ForeignLayout::kPacked || scheme->group_index || scheme->block_outputs != 1)
      return std::nullopt;
    const auto format = scheme->Packed();
    if (!format) return std::nullopt;
    native.groups.push_back({group.name, group.targets, *format});
  }
  return native;
}

std::pair<int64_t, int64_t> ReadBlock(const JsonView& json) {
  constexpr int64_t kMost = int64_t{1} << 30;
  int64_t outputs = 0, inputs = 0;
  if (json.json().is_string()) {
    const std::string text = json.String();
    const char* end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, outputs);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != 'x' ||
        std::from_chars(first.ptr + 1, end, inputs).ptr != end)
      outputs = 0;
  } else if (json.Size() == 2) {
    outputs = json.At(size_t{0}).Int();
    inputs = json.At(size_t{1}).Int();
  }
  if (outputs < 1 || outputs > kMost || inputs < 1 || inputs > kMost)
    Fail(json.Where(), "expected two numbers from 1 to 2^30, outputs and inputs of a block, found {}",
         Shown(json.json()));
  return {outputs, inputs};
}

ForeignConfig ParseForeignConfig(const JsonView& json) {
  const std::string method = json.StringOr("quant_method", "");
  std::vector<std::string> known;
  for (const MethodRow& row : kMethods) {
    known.emplace_back(row.name);
    if (row.name != method) continue;
    ForeignConfig config = row.parse(json);
    config.method = method;
    config.source = json.json();
    return config;
  }
  if (!json.Has("quant_method"))
    Fail(json.Where(), "quant_method is missing; expected one of {}; {}", fmt::join(known, ", "), MethodHint(json));
  Fail(json.At("quant_method").Where(), "\"{}\" is not supported; expected {}", method, fmt::join(known, ", "));
}

std::vector<std::string> ReadQuantizeFile(const fs::path& directory, std::optional<ForeignConfig>* config) {
  std::vector<std::string> notes;
  for (const FileRow& row : kFiles) {
    const fs::path path = directory / row.name;
    if (!fs::exists(path) || (*config && (*config)->method != row.method)) continue;
    Json json = ReadJsonFile(path);
    if (json.is_object() && !json.contains("quant_method")) json["quant_method"] = row.method;
    ForeignConfig found = ParseForeignConfig(JsonView(json, path.string()));
    if (!*config)
      *config = std::move(found);
    else if (!SameSchemes(found, **config))
      notes.push_back(fmt::format("{} says otherwise than quantization_config of config.json, which counts", row.name));
  }
  return notes;
}

}  // namespace ecld
