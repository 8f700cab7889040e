#include "profile/query/sections.h"

namespace ecld {
namespace {

std::optional<std::string> Text(const JsonView& section, std::string_view key) {
  return section.Has(key) ? std::optional(section.At(key).String()) : std::nullopt;
}

std::optional<double> Number(const JsonView& section, std::string_view key) {
  return section.Has(key) ? std::optional(section.At(key).Number()) : std::nullopt;
}

std::optional<int64_t> Count(const JsonView& section, std::string_view key) {
  return section.Has(key) ? std::optional(section.At(key).Int()) : std::nullopt;
}

std::optional<bool> Flag(const JsonView& section, std::string_view key) {
  return section.Has(key) ? std::optional(section.At(key).Bool()) : std::nullopt;
}

std::vector<int64_t> PerLayer(const JsonView& list) {
  std::vector<int64_t> values;
  for (size_t i = 0; i < list.Size(); ++i) values.push_back(list.At(i).Int());
  return values;
}

Variant::Architecture ArchitectureOf(const JsonView& arch) {
  return {.layers = arch.At("n_layers").Int(),
          .hidden = arch.At("d_model").Int(),
          .vocab = arch.At("vocab").Int(),
          .heads = PerLayer(arch.At("n_head")),
          .kv_heads = PerLayer(arch.At("n_kv_head")),
          .intermediate = PerLayer(arch.At("d_ff")),
          .tied = arch.At("tie_embeddings").Bool()};
}

Variant::Storage StorageOf(const JsonView& quant) {
  return {.bits = quant.At("bits").Number(),
          .embed_bits = quant.At("embed_bits").Number(),
          .head_bits = quant.At("head_bits").Number(),
          .kv_bits = quant.At("kv_bits").Number(),
          .group = Count(quant, "group"),
          .symmetric = Flag(quant, "sym"),
          .zero_point = Flag(quant, "zero_point")};
}

}  // namespace

Variant VariantOf(const DeviceProfile& profile) {
  const JsonView section(profile.variant, "profile.json", "variant");
  return {.id = section.At("id").String(),
          .weights_sha256 = section.At("weights_sha256").String(),
          .base_model = Text(section, "base_model"),
          .recipe_sha256 = Text(section, "recipe_sha256"),
          .parent_variant = Text(section, "parent_variant"),
          .arch = ArchitectureOf(section.At("arch")),
          .quant = StorageOf(section.At("quant")),
          .params = section.At("params").Int(),
          .file_B = section.At("file_B").Int(),
          .storage_B = Count(section, "storage_B")};
}

Device DeviceOf(const DeviceProfile& profile) {
  const JsonView section(profile.device, "profile.json", "device");
  return {.id = section.At("id").String(),
          .name = section.At("name").String(),
          .kind = section.At("kind").String(),
          .role = section.At("role").String(),
          .vendor = Text(section, "vendor"),
          .compute_capability = Text(section, "compute_capability"),
          .driver = Text(section, "driver"),
          .runtime = Text(section, "runtime"),
          .mem_capacity_B = section.At("mem_capacity_B").Int(),
          .mem_Bps = Number(section, "mem_bw_Bps"),
          .fp16_flops = Number(section, "peak_fp16_flops"),
          .tdp_W = Number(section, "tdp_W"),
          .idle_W = Number(section, "idle_W"),
          .power_cap_W = Number(section, "power_cap_W"),
          .threads = Count(section, "threads")};
}

}  // namespace ecld
