// vidur (Agrawal et al. 2024): the two tables of its execution time predictor, milliseconds.

#include <array>

#include "core/error.h"
#include "profile/export/export_parts.h"

namespace ecld {
namespace {

constexpr std::string_view kWhere = "export to vidur";
constexpr const char* kStatistics[] = {"min", "max", "mean", "median", "std"};
// The size of a page of its cache: the loader takes no rows of another.
constexpr int64_t kBlockSize = 16;

std::string StatisticsHeader(const std::string& op) {
  std::string header;
  for (const char* statistic : kStatistics) header += fmt::format("time_stats.{}.{},", op, statistic);
  return header;
}

// Of one op; a profile has no mean. Empty where it was not measured at this size.
void AddStatistics(Json& cells, const OpTimes& times, int64_t at) {
  const auto it = times.find(at);
  const OpTime time = it == times.end() ? OpTime{} : it->second;
  const auto cell = [&](const std::optional<double>& value) {
    cells.push_back(value && it != times.end() ? Json(*value) : Json(nullptr));
  };
  cell(time.min_ms);
  cell(time.max_ms);
  cell(std::nullopt);
  cell(time.ms);
  cell(time.std_ms);
}

std::string MlpTable(const DeviceProfile& profile, const UniformShape& shape) {
  const ProductTimes block = MeasuredBlockOps(profile, shape, kWhere);
  const auto rows_of = [&](std::string_view op, const OpSizes& sizes) {
    return FastestOps(profile, op, sizes, kWhere);
  };
  const OpTimes norm = rows_of("norm", {{"n", shape.hidden}});
  // In its order; looking a token's embedding up is not measured, and may be absent there.
  const std::array<std::pair<const char*, OpTimes>, 10> ops = {
      {{"emb", {}},
       {"input_layernorm", norm},
       {"attn_pre_proj", block.qkv},
       {"attn_rope", rows_of("rope", {{"heads", shape.heads}, {"head_dim", block.head_dim}})},
       {"attn_post_proj", block.output},
       {"post_attention_layernorm", norm},
       {"mlp_up_proj", block.gate_up},
       {"mlp_act", rows_of("act", {{"n", shape.intermediate}})},
       {"mlp_down_proj", block.down},
       {"add", rows_of("add", {{"n", shape.hidden}})}}};
  std::string header;
  for (const auto& [name, times] : ops) header += StatisticsHeader(name);
  std::string csv = CsvHeader(header +
                              "n_head,n_kv_head,n_embd,n_expanded_embd,vocab_size,use_gated_mlp,num_tokens,"
                              "num_tensor_parallel_workers");
  for (const auto& [m, unused] : block.qkv) {
    Json cells = Json::array();
    for (const auto& [name, times] : ops) AddStatistics(cells, times, m);
    for (const Json& key : {Json(shape.heads), Json(shape.kv_heads), Json(shape.hidden), Json(shape.intermediate),
                            Json(shape.vocab), Json("True"), Json(m), Json(1)})
      cells.push_back(key);
    AddCsvLine(csv, cells);
  }
  return csv;
}

// Keys and values of so many tokens into the cache of a block: modelled, as the time to write them, since the runtime
// does it together with the rotation.
OpTimes CacheSaves(const DeviceProfile& profile, const OpTimes& like, bool one_token) {
  if (!profile.tables.contains("layers")) Fail(kWhere, "needs layers.csv, which this profile does not have");
  const double bytes_per_s = RequireNumber(profile, "device", "mem_bw_Bps", kWhere);
  const Table& layers = profile.At("layers");
  for (size_t row = 0; row < layers.rows().size(); ++row) {
    const auto kv_B = layers.Number(row, "kv_B_per_tok");
    if (layers.Text(row, "layer") != "0" || !kv_B || bytes_per_s <= 0) continue;
    OpTimes saves;
    for (const auto& [ctx, unused] : like)
      saves[ctx].ms = *kv_B * static_cast<double>(one_token ? 1 : ctx) / bytes_per_s * 1000;
    return saves;
  }
  Fail(kWhere, "needs kv_B_per_tok of layer 0 in layers.csv, and the rate of the memory");
}

std::string AttentionTable(const DeviceProfile& profile, const UniformShape& shape) {
  std::string csv = CsvHeader(StatisticsHeader("attn_prefill") + StatisticsHeader("attn_decode") +
                              StatisticsHeader("attn_kv_cache_save") +
                              "n_embd,n_q_head,n_kv_head,block_size,num_tensor_parallel_workers,max_model_len,"
                              "batch_size,prefill_chunk_size,kv_cache_size,is_prefill,attention_backend");
  const auto max_ctx = static_cast<int64_t>(RequireNumber(profile, "limits", "max_ctx_tok", kWhere));
  for (bool prefill : {true, false}) {
    const OpTimes times = FastestOps(profile, prefill ? "attn_prefill" : "attn_decode",
                                     {{"heads", shape.heads}, {"kv_heads", shape.kv_heads}, {"batch", 1}}, kWhere);
    const OpTimes saves = CacheSaves(profile, times, !prefill);
    for (const auto& [ctx, time] : times) {
      Json cells = Json::array();
      AddStatistics(cells, prefill ? times : OpTimes(), ctx);
      AddStatistics(cells, prefill ? OpTimes() : times, ctx);
      AddStatistics(cells, saves, ctx);
      for (const Json& key : {Json(shape.hidden), Json(shape.heads), Json(shape.kv_heads), Json(kBlockSize), Json(1),
                              Json(max_ctx), Json(1), Json(prefill ? ctx : 0), Json(prefill ? 0 : ctx),
                              Json(prefill ? "True" : "False"), Json(time.kernel)})
        cells.push_back(key);
      AddCsvLine(csv, cells);
    }
  }
  return csv;
}

}  // namespace

ExportedFiles ExportVidur(const DeviceProfile& profile) {
  const UniformShape shape = RequireUniformShape(profile, kWhere);
  return {{"mlp.csv", MlpTable(profile, shape)}, {"attention.csv", AttentionTable(profile, shape)}};
}

}  // namespace ecld
