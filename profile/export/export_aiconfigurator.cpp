// NVIDIA AIConfigurator 0.12 (Apache-2.0; tables and system files as its package has them): a `systems` directory with
// a device of ours, whose tables of products and attention it adds up to times of a model. It knows backends by name
// and takes tables of no other, so ours stand under vllm 0.24.0, and say in their first columns whose they are.

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "profile/export/export_parts.h"
#include "profile/query/sections.h"

namespace ecld {
namespace {

constexpr std::string_view kWhere = "export to aiconfigurator";
constexpr std::string_view kBackend = "vllm", kBackendVersion = "0.24.0";

// The device's id is the name of a file and of a folder there.
std::string SystemName(const DeviceProfile& profile) {
  const std::string id = DeviceOf(profile).id;
  const bool plain = std::all_of(id.begin(), id.end(),
                                 [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
  if (id.empty() || id.front() == '.' || !plain)
    Fail(kWhere, "device.id \"{}\" cannot name a system: letters, digits, '.', '-' and '_' would be right", id);
  return id;
}

std::string GemmDtype(const std::string& dtype) {
  if (dtype == "bf16" || dtype == "f16") return "bfloat16";  // its one 16-bit type
  if (dtype == "int4_wo" || dtype == "int8_wo") return dtype;
  Fail(kWhere, "weights stored as {} have no name there; bf16, f16, int4_wo and int8_wo have", dtype);
}

std::string KvDtype(const DeviceProfile& profile) {
  const double bits = VariantOf(profile).quant.kv_bits;
  if (bits == 16) return "bfloat16";
  if (bits == 8) return "int8";
  Fail(kWhere, "a cache of {} bits has no name there; 16 and 8 have", bits);
}

class AiTables {
 public:
  explicit AiTables(const DeviceProfile& profile) : profile_(profile) {}

  // The same product serves one row of its table for each m.
  void AddGemm(const OpTimes& times, int64_t n, int64_t k, const std::string& dtype) {
    const double bytes = dtype == "bfloat16" ? 2 : dtype == "int8_wo" ? 1 : 0.5;
    for (const auto& [m, time] : times) {
      Note(bytes * static_cast<double>(m * n + m * k + n * k), time.ms);
      Json cells = Start("gemm", time.kernel);
      for (const Json& cell : {Json(dtype), Json(m), Json(n), Json(k), Json(time.ms)}) cells.push_back(cell);
      AddCsvLine(gemm, cells);
    }
  }

  void AddAttention(const UniformShape& shape, int64_t head_dim, bool context) {
    const OpTimes times = FastestOps(profile_, context ? "attn_prefill" : "attn_decode",
                                     {{"heads", shape.heads}, {"kv_heads", shape.kv_heads}, {"batch", 1}}, kWhere);
    const std::string kv = KvDtype(profile_);
    for (const auto& [ctx, time] : times) {
      const int64_t kv_B = 2 * shape.kv_heads * (ctx - 1) * (kv == "bfloat16" ? 2 : 1);
      if (!context) Note(static_cast<double>((4 * shape.heads + kv_B) * head_dim), time.ms);
      Json cells = Start(context ? "context_attention" : "generation_attention", time.kernel);
      for (const Json& cell :
           {Json(1), Json(context ? ctx : 1), Json(shape.heads), Json(shape.kv_heads), Json(head_dim), Json(1),
            Json("bfloat16"), Json(kv), Json(context ? 0 : ctx - 1), Json(0), Json(time.ms)})
        cells.push_back(cell);
      AddCsvLine(context ? context_attention : generation_attention, cells);
    }
  }

  // No time of ours counts as faster than memory of this rate allows, by the bytes that it assumes: it would replace
  // it.
  double bytes_per_s = 0;
  std::string gemm = CsvHeader("framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency");
  std::string context_attention = CsvHeader(kAttentionColumns);
  std::string generation_attention = CsvHeader(kAttentionColumns);

 private:
  void Note(double bytes, double ms) {
    if (ms > 0) bytes_per_s = std::max(bytes_per_s, bytes / ms * 1000);
  }

  static constexpr std::string_view kAttentionColumns =
      "framework,version,device,op_name,kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,"
      "beam_width,attn_dtype,kv_cache_dtype,step,window_size,latency";

  Json Start(const char* op, const std::string& kernel) const {
    return {"ECLD", profile_.tool["version"], DeviceOf(profile_).name, op, kernel};
  }

  const DeviceProfile& profile_;
};

// What the device computes at most: as the profile says, else the highest rate that any of its operations reached.
double PeakFlops(const DeviceProfile& profile) {
  if (const auto declared = DeviceOf(profile).fp16_flops; declared.value_or(0) > 0) return *declared;
  double peak = 0;
  const Table& ops = profile.At("ops");
  for (size_t row = 0; row < ops.rows().size(); ++row)
    peak = std::max(peak, ops.Number(row, "tflops").value_or(0) * 1e12);
  if (peak <= 0) Fail(kWhere, "needs device.peak_fp16_flops or tflops in ops.csv, and this profile has neither");
  return peak;
}

// It prices what lies between the products by bytes / (mem_bw * its factor) plus a constant: by the rate at which the
// memory was read, and what a norm of one row took beyond that. mem_bw alone is the rate of its lower bounds.
std::string SystemYaml(const DeviceProfile& profile, const UniformShape& shape, const std::string& name,
                       double fastest_bytes_per_s) {
  const double bytes_per_s = RequireNumber(profile, "device", "mem_bw_Bps", kWhere), peak = PeakFlops(profile);
  if (bytes_per_s <= 0) Fail(kWhere, "needs device.mem_bw_Bps above 0");
  const double bound_Bps = std::max(bytes_per_s, fastest_bytes_per_s);
  const OpTime norm = FastestOps(profile, "norm", {{"n", shape.hidden}}, kWhere).begin()->second;
  const double constant_s = std::max(0.0, norm.ms / 1000 - 8 * static_cast<double>(shape.hidden) / bytes_per_s);
  const Device device = DeviceOf(profile);
  const auto sm = device.compute_capability ? static_cast<int>(10 * std::atof(device.compute_capability->c_str())) : 80;
  std::string yaml = fmt::format(
      "# Written by ECLD from the profile of {} on {}.\n"
      "data_dir: data/{}\n"
      "gpu:\n"
      "  mem_bw: {}\n"
      "  mem_bw_empirical_scaling_factor: {}\n"
      "  mem_empirical_constant_latency: {}\n"
      "  mem_capacity: {}\n",
      Json(VariantOf(profile).id).dump(), Json(device.name).dump(), name, bound_Bps, bytes_per_s / bound_Bps,
      constant_s, device.mem_capacity_B);
  for (const char* type : {"bfloat16", "int8", "fp8"}) yaml += fmt::format("  {}_tc_flops: {}\n", type, peak);
  if (device.tdp_W) yaml += fmt::format("  power: {}\n", *device.tdp_W);
  yaml += fmt::format("  sm_version: {}\n", sm > 0 ? sm : 80);
  // One device: nothing goes between several.
  yaml += fmt::format(
      "node:\n"
      "  num_gpus_per_node: 1\n"
      "  inter_node_bw: {0}\n"
      "  intra_node_bw: {0}\n"
      "  pcie_bw: {0}\n"
      "  p2p_latency: 0.0\n"
      "misc:\n"
      "  nccl_mem: {{1: 0}}\n"
      "  other_mem: 0\n"
      "  nccl_version: 'none'\n",
      bytes_per_s);
  return yaml;
}

std::string CollectionMeta(const std::vector<std::string>& tables) {
  std::string yaml =
      fmt::format("schema_version: 1\nprovenance: ecld\nruntime:\n  framework: {}\n  version: {}\ntables:\n", kBackend,
                  kBackendVersion);
  for (const std::string& table : tables) yaml += fmt::format("  {}:\n    status: complete\n", table);
  return yaml;
}

std::string ModelConfig(const DeviceProfile& profile, const UniformShape& shape, int64_t head_dim) {
  const Json& longest = profile.limits["max_ctx_tok"];
  Json config = {{"architectures", {"LlamaForCausalLM"}},
                 {"model_type", "llama"},
                 {"hidden_size", shape.hidden},
                 {"intermediate_size", shape.intermediate},
                 {"num_hidden_layers", shape.layers},
                 {"num_attention_heads", shape.heads},
                 {"num_key_value_heads", shape.kv_heads},
                 {"head_dim", head_dim},
                 {"vocab_size", shape.vocab},
                 {"max_position_embeddings", longest.is_number() ? longest : Json(0)},
                 {"tie_word_embeddings", VariantOf(profile).arch.tied},
                 {"torch_dtype", "bfloat16"}};
  return config.dump(2) + "\n";
}

}  // namespace

ExportedFiles ExportAiConfigurator(const DeviceProfile& profile) {
  const UniformShape shape = RequireUniformShape(profile, kWhere);
  const std::string name = SystemName(profile);
  const ProductTimes block = MeasuredBlockOps(profile, shape, kWhere);
  const int64_t query = shape.heads * block.head_dim, keys = 2 * shape.kv_heads * block.head_dim;
  AiTables tables(profile);
  tables.AddGemm(block.qkv, query + keys, shape.hidden, GemmDtype(block.qkv.begin()->second.dtype));
  // Where the shape is that of another product, the later row would replace the earlier one.
  tables.AddGemm(block.output, shape.hidden, query, GemmDtype(block.output.begin()->second.dtype));
  tables.AddGemm(block.gate_up, 2 * shape.intermediate, shape.hidden, GemmDtype(block.gate_up.begin()->second.dtype));
  tables.AddGemm(block.down, shape.hidden, shape.intermediate, GemmDtype(block.down.begin()->second.dtype));
  // The head's product is of 16 bits there, whatever the others are; its row holds the time of ours, however stored.
  tables.AddGemm(FastestOps(profile, "head", {{"n", shape.vocab}, {"k", shape.hidden}}, kWhere), shape.vocab,
                 shape.hidden, "bfloat16");
  tables.AddAttention(shape, block.head_dim, true);
  tables.AddAttention(shape, block.head_dim, false);

  const std::string data = fmt::format("systems/data/{}/", name),
                    of = fmt::format("/{}/{}/", kBackend, kBackendVersion);
  return {
      {"model/config.json", ModelConfig(profile, shape, block.head_dim)},
      {fmt::format("systems/{}.yaml", name), SystemYaml(profile, shape, name, tables.bytes_per_s)},
      {data + "gemm" + of + "gemm_perf.csv", tables.gemm},
      {data + "gemm" + of + "collection_meta.yaml", CollectionMeta({"gemm_perf"})},
      {data + "attention" + of + "context_attention_perf.csv", tables.context_attention},
      {data + "attention" + of + "generation_attention_perf.csv", tables.generation_attention},
      {data + "attention" + of + "collection_meta.yaml",
       CollectionMeta({"context_attention_perf", "generation_attention_perf"})},
  };
}

}  // namespace ecld
