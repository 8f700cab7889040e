#include "checkpoint/foreign/foreign_config.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/log.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

struct MethodRow {
  std::string_view name;
  ForeignConfig (*parse)(const JsonView&);
};

constexpr std::array kMethods = {
    MethodRow{"compressed-tensors", ParseCompressedTensors},
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
  return a.groups.size() == b.groups.size() &&
         std::equal(a.groups.begin(), a.groups.end(), b.groups.begin(), [](const auto& x, const auto& y) {
           if (!x.scheme || !y.scheme) return x.scheme.has_value() == y.scheme.has_value();
           return x.targets == y.targets && x.scheme->layout == y.scheme->layout && x.scheme->bits == y.scheme->bits &&
                  x.scheme->symmetric == y.scheme->symmetric && x.scheme->block_inputs == y.scheme->block_inputs &&
                  x.scheme->zeros_minus_one == y.scheme->zeros_minus_one;
         });
}

}  // namespace

std::optional<PackedFormat> ForeignScheme::Packed() const {
  const PackedFormat format{bits, block_inputs, symmetric};
  if (layout == ForeignLayout::kFloat || !IsFormat(format)) return std::nullopt;
  return format;
}

const ForeignScheme* ForeignConfig::SchemeOf(std::string_view module, std::string_view module_class) const {
  const auto group = MostSpecific(groups, ignore, module, module_class);
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
  const auto good = [&](size_t i) { return json.At(i).Int() >= 1 && json.At(i).Int() <= kMost; };
  if (json.Size() != 2 || !good(0) || !good(1))
    Fail(json.Where(), "expected two numbers from 1 to 2^30: outputs and inputs of a block");
  return {json.At(size_t{0}).Int(), json.At(size_t{1}).Int()};
}

ForeignConfig ParseForeignConfig(const JsonView& json) {
  const std::string method = json.StringOr("quant_method", "compressed-tensors");
  std::vector<std::string> known;
  for (const MethodRow& row : kMethods) {
    known.emplace_back(row.name);
    if (row.name != method) continue;
    ForeignConfig config = row.parse(json);
    config.method = method;
    config.source = json.json();
    return config;
  }
  Fail(json.At("quant_method").Where(), "\"{}\" is not supported; expected {}", method, fmt::join(known, ", "));
}

void ReadQuantizeFile(const fs::path& directory, std::optional<ForeignConfig>* config) {
  for (const FileRow& row : kFiles) {
    const fs::path path = directory / row.name;
    if (!fs::exists(path) || (*config && (*config)->method != row.method)) continue;
    Json json = ReadJsonFile(path);
    if (json.is_object() && !json.contains("quant_method")) json["quant_method"] = row.method;
    ForeignConfig found = ParseForeignConfig(JsonView(json, path.string()));
    if (!*config)
      *config = std::move(found);
    else if (!SameSchemes(found, **config))
      LogWarning("{}: says otherwise than quantization_config of config.json, which counts", path.string());
  }
}

}  // namespace ecld
