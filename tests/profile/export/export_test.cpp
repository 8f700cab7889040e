#include "profile/export/export.h"

#include <gtest/gtest.h>

#include <sstream>

#include "core/files.h"
#include "profile/format/fit.h"
#include "tests/profile/small_profile.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

void AddOp(Table& ops, const char* op, const char* dtype, const char* kernel, double ms,
           const std::vector<std::pair<const char*, int64_t>>& sizes) {
  ops.AddRow();
  ops.Set("op", std::string(op));
  ops.Set("dtype", std::string(dtype));
  ops.Set("kernel", std::string(kernel));
  for (const auto& [name, size] : sizes) ops.Set(name, size);
  ops.Set("ms", ms);
  ops.Set("ms_min", ms / 2);
  ops.Set("ms_max", ms * 2);
  ops.Set("ms_std", ms / 10);
  ops.Set("tflops", 0.001);
  ops.Set("src", std::string("m"));
  ops.Set("reps", int64_t{5});
}

// Two layers of width 8: 2 heads of 4, 1 key-value head, 16 intermediate channels; 4-bit blocks, a 16-bit head.
// Times are sizes, so that every sum says what is in it: m * n milliseconds, the slow kernel ten times that.
DeviceProfile WithOps() {
  DeviceProfile profile = SmallProfile();
  profile.variant["arch"]["d_ff"] = {16, 16};
  profile.variant["quant"]["kv_bits"] = 16;
  Table ops(FindTableSchema("ops", "test"));
  for (int64_t m : {1, 16}) {
    const auto ms = [m](int64_t n) { return static_cast<double>(m * n); };
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{8, 8}, {4, 8}, {16, 8}, {8, 16}}) {
      AddOp(ops, "gemm", "int4_wo", "slow", 10 * ms(n), {{"m", m}, {"n", n}, {"k", k}});
      AddOp(ops, "gemm", "int4_wo", "fast", ms(n), {{"m", m}, {"n", n}, {"k", k}});
    }
    AddOp(ops, "head", "bf16", "fast", ms(32), {{"m", m}, {"n", 32}, {"k", 8}});
    AddOp(ops, "norm", "f32", "plain", 0.5, {{"m", m}, {"n", 8}});
    AddOp(ops, "act", "f32", "plain", 0.25, {{"m", m}, {"n", 16}});
    AddOp(ops, "add", "f32", "plain", 0.125, {{"m", m}, {"n", 8}});
    AddOp(ops, "rope", "f32", "plain", 0.75, {{"m", m}, {"heads", 2}, {"head_dim", 4}});
  }
  for (int64_t ctx : {16, 64}) {
    const auto size = [ctx](int64_t m) {
      return std::vector<std::pair<const char*, int64_t>>{{"m", m},     {"batch", 1},    {"ctx_tok", ctx},
                                                          {"heads", 2}, {"kv_heads", 1}, {"head_dim", 4}};
    };
    AddOp(ops, "attn_prefill", "f16", "flash", static_cast<double>(ctx), size(ctx));
    AddOp(ops, "attn_decode", "f16", "flash", static_cast<double>(ctx) / 16, size(1));
  }
  profile.tables.emplace("ops", ProfileTable{TableStatus::kComplete, ops});
  profile.fit = FitPhase(profile.At("phase"));
  return profile;
}

// Lines of a CSV text, each as cells.
std::vector<std::vector<std::string>> Cells(const std::string& csv) {
  std::vector<std::vector<std::string>> lines;
  std::istringstream text(csv);
  for (std::string line; std::getline(text, line);) {
    lines.emplace_back();
    std::istringstream cells(line + ",");
    for (std::string cell; std::getline(cells, cell, ',');) lines.back().push_back(cell);
  }
  return lines;
}

std::string Only(const ExportedFiles& files) {
  EXPECT_EQ(files.size(), 1u);
  return files.begin()->second;
}

TEST(Export, UnknownFormatsAreRefusedWithTheKnownOnes) {
  EXPECT_ERROR(ExportProfile(WithOps(), "vidor"), "no format is called \"vidor\" (did you mean vidur?)");
  for (const ExportFormat& format : ExportFormats()) EXPECT_FALSE(ExportProfile(WithOps(), format.name).empty());
}

TEST(Export, WritesWholeDirectoriesAndReplacesNothing) {
  TempDir temp;
  WriteExported(temp / "out", {{"a/b.csv", "1\n"}, {"c.json", "{}\n"}});
  EXPECT_EQ(ReadTextFile(temp / "out/a/b.csv"), "1\n");
  EXPECT_EQ(ReadTextFile(temp / "out/c.json"), "{}\n");
  EXPECT_ERROR(WriteExported(temp / "out", {{"d", ""}}), "exists and is not empty");
  fs::create_directory(temp / "empty");
  WriteExported(temp / "empty", {{"d", "x"}});
  EXPECT_EQ(ReadTextFile(temp / "empty/d"), "x");
  WriteFileAtomically(temp / "file", "");
  EXPECT_ERROR(WriteExported(temp / "file/out", {{"d", ""}}), "cannot be created");
}

// --- splitwise-sim

constexpr const char* kSplitwiseColumns =
    "model,hardware,prompt_size,batch_size,token_size,peak_power,average_power,prompt_time,token_time,e2e_time,"
    "tensor_parallel";

TEST(ExportSplitwise, HasItsColumnsAndTheTimesOfEveryGridPoint) {
  const std::string csv = Only(ExportProfile(WithOps(), "splitwise-sim"));
  EXPECT_TRUE(csv.starts_with(std::string(kSplitwiseColumns) + "\n"));
  const auto lines = Cells(csv);
  ASSERT_EQ(lines.size(), 1u + 2 + 4);  // decoding of 1 and of 4 requests, and the grid
  // 1 and 4 requests decode in the tpot_ms of those batches, at the shortest prompt.
  EXPECT_EQ(lines[1][2] + " " + lines[1][3] + " " + lines[1][8], "1 1 1.0");
  EXPECT_EQ(lines[2][2] + " " + lines[2][3] + " " + lines[2][8], "1 4 3.0");
  EXPECT_EQ(lines[6], (std::vector<std::string>{"tiny-w4", "board", "64", "4", "4", "", "", "190.0", "19.0", "", "1"}));
}

TEST(ExportSplitwise, ARowOfFewTokensHoldsTheDecodeTimeOfThatManyRequests) {
  DeviceProfile profile = WithOps();
  Table phase(FindTableSchema("phase", "test"));
  AddPhase(phase, 1, 16, 10);
  AddPhase(phase, 1, 64, 50);
  AddPhase(phase, 16, 16, 300);
  profile.tables.at("phase").table = phase;
  const auto lines = Cells(Only(ExportProfile(profile, "splitwise-sim")));
  ASSERT_EQ(lines.size(), 1u + 1 + 3) << "a prompt of 16 tokens speaks of 16 requests too";
  EXPECT_EQ(lines[2][2] + " " + lines[2][7] + " " + lines[2][8], "16 10.0 30.0");
}

TEST(ExportSplitwise, PowerIsAShareOfTheDesignPower) {
  DeviceProfile profile = WithOps();
  profile.device["tdp_W"] = 200.0;
  profile.tables.at("phase").table.Set("avg_W", 50.0);
  const auto lines = Cells(Only(ExportProfile(profile, "splitwise-sim")));
  EXPECT_EQ(lines[6][6], "0.25");
  EXPECT_EQ(lines[5][6], "");
}

// --- llama-bench

TEST(ExportLlamaBench, HasItsKeysInOrderAndTheTimesOfBatchOne) {
  std::istringstream lines(Only(ExportProfile(WithOps(), "llama-bench")));
  std::vector<Json> rows;
  for (std::string line; std::getline(lines, line);) rows.push_back(ParseJson(line, "row"));
  ASSERT_EQ(rows.size(), 4u);
  std::string keys;
  for (const auto& [key, value] : rows[0].items()) keys += key + ",";
  EXPECT_EQ(keys,
            "build_commit,build_number,cpu_info,gpu_info,backends,model_filename,model_type,model_size,model_n_params,"
            "n_batch,n_ubatch,n_threads,cpu_mask,cpu_strict,poll,type_k,type_v,n_gpu_layers,split_mode,main_gpu,"
            "no_kv_offload,flash_attn,tensor_split,use_mmap,embeddings,n_prompt,n_gen,n_depth,test_time,avg_ns,"
            "stddev_ns,avg_ts,stddev_ts,samples_ns,samples_ts,");
  EXPECT_EQ(rows[2]["n_prompt"], 64);
  EXPECT_EQ(rows[2]["avg_ns"], 50'000'000);
  EXPECT_DOUBLE_EQ(rows[2]["avg_ts"].get<double>(), 64 / 0.05);
  EXPECT_EQ(rows[3]["n_gen"], 4);
  EXPECT_EQ(rows[3]["n_depth"], 64);
  EXPECT_DOUBLE_EQ(rows[3]["avg_ts"].get<double>(), 1000 / 5.0);
  EXPECT_EQ(rows[3]["model_size"], 1000);
  EXPECT_EQ(rows[3]["type_k"], "f16");
  EXPECT_TRUE(rows[3]["stddev_ns"].is_null()) << "a profile has no deviation of its phases";
}

// --- DistServe

TEST(ExportDistServe, IsTheFit) {
  const DeviceProfile profile = WithOps();
  const Json json = ParseJson(Only(ExportProfile(profile, "distserve")), "json");
  const Json& tp = json["tiny-w4"]["1"];
  const Json &prefill = profile.fit["prefill_ms"], &decode = profile.fit["decode_ms"];
  EXPECT_EQ(tp["prefill"], (Json{prefill["a"], prefill["b"], prefill["c"]}));
  EXPECT_EQ(tp["decoding_smallbs"], (Json{decode["a"], decode["b_ctx"], decode["c_batch"]}));
  EXPECT_EQ(tp["decoding_largebs"], tp["decoding_smallbs"]);
  EXPECT_EQ(tp["decoding_large_small_bs_threshold"], 4.0);
}

// --- vidur

std::string Statistics(const std::vector<std::string>& ops) {
  std::string header;
  for (const std::string& op : ops)
    for (const char* statistic : {"min", "max", "mean", "median", "std"})
      header += "time_stats." + op + "." + statistic + ",";
  return header;
}

TEST(ExportVidur, MlpHasItsColumnsAndAddsUpWhatIsOneOpThere) {
  const std::string csv = ExportProfile(WithOps(), "vidur").at("mlp.csv");
  const auto lines = Cells(csv);
  EXPECT_TRUE(csv.starts_with(
      Statistics({"emb", "input_layernorm", "attn_pre_proj", "attn_rope", "attn_post_proj", "post_attention_layernorm",
                  "mlp_up_proj", "mlp_act", "mlp_down_proj", "add"}) +
      "n_head,n_kv_head,n_embd,n_expanded_embd,vocab_size,use_gated_mlp,num_tokens,num_tensor_parallel_workers\n"));
  ASSERT_EQ(lines.size(), 3u);
  // Row of 16 tokens: min, max, no mean, median, deviation of the sum of three independent products.
  EXPECT_EQ(lines[2][5 * 2 + 0], "128.0");  // queries, keys, values: 16 * (8 + 4 + 4), halved
  EXPECT_EQ(lines[2][5 * 2 + 1], "512.0");
  EXPECT_EQ(lines[2][5 * 2 + 2], "");
  EXPECT_EQ(lines[2][5 * 2 + 3], "256.0");
  EXPECT_NEAR(std::stod(lines[2][5 * 2 + 4]), std::sqrt(12.8 * 12.8 + 2 * 6.4 * 6.4), 1e-12);
  EXPECT_EQ(lines[2][3], "") << "no time of the embedding";
  EXPECT_EQ(lines[2][5 * 6 + 3], "512.0") << "gate and up";
  EXPECT_EQ(lines[2][5 * 9 + 3], "0.125");
  EXPECT_EQ((std::vector<std::string>(lines[2].end() - 8, lines[2].end())),
            (std::vector<std::string>{"2", "1", "8", "16", "32", "True", "16", "1"}));
}

TEST(ExportVidur, AttentionHasItsColumnsAndRowsOfBothPhases) {
  const std::string csv = ExportProfile(WithOps(), "vidur").at("attention.csv");
  EXPECT_TRUE(csv.starts_with(
      Statistics({"attn_prefill", "attn_decode", "attn_kv_cache_save"}) +
      "n_embd,n_q_head,n_kv_head,block_size,num_tensor_parallel_workers,max_model_len,batch_size,prefill_chunk_size,"
      "kv_cache_size,is_prefill,attention_backend\n"));
  const auto lines = Cells(csv);
  ASSERT_EQ(lines.size(), 5u);
  const auto keys = [&](size_t line) { return std::vector<std::string>(lines[line].end() - 11, lines[line].end()); };
  EXPECT_EQ(keys(2), (std::vector<std::string>{"8", "2", "1", "16", "1", "64", "1", "64", "0", "True", "flash"}));
  EXPECT_EQ(keys(4), (std::vector<std::string>{"8", "2", "1", "16", "1", "64", "1", "0", "64", "False", "flash"}));
  EXPECT_EQ(lines[2][3] + "|" + lines[2][8], "64.0|");
  EXPECT_EQ(lines[4][3] + "|" + lines[4][8], "|4.0");
  // 64 bytes of cache for a token at 2.5 GB/s.
  EXPECT_NEAR(std::stod(lines[2][13]), 64 * 64 / 2.5e9 * 1000, 1e-12);
  EXPECT_NEAR(std::stod(lines[4][13]), 64 / 2.5e9 * 1000, 1e-12);
}

// --- AIConfigurator

TEST(ExportAiConfigurator, HasItsFilesColumnsAndFusedProducts) {
  const ExportedFiles files = ExportProfile(WithOps(), "aiconfigurator");
  const std::string gemm = files.at("systems/data/board/gemm/vllm/0.24.0/gemm_perf.csv");
  EXPECT_TRUE(gemm.starts_with("framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency\n"));
  std::map<std::string, std::string> latency;
  for (const auto& line : Cells(gemm))
    if (line[0] == "ECLD") latency[line[4] + " " + line[5] + " " + line[6] + "x" + line[7] + "x" + line[8]] = line[9];
  EXPECT_EQ(latency.at("fast int4_wo 16x16x8"), "256.0") << "queries, keys and values";
  EXPECT_EQ(latency.at("fast int4_wo 16x32x8"), "512.0") << "gate and up";
  EXPECT_EQ(latency.at("fast int4_wo 1x8x8"), "8.0");
  EXPECT_EQ(latency.at("fast int4_wo 1x8x16"), "8.0");
  EXPECT_EQ(latency.at("fast bfloat16 16x32x8"), "512.0");
  EXPECT_EQ(latency.size(), 10u);

  const std::string columns =
      "framework,version,device,op_name,kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,beam_width,"
      "attn_dtype,kv_cache_dtype,step,window_size,latency\n";
  const std::string folder = "systems/data/board/attention/vllm/0.24.0/";
  EXPECT_EQ(files.at(folder + "context_attention_perf.csv"),
            columns + "ECLD,0.1.0,Board,context_attention,flash,1,16,2,1,4,1,bfloat16,bfloat16,0,0,16.0\n" +
                "ECLD,0.1.0,Board,context_attention,flash,1,64,2,1,4,1,bfloat16,bfloat16,0,0,64.0\n");
  EXPECT_EQ(files.at(folder + "generation_attention_perf.csv"),
            columns + "ECLD,0.1.0,Board,generation_attention,flash,1,1,2,1,4,1,bfloat16,bfloat16,15,0,1.0\n" +
                "ECLD,0.1.0,Board,generation_attention,flash,1,1,2,1,4,1,bfloat16,bfloat16,63,0,4.0\n");
  const std::string yaml = files.at("systems/board.yaml");
  EXPECT_NE(yaml.find("data_dir: data/board\n"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("mem_bw: 2500000000\n"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("bfloat16_tc_flops: 1000000000\n"), std::string::npos) << "the highest rate measured: " << yaml;
  const Json config = ParseJson(files.at("model/config.json"), "config");
  EXPECT_EQ(config["num_hidden_layers"], 2);
  EXPECT_EQ(config["head_dim"], 4);
}

TEST(ExportAiConfigurator, NoMeasuredTimeLiesBelowItsBound) {
  DeviceProfile profile = WithOps();
  profile.device["mem_bw_Bps"] = 1000.0;  // far too slow for the times of the head: 2 * (32 + 8 + 256) bytes in 32 ms
  const std::string yaml = ExportProfile(profile, "aiconfigurator").at("systems/board.yaml");
  const auto value = [&](const std::string& key) { return std::stod(yaml.substr(yaml.find(key) + key.size())); };
  EXPECT_GE(value("mem_bw: "), 2 * (32 + 8 + 256) / 0.032);
  EXPECT_NEAR(value("mem_bw: ") * value("scaling_factor: "), 1000, 1e-6) << "what lies between the products";
}

// --- what is refused

TEST(Export, WhatAFormatNeedsIsNamed) {
  struct Case {
    std::string_view format;
    std::function<void(DeviceProfile&)> spoil;
    const char* message;
  };
  const auto without = [](const char* table) { return [table](DeviceProfile& p) { p.tables.erase(table); }; };
  const auto without_op = [](const char* op) {
    return [op](DeviceProfile& p) {
      Table kept(FindTableSchema("ops", "test"));
      const Table& ops = p.At("ops");
      for (size_t row = 0; row < ops.rows().size(); ++row) {
        if (ops.Text(row, "op") == op) continue;
        kept.AddRow();
        for (size_t i = 0; i < ops.rows()[row].size(); ++i)
          if (ops.rows()[row][i].index() != 0) kept.Set(ops.schema().columns[i].name, ops.rows()[row][i]);
      }
      p.tables.at("ops").table = kept;
    };
  };
  const auto no_batch_one = [](DeviceProfile& p) {
    Table phase(FindTableSchema("phase", "test"));
    AddPhase(phase, 4, 16, 10);
    p.tables.at("phase").table = phase;
  };
  const auto untimed = [](DeviceProfile& p) {
    Table phase(FindTableSchema("phase", "test"));
    AddPhase(phase, 1, 16, 0);
    p.tables.at("phase").table = phase;
  };
  const auto ragged = [](DeviceProfile& p) { p.variant["arch"]["d_ff"] = {16, 12}; };
  const auto two_storages = [](DeviceProfile& p) {
    AddOp(p.tables.at("ops").table, "gemm", "int8_wo", "fast", 1, {{"m", 1}, {"n", 8}, {"k", 8}});
  };
  const auto no_bandwidth = [](DeviceProfile& p) { p.device["mem_bw_Bps"] = nullptr; };
  const Case cases[] = {
      {"splitwise-sim", without("phase"), "export to splitwise-sim: needs phase.csv"},
      {"splitwise-sim", [](DeviceProfile& p) { p.fit = Json::object(); }, "needs fit.prefill_ms"},
      {"splitwise-sim", untimed, "needs rows of phase.csv with prefill_ms and tpot_ms"},
      {"distserve", [](DeviceProfile& p) { p.fit.erase("decode_ms"); }, "export to distserve: needs fit.decode_ms"},
      {"llama-bench", no_batch_one, "export to llama-bench: needs rows of phase.csv at batch 1"},
      {"vidur", without("ops"), "export to vidur: needs ops.csv"},
      {"vidur", without("layers"), "export to vidur: needs layers.csv"},
      {"vidur", without_op("add"), "needs rows of ops.csv for add n=8, and there are none"},
      {"vidur", ragged, "export to vidur: variant.arch.d_ff differs between the layers (16 and 12)"},
      {"vidur", [](DeviceProfile& p) { p.limits["max_ctx_tok"] = nullptr; }, "needs limits.max_ctx_tok"},
      {"vidur", no_bandwidth, "export to vidur: needs device.mem_bw_Bps"},
      {"aiconfigurator", ragged, "export to aiconfigurator: variant.arch.d_ff differs"},
      {"aiconfigurator", without_op("head"), "needs rows of ops.csv for head n=32 k=8"},
      {"aiconfigurator", without_op("attn_decode"), "needs rows of ops.csv for attn_decode heads=2"},
      {"aiconfigurator", two_storages, "has gemm n=8 k=8 as int4_wo and as int8_wo"},
      {"aiconfigurator", no_bandwidth, "needs device.mem_bw_Bps, which this profile does not know"},
      {"aiconfigurator", [](DeviceProfile& p) { p.device["id"] = "../board"; }, "device.id \"../board\" cannot name"},
      {"aiconfigurator", [](DeviceProfile& p) { p.variant["quant"]["kv_bits"] = 32; }, "a cache of 32 bits"},
  };
  for (const Case& bad : cases) {
    DeviceProfile profile = WithOps();
    bad.spoil(profile);
    EXPECT_ERROR(ExportProfile(profile, bad.format), bad.message) << bad.message;
  }
}

}  // namespace
}  // namespace ecld
