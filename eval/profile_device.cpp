#include "eval/profile_device.h"

#include <algorithm>
#include <cctype>
#include <ctime>
#include <memory>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/version.h"
#include "eval/device.h"
#include "eval/energy_meter.h"
#include "eval/evaluate.h"
#include "eval/measure.h"
#include "eval/profile_tables.h"
#include "profile/energy_fit.h"
#include "runtime/model.h"

namespace ecld {
namespace {

// The share of the time budget that the phases get; the rest is for single matrix products.
constexpr double kPhaseShare = 0.75;
constexpr double kShortWindow_s = 2, kFullWindow_s = 10;  // of energy

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
  Json quant = {{"bits", bits / elements},  {"group", nullptr},       {"sym", nullptr},     {"zero_point", nullptr},
                {"embed_bits", embed_bits}, {"head_bits", head_bits}, {"kv_bits", Bits(kv)}};
  if (format && same) {
    quant["group"] = format->group_size;
    quant["sym"] = format->symmetric;
    quant["zero_point"] = !format->symmetric;
  }
  return quant;
}

// All that running the model needs, as stored: what a report or recipe says beside it is not.
int64_t StoredBytes(const std::filesystem::path& directory) {
  constexpr std::string_view kNeeded[] = {"config.json",           "generation_config.json",      "tokenizer.json",
                                          "tokenizer_config.json", "special_tokens_map.json",     "tokenizer.model",
                                          "chat_template.jinja",   "model.safetensors.index.json"};
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() == ".safetensors" || std::ranges::find(kNeeded, name) != std::end(kNeeded))
      bytes += static_cast<int64_t>(entry.file_size());
  }
  return bytes;
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
          {"storage_B", StoredBytes(options.model)},
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

// The meter of this machine, named in the provenance, and idle power by it. What cannot be read or does not move, as in
// some virtual machines, is said there too.
std::unique_ptr<EnergyMeter> MeterFor(const ProfileOptions& options, double window_s, double* idle_W,
                                      DeviceProfile* profile) {
  try {
    std::unique_ptr<EnergyMeter> meter = OpenRapl(options.powercap);
    if (!meter) return nullptr;
    *idle_W = IdlePower(*meter, window_s);
    if (*idle_W <= 0) Fail(options.powercap.string(), "the energy counters do not move");
    profile->provenance["power_source"] = meter->source();
    profile->provenance["power_scope"] = meter->scope();
    return meter;
  } catch (const Error& error) {
    LogWarning("profile: energy is not measured: {}", error.what());
    profile->provenance["power_problem"] = error.what();
    return nullptr;
  }
}

void AddIdlePower(double before_W, double after_W, const EnergyWindow& energy, DeviceProfile* profile) {
  profile->device["idle_W"] = (before_W + after_W) / 2;
  profile->provenance["idle_W_before_after"] = {before_W, after_W};
  profile->provenance["energy_window_s"] = energy.seconds;
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

Json DeviceSection(const CatalogueDevice& device) {
  const auto or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"id", device.id},
          {"vendor", nullptr},
          {"name", device.name},
          {"kind", device.kind},
          {"compute_capability", nullptr},
          {"mem_capacity_B", static_cast<int64_t>(device.mem_B)},
          {"mem_bw_Bps", or_null(device.mem_Bps)},
          {"mem_bw_src", "c"},
          {"peak_fp16_flops", or_null(device.fp16_flops)},
          {"tdp_W", or_null(device.power_W)},
          {"idle_W", nullptr},
          {"driver", nullptr},
          {"runtime", nullptr},
          {"clock_state", {{"locked", nullptr}, {"sm_MHz", nullptr}, {"mem_MHz", nullptr}}},
          {"power_cap_W", nullptr},
          {"role", device.kind == "accelerator" ? "edge" : "ue"},
          {"sources", device.sources}};
}

// The profile of a device of the catalogue, as far as bytes and operations tell.
DeviceProfile Modelled(const ProfileOptions& options, const ProfileGrid& grid, DeviceProfile profile) {
  const DeviceCatalogue catalogue = ReadCatalogue(options.catalogue);
  const CatalogueDevice& device = catalogue.Find(options.as_device);
  if (!device.mem_Bps)
    Fail(catalogue.file, "does not say how fast {} reads memory (mem_GBps), so nothing can be modelled", device.id);
  // Nothing is run, so no weights are laid out.
  const RuntimeModel model(Checkpoint::Open(options.model),
                           {.precision = Precision::kExact, .kv = options.runtime.Kv()});
  profile.device = DeviceSection(device);
  profile.variant.update(VariantSection(options, model));
  profile.provenance.update({{"timer", "none"},
                             {"warmup", 0},
                             {"reps", 0},
                             {"stat", "roofline"},
                             {"power_source", device.energy ? "modelled" : "none"},
                             {"seed", nullptr},
                             {"catalogue_sha256", catalogue.sha256}});
  if (device.energy) profile.provenance["power_error_frac"] = device.energy->error_frac;
  PhaseTables phases = ModelPhases(model, device, grid);
  profile.limits = {{"max_batch", phases.max_batch}, {"max_ctx_tok", model.config().max_position}, {"oom_at", nullptr}};
  profile.tables.emplace("phase", std::move(phases.phase));
  profile.tables.emplace("layers", std::move(phases.layers));
  profile.tables.emplace("cuts", Cuts(model, grid));
  std::erase_if(profile.tables, [](const auto& entry) { return entry.second.table.rows().empty(); });
  return profile;
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
  profile.created_utc = UtcNow();
  profile.tool = {{"name", "ecld"}, {"version", kProgramVersion}, {"git", nullptr}};
  profile.fit = Json::object();
  if (!options.as_device.empty()) {
    WriteProfile(options.out, Modelled(options, grid, std::move(profile)));
    return ReadProfile(options.out);
  }
  auto add = [&](const char* name, ProfileTable table) {
    if (!table.table.rows().empty()) profile.tables.emplace(name, std::move(table));
  };
  add("load", MeasureLoads(options.model, options.runtime, pool));

  RuntimeModel model(Checkpoint::Open(options.model), options.runtime);
  const Checkpoint& checkpoint = model.checkpoint();
  profile.device = DeviceSection(options, ReadDeviceFacts(), pool);
  profile.variant.update(VariantSection(options, model));

  EnergyWindow energy{.seconds = options.full ? kFullWindow_s : kShortWindow_s};
  if (options.energy_window_s > 0) energy.seconds = options.energy_window_s;
  double idle_before_W = 0;
  const std::unique_ptr<EnergyMeter> meter = MeterFor(options, energy.seconds, &idle_before_W, &profile);
  energy.meter = meter.get();
  PhaseTables phases = MeasurePhases(model, pool, grid, TimeBudget(budget_s * kPhaseShare), energy);
  if (meter) AddIdlePower(idle_before_W, IdlePower(*meter, energy.seconds), energy, &profile);
  profile.limits = {
      {"max_batch", phases.max_batch}, {"max_ctx_tok", checkpoint.config().max_position}, {"oom_at", nullptr}};
  add("cuts", Cuts(model, grid));
  add("phase", std::move(phases.phase));
  add("layers", std::move(phases.layers));
  add("ops", MeasureOps(model, pool, grid, TimeBudget(budget_s * (1 - kPhaseShare))));
  if (const auto fit = FitEnergy(MeasuredEnergy(profile)))  // as a device file takes them
    profile.device["energy"] = {{"static_W", fit->static_W},
                                {"J_per_B", fit->J_per_B},
                                {"J_per_op", fit->J_per_op},
                                {"error_frac", fit->error_frac}};
  WriteProfile(options.out, profile);
  return ReadProfile(options.out);
}

}  // namespace ecld
