#pragma once
// A profile of a two-layer model with made-up figures that satisfy every rule, for the tests of this room to spoil.

#include "profile/profile.h"

namespace ecld {

inline constexpr int64_t kSmallKvBytesPerTok = 64;  // of each layer

inline Json SmallSection(const char* text) { return ParseJson(text, "test"); }

inline void AddPhase(Table& phase, int64_t batch, int64_t prompt_tok, double prefill_ms) {
  phase.AddRow();
  phase.Set("batch", batch);
  phase.Set("prompt_tok", prompt_tok);
  phase.Set("gen_tok", int64_t{4});
  phase.Set("prefill_ms", prefill_ms);
  phase.Set("tpot_ms", prefill_ms / 10);
  phase.Set("kv_B", batch * (prompt_tok + 4) * 2 * kSmallKvBytesPerTok);
  phase.Set("src", std::string("m"));
  phase.Set("n", int64_t{5});
}

inline void AddLayer(Table& layers, const char* layer, double ms, int64_t weight_B, int64_t kv_B_per_tok) {
  layers.AddRow();
  layers.Set("layer", std::string(layer));
  layers.Set("phase", std::string("prefill"));
  layers.Set("batch", int64_t{1});
  layers.Set("tok", int64_t{16});
  layers.Set("ms", ms);
  layers.Set("weight_B", weight_B);
  layers.Set("kv_B_per_tok", kv_B_per_tok);
  layers.Set("src", std::string("m"));
  layers.Set("n", int64_t{5});
}

inline DeviceProfile SmallProfile() {
  DeviceProfile profile;
  profile.created_utc = "2026-01-31T12:00:00Z";
  profile.tool = SmallSection(R"({"name": "ecld", "version": "0.1.0", "git": null})");
  profile.device = SmallSection(R"({"id": "board", "vendor": null, "name": "Board", "kind": "cpu",
    "compute_capability": null, "mem_capacity_B": 1000000, "mem_bw_Bps": 2.5e9, "peak_fp16_flops": null, "tdp_W": null,
    "idle_W": null, "driver": null, "runtime": null, "clock_state": {"locked": false, "sm_MHz": null, "mem_MHz": null},
    "power_cap_W": null, "role": "ue"})");
  profile.variant = SmallSection(R"({"id": "tiny-w4", "base_model": null, "recipe_sha256": null,
    "weights_sha256": "00", "arch": {"n_layers": 2, "d_model": 8, "n_head": [2, 2], "n_kv_head": [1, 1],
    "d_ff": [16, 12], "vocab": 32, "tie_embeddings": true}, "quant": {"bits": 4, "group": 32, "sym": true,
    "zero_point": false, "embed_bits": 16, "head_bits": 16, "kv_bits": 32}, "params": 1000, "file_B": 1000,
    "parent_variant": null})");
  profile.provenance = SmallSection(R"({"timer": "steady_clock", "warmup": 1, "reps": 5, "stat": "median",
    "power_source": "none", "power_scope": null, "datasets": [], "seed": null})");
  profile.provenance["kinds"] = SourceKinds();
  profile.fit = Json::object();
  profile.limits = SmallSection(R"({"max_batch": 4, "max_ctx_tok": 64, "oom_at": null})");

  Table phase(FindTableSchema("phase", "test"));
  AddPhase(phase, 1, 16, 10);
  AddPhase(phase, 1, 64, 50);
  AddPhase(phase, 4, 16, 30);
  AddPhase(phase, 4, 64, 190);
  profile.tables.emplace("phase", ProfileTable{TableStatus::kComplete, phase});

  Table layers(FindTableSchema("layers", "test"));
  AddLayer(layers, "embed", 0.5, 400, 0);
  AddLayer(layers, "0", 4, 320, kSmallKvBytesPerTok);
  AddLayer(layers, "1", 4, 270, kSmallKvBytesPerTok);
  AddLayer(layers, "head", 1.25, 10, 0);
  profile.tables.emplace("layers", ProfileTable{TableStatus::kComplete, layers});
  return profile;
}

}  // namespace ecld
