#include "profiler/profile_manifest.h"

#include <algorithm>
#include <vector>

#include "core/hash.h"
#include "core/slug.h"
#include "eval/evaluate.h"
#include "measure/load.h"
#include "measure/measure.h"
#include "profiler/profile_tables.h"

namespace ecld {
namespace {

Json OrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

// Of the resolved recipe, which a run leaves in what it made.
Json RecipeSha256(const std::filesystem::path& directory) {
  const std::filesystem::path recipe = directory / "recipe.yaml";
  return std::filesystem::exists(recipe) ? Json(Sha256HexOfFile(recipe)) : Json(nullptr);
}

double StoredBits(const TensorSpec& spec, const Checkpoint& checkpoint) {
  if (spec.format) return spec.format->bits;
  return 8.0 * static_cast<double>(SizeOf(checkpoint.Stored(spec.name).dtype));
}

// bits: mean over the weights of the blocks. group and sym: null when dense or not the same everywhere.
Json QuantSection(const Checkpoint& checkpoint, KvType kv) {
  double bits = 0, elements = 0, embed_bits = 0, head_bits = 0;
  std::optional<PackedFormat> format;
  bool first = true, same = true;
  for (const TensorSpec& spec : checkpoint.table()) {
    if (!spec.matrix()) continue;
    if (spec.role == Role::kEmbedding)
      embed_bits = head_bits = StoredBits(spec, checkpoint);  // a tied head: the same
    else if (spec.role == Role::kHead)
      head_bits = StoredBits(spec, checkpoint);
    else {
      bits += StoredBits(spec, checkpoint) * static_cast<double>(spec.Elements());
      elements += static_cast<double>(spec.Elements());
      if (first) format = spec.format;
      same &= format == spec.format;
      first = false;
    }
  }
  Json quant = {{"bits", bits / elements},  {"group", nullptr},       {"sym", nullptr},     {"zero_point", nullptr},
                {"embed_bits", embed_bits}, {"head_bits", head_bits}, {"kv_bits", Bits(kv)}};
  if (format && same) {
    quant["group"] = format->group_size;
    quant["sym"] = format->symmetric;
    quant["zero_point"] = !format->symmetric;
  }
  return quant;
}

// All that running the model needs, as stored: what a report or recipe says beside it is not.
int64_t StoredBytes(const std::filesystem::path& directory) {
  constexpr std::string_view kNeeded[] = {"config.json",           "generation_config.json",      "tokenizer.json",
                                          "tokenizer_config.json", "special_tokens_map.json",     "tokenizer.model",
                                          "chat_template.jinja",   "model.safetensors.index.json"};
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() == ".safetensors" || std::ranges::find(kNeeded, name) != std::end(kNeeded))
      bytes += static_cast<int64_t>(entry.file_size());
  }
  return bytes;
}

}  // namespace

Json DeviceSection(const ProfileOptions& options, const DeviceFacts& facts, ThreadPool& pool) {
  return {{"id", options.device_id.empty() ? Slug(facts.cpu) : options.device_id},
          {"vendor", OrNull(facts.vendor)},
          {"name", facts.cpu},
          {"kind", "cpu"},
          {"compute_capability", nullptr},
          {"mem_capacity_B", facts.memory_B},
          {"mem_bw_Bps", MeasureReadBandwidth(pool)},
          {"mem_bw_src", "m"},
          {"peak_fp16_flops", nullptr},
          {"tdp_W", nullptr},
          {"idle_W", nullptr},
          {"driver", nullptr},
          {"runtime", facts.os},
          {"clock_state", {{"locked", nullptr}, {"sm_MHz", nullptr}, {"mem_MHz", nullptr}}},
          {"power_cap_W", nullptr},
          {"role", "ue"},
          {"isa", facts.isa},
          {"features", facts.features},
          {"cores", facts.cores},
          {"threads", pool.size()}};
}

Json DeviceSection(const CatalogueDevice& device) {
  const auto or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"id", device.id},
          {"vendor", nullptr},
          {"name", device.name},
          {"kind", device.kind},
          {"compute_capability", nullptr},
          {"mem_capacity_B", static_cast<int64_t>(device.mem_B)},
          {"mem_bw_Bps", or_null(device.mem_Bps)},
          {"mem_bw_src", "c"},
          {"peak_fp16_flops", or_null(device.fp16_flops)},
          {"tdp_W", or_null(device.power_W)},
          {"idle_W", nullptr},
          {"driver", nullptr},
          {"runtime", nullptr},
          {"clock_state", {{"locked", nullptr}, {"sm_MHz", nullptr}, {"mem_MHz", nullptr}}},
          {"power_cap_W", nullptr},
          {"role", device.kind == "accelerator" ? "edge" : "ue"},
          {"sources", device.sources}};
}

Json VariantSection(const ProfileOptions& options, const RuntimeModel& model) {
  const Checkpoint& checkpoint = model.checkpoint();
  const ModelConfig& config = checkpoint.config();
  const auto layers = static_cast<size_t>(config.num_layers);
  Json arch = {{"n_layers", config.num_layers},
               {"d_model", config.hidden_size},
               {"n_head", std::vector<int64_t>(layers, config.num_heads)},
               {"n_kv_head", std::vector<int64_t>(layers, config.num_kv_heads)},
               {"d_ff", std::vector<int64_t>(layers, config.intermediate_size)},
               {"vocab", config.vocab_size},
               {"tie_embeddings", config.tie_embeddings}};
  int64_t file_B = 0;
  for (int64_t weight_B : WeightBytesByLayer(checkpoint)) file_B += weight_B;
  std::filesystem::path directory = std::filesystem::absolute(options.model).lexically_normal();
  if (directory.filename().empty()) directory = directory.parent_path();
  return {{"id", options.variant_id.empty() ? directory.filename().string() : options.variant_id},
          {"base_model", OrNull(options.base_model)},
          {"recipe_sha256", RecipeSha256(options.model)},
          {"weights_sha256", WeightsSha256(options.model)},
          {"config_sha256", checkpoint.ConfigSha256()},
          {"arch", arch},
          {"quant", QuantSection(checkpoint, options.runtime.Kv())},
          {"params", ParameterCount(config)},
          {"file_B", file_B},
          {"storage_B", StoredBytes(options.model)},
          {"interleaved_B", model.TileBytes()},  // beside it: the copy laid out for the processor
          {"parent_variant", nullptr}};
}

Json ProvenanceSection(const RuntimeOptions& runtime) {
  return {{"precision", Name(runtime.precision)},
          {"kinds", SourceKinds()},
          {"timer", kTimer},
          {"warmup", kProfileWarmup},
          {"reps", kProfileReps},
          {"stat", "median"},
          {"power_source", "none"},
          {"power_scope", nullptr},
          {"datasets", Json::array()},
          {"seed", kProfileSeed}};
}

}  // namespace ecld
