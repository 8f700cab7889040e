#include "profiler/profile_device.h"

#include <gtest/gtest.h>

#include <set>

#include "core/files.h"
#include "eval/evaluate.h"
#include "kernels/gemm/implementations.h"
#include "measure/load.h"
#include "profiler/profile_tables.h"
#include "runtime/tile_cache.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/packed_checkpoint.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

const ProfileGrid kSmallGrid = {.prompts_tok = {4, 8}, .batches = {1, 2}, .gen_tok = 2, .op_rows = {1, 3}};

class ProfileDeviceTest : public testing::Test {
 protected:
  ProfileDeviceTest() { WriteTinyCheckpoint(temp_ / "model", {.tied = true}); }

  TempDir temp_;
  ThreadPool pool_{2};
};

TEST_F(ProfileDeviceTest, EveryGridPointHasItsRows) {
  RuntimeModel model(Checkpoint::Open(temp_ / "model"));
  PhaseTables tables = MeasurePhases(model, pool_, kSmallGrid, TimeBudget(0));
  EXPECT_EQ(tables.phase.status, TableStatus::kComplete);
  EXPECT_EQ(tables.max_batch, 2);
  const Table& phase = tables.phase.table;
  ASSERT_EQ(phase.rows().size(), 4u);
  std::set<std::pair<int64_t, int64_t>> points;
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    int64_t batch = *phase.Count(row, "batch"), prompt = *phase.Count(row, "prompt_tok");
    points.insert({batch, prompt});
    EXPECT_GE(*phase.Count(row, "n"), kProfileReps);
    EXPECT_EQ(phase.Text(row, "src"), "m");
    EXPECT_GE(*phase.Number(row, "e2e_ms"), *phase.Number(row, "tpot_ms"));
    // 2 layers, keys and values, 2 heads of 16, float32.
    EXPECT_EQ(*phase.Count(row, "kv_B"), batch * (prompt + 2) * 2 * 2 * 2 * 16 * 4);
    EXPECT_FALSE(phase.Number(row, "prefill_J")) << "no energy was measured";
    EXPECT_GT(*phase.Count(row, "act_peak_B"), 0);
    EXPECT_GE(*phase.Count(row, "mem_peak_B"), *phase.Count(row, "act_peak_B")) << "what is anonymous is resident";
  }
  EXPECT_EQ(points.size(), 4u);
  EXPECT_EQ(tables.layers.table.rows().size(), 4u * 2 * (2 + 2));
}

TEST_F(ProfileDeviceTest, LayersCarryAllWeightsOnceAndTheFlopsOfTheirShape) {
  Checkpoint checkpoint = Checkpoint::Open(temp_ / "model");
  std::vector<int64_t> weights = WeightBytesByLayer(checkpoint);
  ASSERT_EQ(weights.size(), 4u);
  EXPECT_EQ(weights.front(), 300 * 64 * 4);
  EXPECT_EQ(weights.back(), 64 * 4) << "a tied head counts with the embedding";
  uint64_t sum = 0;
  for (int64_t weight : weights) sum += static_cast<uint64_t>(weight);
  EXPECT_EQ(sum, WeightFileBytes(checkpoint.config()));

  RuntimeModel model(checkpoint);
  Table layers = MeasurePhases(model, pool_, kSmallGrid, TimeBudget(0)).layers.table;
  for (size_t row = 0; row < layers.rows().size(); ++row) {
    if (layers.Text(row, "layer") != "0") continue;
    int64_t batch = *layers.Count(row, "batch"), tok = *layers.Count(row, "tok"), ctx = *layers.Count(row, "ctx_tok");
    int64_t weights_per_tok = 64 * 64 * 2 + 64 * 32 * 2 + 64 * 96 * 3, pairs = tok * ctx + tok * (tok + 1) / 2;
    EXPECT_EQ(*layers.Count(row, "flops"), 2 * batch * (tok * weights_per_tok + 2 * pairs * 64));
  }
}

TEST_F(ProfileDeviceTest, PointsWithoutTimeOrRoomAreAbsentNotInvented) {
  RuntimeModel model(Checkpoint::Open(temp_ / "model"));
  PhaseTables tables = MeasurePhases(model, pool_, kSmallGrid, TimeBudget(1e-9));
  EXPECT_EQ(tables.phase.status, TableStatus::kPartial);
  EXPECT_LT(tables.phase.table.rows().size(), 4u);
  ProfileGrid beyond = kSmallGrid;
  beyond.prompts_tok = {511};  // and two more to generate: the model has 512 positions
  EXPECT_TRUE(MeasurePhases(model, pool_, beyond, TimeBudget(0)).phase.table.rows().empty());
}

TEST_F(ProfileDeviceTest, EveryOpIsTimedWithEveryKernelThatRunsIt) {
  RuntimeModel model(Checkpoint::Open(temp_ / "model"));
  ProfileTable ops = MeasureOps(model, pool_, kSmallGrid, TimeBudget(0));
  EXPECT_EQ(ops.status, TableStatus::kComplete);
  std::set<std::string> kernels, products, others;
  size_t product_rows = 0;
  for (size_t row = 0; row < ops.table.rows().size(); ++row) {
    EXPECT_EQ(ops.table.Text(row, "dtype"), "f32");
    EXPECT_LE(*ops.table.Number(row, "ms_min"), *ops.table.Number(row, "ms"));
    const std::string op(ops.table.Text(row, "op"));
    if (op != "gemm" && op != "head") {
      others.insert(fmt::format("{} {}", op, *ops.table.Count(row, "m")));
      continue;
    }
    ++product_rows;
    kernels.emplace(ops.table.Text(row, "kernel"));
    products.insert(fmt::format("{} {}x{}", op, *ops.table.Count(row, "n"), *ops.table.Count(row, "k")));
  }
  EXPECT_EQ(products, (std::set<std::string>{"gemm 64x64", "gemm 32x64", "gemm 96x64", "gemm 64x96", "head 300x64"}));
  EXPECT_TRUE(kernels.contains("reference"));
  EXPECT_EQ(product_rows, kernels.size() * products.size() * kSmallGrid.op_rows.size());
  EXPECT_EQ(others, (std::set<std::string>{"act 1", "act 3", "add 1", "add 3", "attn_decode 1", "attn_prefill 4",
                                           "attn_prefill 8", "norm 1", "norm 3", "rope 1", "rope 3"}));
}

TEST_F(ProfileDeviceTest, LoadingFromMemoryIsMeasured) {
  ProfileTable load = MeasureLoads(temp_ / "model", {}, pool_);
  EXPECT_EQ(load.status, TableStatus::kPartial) << "loading after a start of the machine is never measured";
  const Table& table = load.table;
  size_t last = table.rows().size() - 1;
  EXPECT_EQ(table.Text(last, "from_state"), "ram");
  EXPECT_GT(*table.Number(last, "load_ms"), 0);
}

TEST_F(ProfileDeviceTest, AWholeProfileIsWrittenAndReadsBack) {
  WriteFileAtomically(temp_ / "text.txt", "A text of some forty or so tokens, to be scored in two windows.");
  EvalResult eval =
      Evaluate({.model = temp_ / "model", .text = temp_ / "text.txt", .windows = {.window = 32, .stride = 32}});
  WriteJsonFile(temp_ / "eval.json", ToJson(eval));
  ProfileOptions options{.model = temp_ / "model", .out = temp_ / "profile", .scores = {{temp_ / "eval.json"}, {}}};
  options.budget_s = 0.2;
  DeviceProfile profile = MeasureProfile(options);
  EXPECT_EQ(profile.variant["id"], "model");
  EXPECT_EQ(profile.variant["quant"]["bits"], 32);
  EXPECT_EQ(profile.variant["quant"]["group"], nullptr);
  EXPECT_EQ(*profile.At("quality").Number(0, "value"), eval.perplexity.value);
  EXPECT_EQ(profile.At("quality").Text(0, "task"), "text");
  EXPECT_FALSE(profile.At("phase").rows().empty());
  EXPECT_EQ(ReadProfile(options.out).created_utc, profile.created_utc);
}

TEST_F(ProfileDeviceTest, CutsCountWhatIsSentAndWhatStays) {
  RuntimeModel model(Checkpoint::Open(temp_ / "model"));
  const Table cuts = Cuts(model, kSmallGrid).table;
  const std::vector<int64_t> weights = WeightBytesByLayer(model.checkpoint());
  // 2 layers: cut 0 and 2 once, cut 1 in two types; batches 1 and 2; 1, 4 and 8 tokens.
  EXPECT_EQ(cuts.rows().size(), (1u + 2 + 1) * 2 * 3);
  for (size_t row = 0; row < cuts.rows().size(); ++row) {
    const int64_t cut = *cuts.Count(row, "cut"), rows = *cuts.Count(row, "batch") * *cuts.Count(row, "tok");
    const int64_t sent = cut == 0 ? 4 : cut == 2 ? 0 : cuts.Text(row, "dtype") == "f32" ? 64 * 4 : 64 * 2;
    EXPECT_EQ(*cuts.Count(row, "up_B"), rows * sent);
    EXPECT_EQ(*cuts.Number(row, "rtt_per_gen_tok"), cut == 1 ? 1 : 0);
    int64_t held = cut == 0 ? 0 : weights[0] + weights[1];
    if (cut == 2) held += weights[2] + weights[3];
    EXPECT_EQ(*cuts.Count(row, "ue_weight_B"), held);
    // keys and values, 2 heads of 16, float32
    EXPECT_EQ(*cuts.Count(row, "ue_mem_peak_B"), held + cut * rows * 2 * 2 * 16 * 4);
  }
}

TEST_F(ProfileDeviceTest, ScoresAreAddedToAProfileThatIsThere) {
  WriteFileAtomically(temp_ / "text.txt", "A text of some forty or so tokens, to be scored in two windows.");
  WriteJsonFile(temp_ / "eval.json", ToJson(Evaluate({.model = temp_ / "model", .text = temp_ / "text.txt"})));
  ProfileOptions options{.model = temp_ / "model", .out = temp_ / "profile"};
  options.budget_s = 0.2;
  const DeviceProfile before = MeasureProfile(options);
  EXPECT_FALSE(before.tables.contains("quality"));
  EXPECT_ERROR(RescoreProfile(options.out, options.model, {}), "--only-scores: needs the results of an evaluation");
  const ScoreFiles scores{.results = {temp_ / "eval.json"}, .samples = {}, .planned_lengths = {}};
  const DeviceProfile after = RescoreProfile(options.out, options.model, scores);
  EXPECT_EQ(after.At("quality").rows().size(), 1u);
  EXPECT_TRUE(after.At("phase") == before.At("phase"));
  EXPECT_EQ(after.created_utc, before.created_utc);
  WriteTinyCheckpoint(temp_ / "other", {.seed = 2, .tied = true});
  EXPECT_ERROR(RescoreProfile(options.out, temp_ / "other", scores), "is the profile of another checkpoint than");
}

// Beside the weights, the whole of them; neither reports nor the copy laid out for the processor.
TEST_F(ProfileDeviceTest, BytesToStoreAreThoseOfTheFilesThatRunningNeeds) {
  ProfileOptions options{.model = temp_ / "model", .out = temp_ / "profile"};
  options.budget_s = 0.1;
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(temp_ / "model"))
    bytes += static_cast<int64_t>(entry.file_size());
  WriteFileAtomically(temp_ / "model/report.json", "{}");
  WriteFileAtomically(TileCache::FileOf(temp_ / "model"), "of another model");
  EXPECT_EQ(MeasureProfile(options).variant["storage_B"], bytes);
}

// What a load reads is in its bytes, the laid out copy too; making that copy is no load.
TEST_F(ProfileDeviceTest, LoadingCountsTheCopyLaidOutForTheProcessor) {
  WritePackedCheckpoint(temp_ / "packed", {.bits = 4, .group_size = 32}, {.tied = true});
  int64_t weights = 0;
  for (const auto& entry : std::filesystem::directory_iterator(temp_ / "packed"))
    if (entry.path().extension() == ".safetensors") weights += static_cast<int64_t>(entry.file_size());
  const ProfileTable load = MeasureLoads(temp_ / "packed", {.precision = Precision::kFast}, pool_);
  ASSERT_GT(TileCache::FileBytes(temp_ / "packed"), 0u);
  for (size_t row = 0; row < load.table.rows().size(); ++row)
    EXPECT_EQ(*load.table.Count(row, "bytes_B"),
              weights + static_cast<int64_t>(TileCache::FileBytes(temp_ / "packed")));
}

// The copy laid out for the processor is no part of the file that the layers share out.
TEST_F(ProfileDeviceTest, APackedModelIsProfiledAsADeviceRunsIt) {
  const ModelConfig config = WritePackedCheckpoint(temp_ / "packed", {.bits = 4, .group_size = 32}, {.tied = true});
  ProfileOptions options{.model = temp_ / "packed", .out = temp_ / "profile"};
  options.runtime.precision = Precision::kFast;
  options.budget_s = 0.2;
  const DeviceProfile profile = MeasureProfile(options);
  EXPECT_EQ(profile.variant["file_B"], WeightFileBytes(config));
  EXPECT_EQ(profile.variant["interleaved_B"], TileCache::FileBytes(temp_ / "packed"));
  EXPECT_GT(profile.variant["interleaved_B"], 0);
  EXPECT_FALSE(profile.At("layers").rows().empty());
}

// A device of a thousand bytes and ten thousand operations in a millisecond.
TEST_F(ProfileDeviceTest, ADeviceOfTheCatalogueIsModelledByItsRoofline) {
  const auto write = [&](const std::string& more) {
    WriteFileAtomically(temp_ / "devices.yaml", "devices:\n  - {id: toy, name: Toy, kind: board, mem_GB: 1, " + more +
                                                    "sources: [the test]}\n");
  };
  write("mem_GBps: 0.001, fp16_TFLOPS: 0.00001, energy: {static_W: 2, J_per_B: 1e-6, J_per_op: 1e-7}, ");
  ProfileOptions options{.model = temp_ / "model", .out = temp_ / "profile"};
  const auto model = [&](const char* device = "toy") { return ModelProfile(options, device, temp_ / "devices.yaml"); };
  const DeviceProfile profile = model();
  const Table &phase = profile.At("phase"), &layers = profile.At("layers");
  EXPECT_EQ(profile.device["name"], "Toy");
  EXPECT_EQ(profile.provenance["stat"], "roofline");
  EXPECT_FALSE(profile.tables.contains("ops"));
  double read_B = 0, ops = 0, prefill_ms = 0;
  for (size_t row = 0; row < layers.rows().size(); ++row) {
    EXPECT_EQ(layers.Text(row, "src"), "r");
    if (layers.Text(row, "phase") != "prefill" || *layers.Count(row, "batch") != 1 || *layers.Count(row, "tok") != 16)
      continue;
    const std::string_view layer = layers.Text(row, "layer");
    double bytes = *layers.Number(row, "weight_B") + 16 * *layers.Number(row, "kv_B_per_tok");
    if (layer == "embed") bytes = 16 * 64 * 4;   // rows looked up
    if (layer == "head") bytes += 300 * 64 * 4;  // the embedding, which is tied to it
    read_B += bytes;
    ops += *layers.Number(row, "flops");
    prefill_ms += std::max(bytes / 1000, *layers.Number(row, "flops") / 10'000);
  }
  EXPECT_NEAR(*phase.Number(0, "prefill_ms"), prefill_ms, 1e-9 * prefill_ms);
  EXPECT_NEAR(*phase.Number(0, "prefill_J"), 2 * prefill_ms / 1000 + read_B * 1e-6 + ops * 1e-7, 1e-6);
  EXPECT_EQ(phase.Text(0, "src"), "r");

  // 2 heads of 16: a key, a value (of 4 bits: whole rows of 16 bytes), and scales.
  for (const auto& [kv, bits, per_tok] :
       {std::tuple{KvType::kF16, 16, 2 * 64}, {KvType::kQ8, 8, 2 * (32 + 8)}, {KvType::kQ4, 4, 2 * (8 + 16 + 8)}}) {
    options.runtime.kv = kv;
    const DeviceProfile narrower = model();
    EXPECT_EQ(narrower.variant["quant"]["kv_bits"], bits);
    EXPECT_EQ(*narrower.At("layers").Count(1, "kv_B_per_tok"), per_tok) << Name(kv);
    EXPECT_EQ(*narrower.At("phase").Count(0, "kv_B"), (16 + 8) * 2 * per_tok) << Name(kv);
  }
  options.runtime.kv.reset();

  write("mem_GBps: 0.001, ");
  const DeviceProfile without_peak = model();
  EXPECT_FALSE(without_peak.At("phase").Number(0, "prefill_ms")) << "its peak is not known";
  EXPECT_GT(*without_peak.At("phase").Number(0, "tpot_ms"), 0);
  EXPECT_EQ(without_peak.tables.at("phase").status, TableStatus::kPartial);
  EXPECT_FALSE(without_peak.At("phase").Number(0, "prefill_J"));
  write("");
  EXPECT_ERROR(model(), "does not say how fast toy reads memory (mem_GBps)");
  EXPECT_ERROR(model("toys"), "has no device \"toys\" (did you mean toy?)");
}

TEST_F(ProfileDeviceTest, WhatCannotBeProfiledIsAnError) {
  ProfileOptions options{.model = temp_ / "nowhere", .out = temp_ / "profile"};
  EXPECT_ERROR(MeasureProfile(options), "nowhere: is not a checkpoint directory");
  options.model = temp_ / "model";
  options.budget_s = -1;
  EXPECT_ERROR(MeasureProfile(options), "budget: found -1 s");
  WriteTinyCheckpoint(temp_ / "other", {.seed = 2, .tied = true});
  WriteFileAtomically(temp_ / "text.txt", "Some text of another checkpoint.");
  WriteJsonFile(temp_ / "eval.json", ToJson(Evaluate({.model = temp_ / "other", .text = temp_ / "text.txt"})));
  options.budget_s = 0.1;
  options.scores.results = {temp_ / "eval.json"};
  EXPECT_ERROR(MeasureProfile(options), "is the result of another checkpoint than the one profiled");
  WriteFileAtomically(temp_ / "eval.json", "{\"schema\": \"ecld.report\"}");
  EXPECT_ERROR(MeasureProfile(options), "schema: expected \"ecld.eval\" or \"ecld.tasks\", found \"ecld.report\"");
  WriteTinyCheckpoint(temp_ / "uneven", {.uneven = true});
  options.model = temp_ / "uneven";
  EXPECT_ERROR(MeasureProfile(options), "uneven: its layers differ in size; a profile has one attention and one gate");
  options.model = temp_ / "model";
  options.out = temp_ / "model";
  EXPECT_ERROR(MeasureProfile(options), "output and input are the same directory");
  options.out = temp_ / "other";
  EXPECT_ERROR(MeasureProfile(options), "other: exists and is no device profile; it would be replaced");
}

}  // namespace
}  // namespace ecld
