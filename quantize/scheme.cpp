#include "quantize/scheme.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "checkpoint/linear_groups.h"
#include "core/error.h"

namespace ecld {
namespace {

bool Matches(const std::string& pattern, const std::string& module, const std::string& where) {
  if (pattern.starts_with("re:")) return RegexMatches(std::string_view(pattern).substr(3), module, where);
  return ::fnmatch(pattern.c_str(), module.c_str(), 0) == 0;
}

std::string OverrideWhere(const std::string& where, size_t index) {
  return fmt::format("{}.overrides[{}]", where, index);
}

void CheckScheme(const Scheme& scheme, const ModelConfig& config, const std::string& where) {
  if (config.quantization) Fail(where, "the model is quantized already; quantize the dense one it was made from");
  CheckFormat(scheme.format, where);
  if (scheme.embeddings) CheckFormat(*scheme.embeddings, where + ".embeddings");
  if (scheme.lm_head) CheckFormat(*scheme.lm_head, where + ".lm_head");
  if (scheme.lm_head && config.tie_embeddings)
    Fail(where + ".lm_head", "the head of this model is its embedding (tied); set embeddings instead");
  for (size_t i = 0; i < scheme.overrides.size(); ++i)
    if (scheme.overrides[i].format) CheckFormat(*scheme.overrides[i].format, OverrideWhere(where, i));
}

std::optional<PackedFormat> FormatFor(const Scheme& scheme, const TensorSpec& spec, const std::string& where,
                                      std::set<size_t>* used) {
  for (size_t i = 0; i < scheme.overrides.size(); ++i) {
    if (!Matches(scheme.overrides[i].match, spec.module, OverrideWhere(where, i) + ".match")) continue;
    used->insert(i);
    return scheme.overrides[i].format;
  }
  if (spec.role == Role::kEmbedding) return scheme.embeddings;
  if (spec.role == Role::kHead) return scheme.lm_head;
  return scheme.format;
}

// True when linears of a block that some runtimes fuse do not all have one format.
bool SplitsFused(const std::vector<TensorSpec>& table, int64_t layer) {
  return std::ranges::any_of(kBlockLinears, [&](Role role) {
    return Find(table, role, layer).format != Find(table, GroupOf(role).linears.front(), layer).format;
  });
}

QuantizationConfig AllocatedFormats(const Scheme& scheme, const ModelConfig& config, const std::string& where) {
  if (scheme.embeddings || scheme.lm_head || !scheme.overrides.empty())
    Fail(where, "quantize.allocate chose the format of every matrix; leave out embeddings, lm_head and overrides");
  ModelConfig quantized = config;
  quantized.quantization = config.allocation->formats;
  if (const uint64_t bytes = WeightFileBytes(quantized); bytes != config.allocation->weights_B)
    Fail(where,
         "the model was changed after quantize.allocate chose its formats: they would take {} bytes, not {}; put that "
         "stage right before this one",
         bytes, config.allocation->weights_B);
  return config.allocation->formats;
}

}  // namespace

QuantizationConfig QuantizationOf(const Scheme& scheme, const ModelConfig& config, const std::string& where) {
  CheckScheme(scheme, config, where);
  if (config.allocation) return AllocatedFormats(scheme, config, where);
  QuantizationConfig result;
  // The main format comes first: a client that knows a single scheme takes the first group.
  result.groups.push_back({"group_0", {"Linear"}, scheme.format});
  if (config.tie_embeddings) result.ignore.push_back("lm_head");  // clients still have a module of this name
  std::set<size_t> used;
  for (const auto& spec : TensorTable(config)) {
    if (!spec.matrix()) continue;
    const auto format = FormatFor(scheme, spec, where, &used);
    const bool embedding = spec.role == Role::kEmbedding;
    if (!format) {
      if (!embedding) result.ignore.push_back(spec.module);
      continue;
    }
    if (!embedding && *format == scheme.format) continue;
    auto group = std::find_if(result.groups.begin(), result.groups.end(),
                              [&](const auto& candidate) { return candidate.format == *format; });
    if (group == result.groups.end())
      group = result.groups.insert(group, {fmt::format("group_{}", result.groups.size()), {}, *format});
    group->targets.push_back(embedding ? "Embedding" : spec.module);
  }
  for (size_t i = 0; i < scheme.overrides.size(); ++i)
    if (!used.contains(i))
      Fail(OverrideWhere(where, i) + ".match",
           "\"{}\" matches no matrix of this model, or an earlier one took them all", scheme.overrides[i].match);
  return result;
}

std::vector<std::string> ClientNotes(const ModelConfig& quantized) {
  std::vector<std::string> notes;
  const auto table = TensorTable(quantized);
  bool asymmetric = false, embedding = false, not_4_or_8 = false;
  std::set<std::string> formats, ragged;
  for (const auto& spec : table) {
    if (!spec.format) continue;
    formats.insert(spec.format->Name());
    asymmetric |= !spec.format->symmetric;
    embedding |= spec.role == Role::kEmbedding;
    not_4_or_8 |= spec.format->bits != 4 && spec.format->bits != 8;
    if (spec.format->Ragged(spec.shape[1]))
      ragged.insert(fmt::format("{} inputs in groups of {}", spec.shape[1], spec.format->group_size));
  }
  if (quantized.allocation)
    notes.push_back(
        "formats are those that quantize.allocate chose; this stage's bits, group_size, symmetric do not count");
  for (const auto& shape : ragged)
    notes.push_back(fmt::format(
        "{} leave a short last group: only ECLD's runtime loads that, transformers and vLLM refuse it", shape));
  if (not_4_or_8)
    notes.push_back(
        "2, 3, 5 and 6 bits are packed as compressed-tensors 0.18 and later do: older releases read other values");
  const char* reason = asymmetric && embedding ? "asymmetric groups and a quantized embedding"
                       : asymmetric            ? "asymmetric groups"
                                               : "a quantized embedding";
  // Seen with transformers 5.23 and compressed-tensors 0.20; its dequantizing loader knows one scheme per model.
  if ((asymmetric || embedding) && formats.size() == 1)
    notes.push_back(fmt::format("transformers loads {} only with CompressedTensorsConfig(dequantize=True)", reason));
  if ((asymmetric || embedding) && formats.size() > 1)
    notes.push_back(fmt::format("transformers cannot load {} next to a second format", reason));
  for (int64_t layer = 0; layer < quantized.num_layers; ++layer) {
    if (SplitsFused(table, layer)) {
      notes.push_back("q/k/v or gate/up differ in format within a block: vLLM, which fuses them, cannot load that");
      break;
    }
  }
  return notes;
}

Planned PlanRounding(const Scheme& scheme, const PlanInput& input) {
  Planned planned;
  planned.config = input.config;
  planned.config.quantization = QuantizationOf(scheme, input.config, input.where);
  planned.output_B = WeightFileBytes(planned.config);
  planned.notes = ClientNotes(planned.config);
  return planned;
}

}  // namespace ecld
