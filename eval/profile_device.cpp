#include "eval/profile_device.h"

#include <algorithm>
#include <cctype>
#include <ctime>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/files.h"
#include "core/version.h"
#include "eval/device.h"
#include "eval/evaluate.h"
#include "eval/measure.h"
#include "eval/profile_tables.h"
#include "runtime/model.h"

namespace ecld {
namespace {

// The share of the time budget that the phases get; the rest is for single matrix products.
constexpr double kPhaseShare = 0.75;

ProfileGrid ShortGrid() {
  return {.prompts_tok = {16, 64, 256}, .batches = {1, 4}, .gen_tok = 8, .op_rows = {1, 16, 64}};
}

ProfileGrid FullGrid() {
  return {.prompts_tok = {16, 64, 128, 256, 512, 1024, 2048, 4096},
          .batches = {1, 2, 4, 8, 16, 32},
          .gen_tok = 16,
          .op_rows = {1, 2, 4, 8, 16, 64, 256}};
}

std::string UtcNow() {
  std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// "amd-epyc" from "AMD EPYC".
std::string Slug(std::string_view name) {
  std::string slug;
  for (unsigned char c : name) {
    if (std::isalnum(c))
      slug += static_cast<char>(std::tolower(c));
    else if (!slug.empty() && slug.back() != '-')
      slug += '-';
  }
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  return slug;
}

// The output directory is replaced whole, so it must be ours: new, empty, or an earlier profile.
void CheckReplaceable(const ProfileOptions& options) {
  RequireSeparate(options.model, options.out);
  if (!std::filesystem::exists(options.out) || std::filesystem::exists(options.out / "profile.json")) return;
  if (!std::filesystem::is_directory(options.out) || !std::filesystem::is_empty(options.out))
    Fail(options.out.string(), "exists and is no device profile; it would be replaced. Choose another output");
}

Json OrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

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

double StoredBits(const TensorSpec& spec, const Checkpoint& checkpoint) {
  if (spec.format) return spec.format->bits;
  return 8.0 * static_cast<double>(SizeOf(checkpoint.Tensor(spec.name).dtype));
}

// bits: mean over the weights of the blocks. group and sym: null when dense or not the same everywhere.
Json QuantSection(const Checkpoint& checkpoint, KvType kv) {
  const int kv_bits = kv == KvType::kF32 ? 32 : kv == KvType::kF16 ? 16 : 8;
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
  Json quant = {{"bits", bits / elements},  {"group", nullptr},       {"sym", nullptr},    {"zero_point", nullptr},
                {"embed_bits", embed_bits}, {"head_bits", head_bits}, {"kv_bits", kv_bits}};
  if (format && same) {
    quant["group"] = format->group_size;
    quant["sym"] = format->symmetric;
    quant["zero_point"] = !format->symmetric;
  }
  return quant;
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
          {"recipe_sha256", OrNull(options.recipe_sha256)},
          {"weights_sha256", WeightsSha256(options.model)},
          {"config_sha256", checkpoint.ConfigSha256()},
          {"arch", arch},
          {"quant", QuantSection(checkpoint, options.runtime.Kv())},
          {"params", ParameterCount(config)},
          {"file_B", file_B},
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

// The profile that is there, with other scores.
DeviceProfile Rescored(const ProfileOptions& options) {
  if (options.scores.results.empty()) Fail("--only-scores", "needs the results of an evaluation: --eval FILE");
  DeviceProfile profile = ReadProfile(options.out);
  const std::string weights_sha256 = WeightsSha256(options.model);
  if (profile.variant["weights_sha256"] != weights_sha256)
    Fail(options.out.string(), "is the profile of another checkpoint than {}", options.model.string());
  AddScores(options.scores, weights_sha256, &profile);
  WriteProfile(options.out, profile);
  return ReadProfile(options.out);
}

}  // namespace

DeviceProfile ProfileDevice(const ProfileOptions& options) {
  if (options.budget_s < 0) Fail("budget", "found {} s, expected 0 (no limit) or more", options.budget_s);
  if (options.only_scores) return Rescored(options);
  const ProfileGrid grid = options.full ? FullGrid() : ShortGrid();
  const double budget_s = options.full ? 0 : options.budget_s;
  ThreadPool pool(options.threads);
  DeviceProfile profile;
  profile.provenance = ProvenanceSection(options.runtime);
  // Bad input is refused before anything is measured. The checkpoint may not stay mapped while loading is.
  Checkpoint::Open(options.model);
  CheckReplaceable(options);
  if (!options.scores.results.empty()) AddScores(options.scores, WeightsSha256(options.model), &profile);
  auto add = [&](const char* name, ProfileTable table) {
    if (!table.table.rows().empty()) profile.tables.emplace(name, std::move(table));
  };
  add("load", MeasureLoads(options.model, options.runtime, pool));

  RuntimeModel model(Checkpoint::Open(options.model), options.runtime);
  const Checkpoint& checkpoint = model.checkpoint();
  profile.created_utc = UtcNow();
  profile.tool = {{"name", "ecld"}, {"version", kProgramVersion}, {"git", nullptr}};
  profile.device = DeviceSection(options, ReadDeviceFacts(), pool);
  profile.variant.update(VariantSection(options, model));
  profile.fit = Json::object();

  PhaseTables phases = MeasurePhases(model, pool, grid, TimeBudget(budget_s * kPhaseShare));
  profile.limits = {
      {"max_batch", phases.max_batch}, {"max_ctx_tok", checkpoint.config().max_position}, {"oom_at", nullptr}};
  add("cuts", Cuts(model, grid));
  add("phase", std::move(phases.phase));
  add("layers", std::move(phases.layers));
  add("ops", MeasureOps(model, pool, grid, TimeBudget(budget_s * (1 - kPhaseShare))));
  WriteProfile(options.out, profile);
  return ReadProfile(options.out);
}

}  // namespace ecld
