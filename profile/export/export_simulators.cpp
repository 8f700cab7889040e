// Forms of whole requests: splitwise-sim (Patel et al. 2024; loader of its `db` performance model), DistServe's
// simulator (Zhong et al. 2024), llama.cpp's llama-bench.

#include <set>

#include "core/error.h"
#include "profile/export/export_parts.h"
#include "profile/format/fit.h"
#include "profile/query/lookup.h"
#include "profile/query/sections.h"

namespace ecld {
namespace {

const Table& RequirePhase(const DeviceProfile& profile, std::string_view where) {
  if (!profile.tables.contains("phase")) Fail(where, "needs phase.csv, which this profile does not have");
  return profile.At("phase");
}

Json OrNull(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

// Rows of phase that have both times, and a shape.
std::vector<size_t> TimedRows(const Table& phase, std::string_view where) {
  std::vector<size_t> rows;
  for (size_t row = 0; row < phase.rows().size(); ++row)
    if (phase.Count(row, "batch").value_or(0) > 0 && phase.Count(row, "prompt_tok").value_or(0) > 0 &&
        phase.Count(row, "gen_tok").value_or(0) > 0 && phase.Number(row, "prefill_ms").value_or(0) > 0 &&
        phase.Number(row, "tpot_ms").value_or(0) > 0)
      rows.push_back(row);
  if (rows.empty()) Fail(where, "needs rows of phase.csv with prefill_ms and tpot_ms, and there are none");
  return rows;
}

// Powers are shares of the design power there.
Json PowerShare(const DeviceProfile& profile, const std::optional<double>& watt) {
  const std::optional<double> tdp_W = DeviceOf(profile).tdp_W;
  return watt && tdp_W.value_or(0) > 0 ? Json(*watt / *tdp_W) : Json(nullptr);
}

}  // namespace

// That simulator looks both times up by the tokens of a batch, prompt_size * batch_size, and a decoding request is one
// token. So the token_time of a row with x tokens is that of x requests decoding at once wherever so many were
// measured, and there is a row for each measured number of requests; its prompt_time is by the fit where no prompt has
// so few tokens.
ExportedFiles ExportSplitwise(const DeviceProfile& profile) {
  constexpr std::string_view kWhere = "export to splitwise-sim";
  const Table& phase = RequirePhase(profile, kWhere);
  const JsonView fit(profile.fit, "profile.json", "fit");
  std::map<int64_t, double> tpot_by_batch;  // at the shortest context measured
  std::map<int64_t, int64_t> shortest;
  std::set<int64_t> with_prompt;
  const std::vector<size_t> rows = TimedRows(phase, kWhere);
  for (size_t row : rows) {
    const int64_t batch = *phase.Count(row, "batch"), prompt = *phase.Count(row, "prompt_tok");
    with_prompt.insert(batch * prompt);
    if (const auto it = shortest.find(batch); it != shortest.end() && it->second <= prompt) continue;
    shortest[batch] = prompt;
    tpot_by_batch[batch] = *phase.Number(row, "tpot_ms");
  }
  std::string csv = CsvHeader(
      "model,hardware,prompt_size,batch_size,token_size,peak_power,average_power,prompt_time,token_time,e2e_time,"
      "tensor_parallel");
  const std::string model = VariantOf(profile).id, hardware = DeviceOf(profile).id;
  for (const auto& [batch, tpot_ms] : tpot_by_batch) {
    if (with_prompt.contains(batch)) continue;
    const auto prompt_ms = FittedPrefillMs(fit, 1, static_cast<double>(batch));
    if (!prompt_ms) Fail(kWhere, "needs fit.prefill_ms for prompts of one token, which this profile does not have");
    AddCsvLine(csv, {model, hardware, 1, batch, 1, nullptr, nullptr, *prompt_ms, tpot_ms, nullptr, 1});
  }
  for (size_t row : rows) {
    const int64_t batch = *phase.Count(row, "batch"), prompt = *phase.Count(row, "prompt_tok");
    const auto decode = tpot_by_batch.find(batch * prompt);
    const double tpot_ms = decode != tpot_by_batch.end() ? decode->second : *phase.Number(row, "tpot_ms");
    AddCsvLine(csv, {model, hardware, prompt, batch, *phase.Count(row, "gen_tok"),
                     PowerShare(profile, phase.Number(row, "peak_W")), PowerShare(profile, phase.Number(row, "avg_W")),
                     *phase.Number(row, "prefill_ms"), tpot_ms, OrNull(phase.Number(row, "e2e_ms")), 1});
  }
  return {{"splitwise_perf_model.csv", csv}};
}

// Its two regimes of the batch have the same coefficients here: one line was fitted over all batches.
ExportedFiles ExportDistServe(const DeviceProfile& profile) {
  constexpr std::string_view kWhere = "export to distserve";
  for (const char* time : {"prefill_ms", "decode_ms"})
    if (!profile.fit.contains(time))
      Fail(kWhere, "needs fit.{}, which this profile does not have (phase.csv with three rows or more gives it)", time);
  const Json &prefill = profile.fit["prefill_ms"], &decode = profile.fit["decode_ms"];
  const Json line = {decode["a"], decode["b_ctx"], decode["c_batch"]};
  Json of_tp = {{"decoding_large_small_bs_threshold", decode["range_batch"][1]},
                {"prefill", {prefill["a"], prefill["b"], prefill["c"]}},
                {"decoding_smallbs", line},
                {"decoding_largebs", line}};
  Json json = {{VariantOf(profile).id, {{"1", of_tp}}}};
  return {{"distserve.json", json.dump(2) + "\n"}};
}

namespace {

// Every key of a row of llama-bench, in its order, null where there is nothing to say.
Json LlamaBenchRow(const DeviceProfile& profile) {
  const Variant variant = VariantOf(profile);
  const Device device = DeviceOf(profile);
  const double kv_bits = variant.quant.kv_bits;
  const Json kv = kv_bits == 32 ? "f32" : kv_bits == 16 ? "f16" : kv_bits == 8 ? "int8" : "int4";
  const bool gpu = device.kind == "gpu";
  Json row;
  row["build_commit"] = profile.tool["git"].is_string() ? profile.tool["git"] : profile.tool["version"];
  row["build_number"] = nullptr;
  row["cpu_info"] = gpu ? "" : device.name;
  row["gpu_info"] = gpu ? device.name : "";
  row["backends"] = profile.tool["name"];
  row["model_filename"] = variant.id;
  row["model_type"] = fmt::format("{} {:.3g}-bit", variant.id, variant.quant.bits);
  row["model_size"] = variant.file_B;
  row["model_n_params"] = variant.params;
  for (const char* key : {"n_batch", "n_ubatch"}) row[key] = nullptr;
  row["n_threads"] = device.threads ? Json(*device.threads) : Json(nullptr);
  for (const char* key : {"cpu_mask", "cpu_strict", "poll"}) row[key] = nullptr;
  row["type_k"] = kv;
  row["type_v"] = kv;
  for (const char* key : {"n_gpu_layers", "split_mode", "main_gpu", "no_kv_offload", "flash_attn", "tensor_split",
                          "use_mmap", "embeddings", "n_prompt", "n_gen", "n_depth"})
    row[key] = nullptr;
  row["embeddings"] = false;
  row["test_time"] = profile.created_utc;
  return row;
}

// The median of the profile stands for the mean; single runs and their deviation are not in it.
void AddLlamaBenchRow(std::string& lines, Json row, int64_t n_prompt, int64_t n_gen, int64_t depth, double ms) {
  row["n_prompt"] = n_prompt;
  row["n_gen"] = n_gen;
  row["n_depth"] = depth;
  row["avg_ns"] = static_cast<int64_t>(ms * 1e6);
  row["stddev_ns"] = nullptr;
  row["avg_ts"] = static_cast<double>(n_prompt + n_gen) / (ms / 1000);
  row["stddev_ts"] = nullptr;
  row["samples_ns"] = Json::array();
  row["samples_ts"] = Json::array();
  lines += row.dump() + "\n";
}

}  // namespace

ExportedFiles ExportLlamaBench(const DeviceProfile& profile) {
  constexpr std::string_view kWhere = "export to llama-bench";
  const Table& phase = RequirePhase(profile, kWhere);
  const Json common = LlamaBenchRow(profile);
  std::string lines;
  for (size_t row : TimedRows(phase, kWhere)) {
    if (phase.Count(row, "batch") != 1) continue;
    const int64_t prompt = *phase.Count(row, "prompt_tok"), gen = *phase.Count(row, "gen_tok");
    AddLlamaBenchRow(lines, common, prompt, 0, 0, *phase.Number(row, "prefill_ms"));
    AddLlamaBenchRow(lines, common, 0, gen, phase.Count(row, "ctx_tok").value_or(prompt),
                     *phase.Number(row, "tpot_ms") * static_cast<double>(gen));
  }
  if (lines.empty()) Fail(kWhere, "needs rows of phase.csv at batch 1, the only one it knows, and there are none");
  return {{"llama_bench.jsonl", lines}};
}

}  // namespace ecld
