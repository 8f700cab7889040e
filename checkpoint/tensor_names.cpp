#include "checkpoint/tensor_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "core/error.h"

namespace ecld {
namespace {

constexpr std::string_view kPrefix = "model.", kHead = "lm_head";

// Every model of the four families has it, and stored in no other way.
constexpr std::string_view kAnchor = "layers.0.input_layernorm.weight";

constexpr std::string_view kOfDecoder[] = {"embed_tokens.", "layers.", "norm.", "rotary_emb."};

// Where a wrapper puts the decoder and its head. The first that fits is taken.
constexpr ModuleNames::Prefixes kWrappers[] = {
    {"", ""},                                      // AutoModel: the decoder alone
    {"language_model.model.", "language_model."},  // multi-modal, as saved before transformers 4.52
    {"model.language_model.", ""},                 // multi-modal, today
    {"language_model.", ""},
    {"module.model.", "module."},        // saved out of data-parallel training
    {"_orig_mod.model.", "_orig_mod."},  // saved out of torch.compile
    {"base_model.model.model.", "base_model.model."},
};
constexpr ModuleNames::Prefixes kLoaded = kWrappers[2];  // what transformers calls those of a multi-modal model

// Buffers, by the end of their names.
constexpr std::string_view kBuffers[] = {
    "rotary_emb.inv_freq",   "rotary_emb.original_inv_freq",
    "rotary_emb.cos_cached", "rotary_emb.sin_cached",
    "causal_mask",           "position_ids",
    "attn.masked_bias",
};

// What belongs to a larger model than the text one, by the beginning of the name.
struct Part {
  std::string_view begin, what;
};
constexpr Part kParts[] = {
    {"vision_tower.", "a vision tower"},
    {"model.vision_tower.", "a vision tower"},
    {"vision_model.", "a vision tower"},
    {"model.vision_model.", "a vision tower"},
    {"vision_encoder.", "a vision tower"},
    {"model.vision_encoder.", "a vision tower"},
    {"visual.", "a vision tower"},
    {"model.visual.", "a vision tower"},
    {"model.image_newline", "a vision tower"},
    {"image_newline", "a vision tower"},
    {"vision_language_adapter.", "a multi-modal projector"},
    {"multi_modal_projector.", "a multi-modal projector"},
    {"model.multi_modal_projector.", "a multi-modal projector"},
    {"mm_projector.", "a multi-modal projector"},
    {"model.mm_projector.", "a multi-modal projector"},
    {"patch_merger.", "a multi-modal projector"},
    {"audio_tower.", "an audio tower"},
    {"model.audio_tower.", "an audio tower"},
    {"mtp.", "heads that predict further tokens"},
    {"model.mtp.", "heads that predict further tokens"},
    {"mtp_layers.", "heads that predict further tokens"},
    {"model.mtp_layers.", "heads that predict further tokens"},
    {"medusa_head.", "heads that predict further tokens"},
    {"v_head.", "a value head"},
    {"value_head.", "a value head"},
    {"score.", "a classifier"},
    {"classifier.", "a classifier"},
};

// What a part of a name says of a tensor that nothing reads.
constexpr Part kLosses[] = {
    {"lora_", "part of an adapter; merge it into the model first"},
    {"base_layer.", "of a model with an adapter; merge it first"},
    {"modules_to_save", "of a model with an adapter; merge it first"},
    {"qweight", "codes of a quantization that config.json does not announce for it (quantization_config)"},
    {"qzeros", "zero points of a quantization that config.json does not announce for it (quantization_config)"},
    {"g_idx", "the order of a quantization that config.json does not announce for it (quantization_config)"},
    {"packed", "codes of a quantization that config.json does not announce for it (quantization_config)"},
    {"scale", "a scale that nothing applies; quantization_config must say what it is for"},
    {"zero_point", "a zero point that nothing applies; quantization_config must say what it is for"},
    {"weight_shape", "of a quantization that config.json does not announce for it (quantization_config)"},
    {"absmax", "of bitsandbytes, whose weights are not read; save the model unquantized"},
    {"quant_map", "of bitsandbytes, whose weights are not read; save the model unquantized"},
    {"quant_state", "of bitsandbytes, whose weights are not read; save the model unquantized"},
    {".SCB", "of bitsandbytes, whose weights are not read; save the model unquantized"},
    {"hadamard", "a rotation that nothing applies"},
    {"rotation", "a rotation that nothing applies"},
    {"experts.", "of a mixture of experts, which config.json does not announce"},
};

bool IsOfDecoder(std::string_view name) {
  return std::ranges::any_of(kOfDecoder, [&](std::string_view begin) { return name.starts_with(begin); });
}

std::string_view LossOf(std::string_view name) {
  for (const Part& loss : kLosses)
    if (name.find(loss.begin) != std::string_view::npos) return loss.what;
  return "";
}

// The number in "model.layers.12.mlp..."; -1 where there is none.
int64_t LayerOf(std::string_view name) {
  constexpr std::string_view kLayers = "model.layers.";
  int64_t layer = -1;
  if (name.starts_with(kLayers)) std::from_chars(name.data() + kLayers.size(), name.data() + name.size(), layer);
  return layer;
}

std::string_view PartOf(std::string_view name, const ModelConfig& config) {
  for (const Part& part : kParts)
    if (name.starts_with(part.begin)) return part.what;
  if (name.ends_with(".k_scale") || name.ends_with(".v_scale")) return "a cache in 8-bit floats, which is not kept so";
  if (LayerOf(name) < config.num_layers) return "";
  // Where heads for further tokens are stored; else a config that was cut to the first layers, as transformers takes
  // it.
  const auto next = config.source.find("num_nextn_predict_layers");
  const bool predicts = next != config.source.end() && next->is_number() && *next > 0;
  return predicts ? "heads that predict further tokens" : "layers beyond num_hidden_layers";
}

// Programs that give every packed matrix a bias write zeros.
bool IsZeroBias(std::string_view name, const TensorView& view) {
  return name.ends_with(".bias") && std::ranges::all_of(view.bytes, [](std::byte byte) { return byte == std::byte{}; });
}

std::string WhyNeeded(std::string_view name, const ModelConfig& config) {
  if (const std::string_view loss = LossOf(name); !loss.empty()) return fmt::format("is {}", loss);
  if (name.ends_with(".bias")) return "is a bias that a model of this config.json does not have";
  return fmt::format("is not part of a {} of this config.json, and what it is for is not known", Name(config.family));
}

}  // namespace

bool IsBuffer(std::string_view name) {
  return std::ranges::any_of(kBuffers, [&](std::string_view end) { return name.ends_with(end); });
}

ModuleNames::ModuleNames(Prefixes file) : forms_{file} {
  const Prefixes loaded = file.decoder.find("language_model.") == std::string_view::npos ? Prefixes{} : kLoaded;
  if (file != loaded) forms_.push_back(loaded);
}

std::vector<std::string> ModuleNames::Of(std::string_view module) const {
  std::vector<std::string> names;
  for (const Prefixes& form : forms_)
    names.push_back(module.starts_with(kPrefix) ? fmt::format("{}{}", form.decoder, module.substr(kPrefix.size()))
                                                : fmt::format("{}{}", form.head, module));
  return names;
}

std::optional<std::string> UseStandardNames(TensorViews* tensors, ModuleNames* names) {
  const auto has = [&](std::string_view prefix) { return tensors->contains(fmt::format("{}{}", prefix, kAnchor)); };
  if (has(kPrefix)) return std::nullopt;
  const auto* wrapper = std::ranges::find_if(kWrappers, has, &ModuleNames::Prefixes::decoder);
  if (wrapper == std::end(kWrappers)) return std::nullopt;
  const std::string decoder(wrapper->decoder), head = fmt::format("{}{}.", wrapper->head, kHead);
  TensorViews renamed;
  for (auto& [name, view] : *tensors) {
    std::string standard = name;
    if (name.starts_with(head))
      standard = name.substr(wrapper->head.size());
    else if (name.starts_with(decoder) && IsOfDecoder(std::string_view(name).substr(decoder.size())))
      standard = std::string(kPrefix) + name.substr(decoder.size());
    if (!renamed.emplace(standard, view).second)
      Fail(fmt::format("tensor \"{}\"", name), "is \"{}\" of this model, and so is another one; keep one", standard);
  }
  *tensors = std::move(renamed);
  *names = ModuleNames(*wrapper);
  return fmt::format("its tensors are named \"{}{}\" and so on, and read as \"{}{}\"", decoder, kAnchor, kPrefix,
                     kAnchor);
}

std::vector<std::string> DropUnused(const std::string& where, const ModelConfig& config, const UsedNames& used,
                                    TensorViews* tensors) {
  std::map<std::string_view, std::pair<int64_t, std::string>> parts;  // what -> how many, the first
  std::erase_if(*tensors, [&](const auto& tensor) {
    const auto& [name, view] = tensor;
    if (used.contains(name)) return false;
    if (IsBuffer(name) || IsZeroBias(name, view)) return true;
    const std::string_view part = PartOf(name, config);
    if (part.empty()) Fail(where, "tensor \"{}\" {}", name, WhyNeeded(name, config));
    auto& [count, first] = parts.try_emplace(part, 0, name).first->second;
    ++count;
    return true;
  });
  std::vector<std::string> notes;
  for (const auto& [what, found] : parts)
    notes.push_back(fmt::format("{} tensors of {} are passed over (first: {})", found.first, what, found.second));
  return notes;
}

std::string HintOfUnused(const UsedNames& used, const TensorViews& tensors) {
  for (const auto& [name, view] : tensors)
    if (!used.contains(name) && !LossOf(name).empty()) return fmt::format("; \"{}\" is {}", name, LossOf(name));
  return "";
}

}  // namespace ecld
