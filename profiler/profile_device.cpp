#include "profiler/profile_device.h"

#include <ctime>
#include <memory>

#include "checkpoint/checkpoint.h"
#include "checkpoint/layer_sizes.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/version.h"
#include "eval/evaluate.h"
#include "measure/device.h"
#include "measure/energy_meter.h"
#include "profile/score/energy_fit.h"
#include "profiler/profile_manifest.h"
#include "profiler/profile_tables.h"
#include "profiler/split_quality.h"
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

// The output directory is replaced whole, so it must be ours: new, empty, or an earlier profile.
void CheckReplaceable(const ProfileOptions& options) {
  RequireSeparate(options.model, options.out);
  if (!std::filesystem::exists(options.out) || std::filesystem::exists(options.out / "profile.json")) return;
  if (!std::filesystem::is_directory(options.out) || !std::filesystem::is_empty(options.out))
    Fail(options.out.string(), "exists and is no device profile; it would be replaced. Choose another output");
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

ProfileGrid GridOf(const ProfileOptions& options) { return options.full ? FullGrid() : ShortGrid(); }

// What a profile has however it is made. Bad input is refused here, before anything is measured.
DeviceProfile Begun(const ProfileOptions& options) {
  if (options.budget_s < 0) Fail("budget", "found {} s, expected 0 (no limit) or more", options.budget_s);
  DeviceProfile profile;
  profile.provenance = ProvenanceSection(options.runtime);
  // It may not stay mapped while loading is measured.
  if (LayersDiffer(Checkpoint::Open(options.model).config()))
    Fail(options.model.string(), "its layers differ in size; a profile has one attention and one gate for all of them");
  CheckReplaceable(options);
  if (!options.scores.results.empty()) AddScores(options.scores, WeightsSha256(options.model), &profile);
  profile.created_utc = UtcNow();
  profile.tool = {{"name", "ecld"}, {"version", kProgramVersion}, {"git", nullptr}};
  profile.fit = Json::object();
  return profile;
}

// As a reader has it.
DeviceProfile Written(const std::filesystem::path& out, const DeviceProfile& profile) {
  WriteProfile(out, profile);
  return ReadProfile(out);
}

}  // namespace

DeviceProfile RescoreProfile(const std::filesystem::path& out, const std::filesystem::path& model,
                             const ScoreFiles& scores) {
  if (scores.results.empty()) Fail("--only-scores", "needs the results of an evaluation: --eval FILE");
  DeviceProfile profile = ReadProfile(out);
  const std::string weights_sha256 = WeightsSha256(model);
  if (profile.variant["weights_sha256"] != weights_sha256)
    Fail(out.string(), "is the profile of another checkpoint than {}", model.string());
  AddScores(scores, weights_sha256, &profile);
  return Written(out, profile);
}

DeviceProfile ModelProfile(const ProfileOptions& options, const std::string& device_id,
                           const std::filesystem::path& catalogue_file) {
  DeviceProfile profile = Begun(options);
  const DeviceCatalogue catalogue = ReadCatalogue(catalogue_file);
  const CatalogueDevice& device = catalogue.Find(device_id);
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
  const ProfileGrid grid = GridOf(options);
  PhaseTables phases = ModelPhases(model, device, grid);
  profile.limits = {{"max_batch", phases.max_batch}, {"max_ctx_tok", LongestText(model.config())}, {"oom_at", nullptr}};
  profile.tables.emplace("phase", std::move(phases.phase));
  profile.tables.emplace("layers", std::move(phases.layers));
  profile.tables.emplace("cuts", Cuts(model, grid));
  std::erase_if(profile.tables, [](const auto& entry) { return entry.second.table.rows().empty(); });
  return Written(options.out, profile);
}

DeviceProfile MeasureProfile(const ProfileOptions& options) {
  const ProfileGrid grid = GridOf(options);
  const double budget_s = options.full ? 0 : options.budget_s;
  ThreadPool pool(options.threads);
  DeviceProfile profile = Begun(options);
  std::optional<SplitText> split;
  if (!options.split_text.path.empty())
    split = ReadSplitText(Checkpoint::Open(options.model), options.split_text, options.split_windows);
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
      {"max_batch", phases.max_batch}, {"max_ctx_tok", LongestText(checkpoint.config())}, {"oom_at", nullptr}};
  add("cuts", Cuts(model, grid));
  add("phase", std::move(phases.phase));
  add("layers", std::move(phases.layers));
  if (split) {
    Session session(model, pool);
    const SplitGrid splits = GridOfSplits(checkpoint.config().num_layers, options.full || options.split_full);
    add("split_quality", MeasureSplitQuality(session, *split, splits, kProfileSeed));
    profile.provenance["split_text"] = split->origin;
  }
  add("ops", MeasureOps(model, pool, grid, TimeBudget(budget_s * (1 - kPhaseShare))));
  if (const auto fit = FitEnergy(MeasuredEnergy(profile)))  // as a device file takes them
    profile.device["energy"] = {{"static_W", fit->static_W},
                                {"J_per_B", fit->J_per_B},
                                {"J_per_op", fit->J_per_op},
                                {"error_frac", fit->error_frac}};
  return Written(options.out, profile);
}

}  // namespace ecld
