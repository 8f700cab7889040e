#pragma once
// A profile of a two-layer model with made-up figures that satisfy every rule, for the tests of this room to spoil.

#include "profile/format/profile.h"

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

inline void AddBin(Table& bins, double low, double high, int64_t n, double acc) {
  bins.AddRow();
  bins.Set("task", std::string("quiz"));
  bins.Set("agg", std::string("mean"));
  bins.Set("bin_lo", low);
  bins.Set("bin_hi", high);
  bins.Set("n", n);
  bins.Set("acc", acc);
  bins.Set("acc_lo", 0.25);
  bins.Set("acc_hi", 0.95);
  bins.Set("src", std::string("m"));
}

inline void AddItem(Table& items, const std::string& id, double uncertainty) {
  items.AddRow();
  items.Set("item_id", id);
  items.Set("a_mean", uncertainty);
  items.Set("src", std::string("m"));
  items.Set("n", int64_t{1});
}

inline void AddCut(Table& cuts, int64_t cut, const char* dtype, int64_t up_B) {
  cuts.AddRow();
  cuts.Set("cut", cut);
  cuts.Set("batch", int64_t{2});
  cuts.Set("tok", int64_t{3});
  cuts.Set("dtype", std::string(dtype));
  cuts.Set("up_B", up_B);
  cuts.Set("src", std::string("r"));
  cuts.Set("n", int64_t{1});
}

// A copy with one more table, or another in its place.
inline DeviceProfile With(DeviceProfile profile, const Table& table) {
  profile.tables.insert_or_assign(std::string(table.schema().name), ProfileTable{TableStatus::kComplete, table});
  return profile;
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

  Table bins(FindTableSchema("uncertainty", "test")), items(FindTableSchema("uncertainty_items", "test"));
  AddBin(bins, 0, 0.5, 2, 0.9);
  AddBin(bins, 0.9, 1, 1, 0.3);
  AddItem(items, "quiz/0", 0.25);
  AddItem(items, "quiz/1", 0.125);
  AddItem(items, "quiz/2", 1);
  Table cuts(FindTableSchema("cuts", "test"));
  AddCut(cuts, 0, "f16", 2 * 3 * 4);
  AddCut(cuts, 1, "f16", 2 * 3 * 8 * 2);
  AddCut(cuts, 1, "f32", 2 * 3 * 8 * 4);
  AddCut(cuts, 2, "f16", 0);
  for (const Table& table : {bins, items, cuts}) profile = With(std::move(profile), table);
  return profile;
}

}  // namespace ecld
