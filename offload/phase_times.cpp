#include "offload/phase_times.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "core/error.h"
#include "profile/query/lookup.h"
#include "profile/score/energy_fit.h"

namespace ecld::offload {
namespace {

constexpr const char* kColumns[] = {"prefill_ms", "tpot_ms", "prefill_J", "decode_J_per_tok"};  // of Asked

// The most that a phase row says of bytes in the cache for a token.
double CacheBytesPerToken(const Table& phase, const std::string& where) {
  double most = 0;
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    const auto batch = phase.Number(row, "batch"), prompt = phase.Number(row, "prompt_tok");
    const auto gen = phase.Number(row, "gen_tok"), kv_B = phase.Number(row, "kv_B");
    if (const double tok = batch.value_or(0) * (prompt.value_or(0) + gen.value_or(0)); kv_B && tok > 0)
      most = std::max(most, *kv_B / tok);
  }
  if (most <= 0) Fail(where, "no row of phase.csv says kv_B, the bytes of the caches");
  return most;
}

// Joules over seconds of the prompts whose energy the table has.
std::optional<double> MeanWatts(const Table& phase) {
  double joules = 0, seconds = 0;
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    const auto prompt_J = phase.Number(row, "prefill_J"), prompt_ms = phase.Number(row, "prefill_ms");
    if (!prompt_J || !prompt_ms) continue;
    joules += *prompt_J;
    seconds += *prompt_ms / 1000;
  }
  return seconds > 0 ? std::optional(joules / seconds) : std::nullopt;
}

}  // namespace

PhaseTimes::Value PhaseTimes::Roofline(Asked what, int64_t tok, int64_t batch) const {
  const CatalogueDevice& device = *model_->as;
  const bool prompt = what == Asked::kPromptMs || what == Asked::kPromptJ;
  const auto tokens = static_cast<double>(tok), requests = static_cast<double>(batch);
  EnergyPoint work;
  work.bytes = static_cast<double>(model_->variant.file_B) + requests * tokens * model_->kv_B_per_tok;
  work.ops = 2 * static_cast<double>(model_->variant.params) * requests * (prompt ? tokens : 1);
  work.seconds = std::max(work.bytes / *device.mem_Bps, work.ops / *device.fp16_flops);
  if (what == Asked::kPromptMs || what == Asked::kStepMs) return {.value = 1000 * work.seconds};
  return {.value = device.energy ? ecld::Joules(*device.energy, work) : NAN};
}

PhaseTimes::Value PhaseTimes::LookedUp(Asked what, int64_t tok, int64_t batch) const {
  const char* column = kColumns[static_cast<size_t>(what)];
  const Estimate estimate =
      LookUp(model_->profile, column, static_cast<double>(tok), static_cast<double>(batch), Beyond::kModel);
  return {.value = estimate.value, .inside = estimate.in_range};
}

PhaseTimes::Value PhaseTimes::Ask(Asked what, int64_t tok, int64_t batch) {
  assert(tok >= 1 && batch >= 1 && tok < (int64_t{1} << 40) && batch < (int64_t{1} << 20));
  const uint64_t key =
      (static_cast<uint64_t>(batch) << 42) | (static_cast<uint64_t>(tok) << 2) | static_cast<uint64_t>(what);
  const auto [place, is_new] = kept_.try_emplace(key);
  if (is_new) place->second = model_->as ? Roofline(what, tok, batch) : LookedUp(what, tok, batch);
  const Value& value = place->second;
  if (what == Asked::kPromptJ || what == Asked::kStepJ) return value;
  if (!(value.value >= 0))
    Fail(model_->where, "neither phase.csv nor its fit tells {} at {} tokens, batch {}",
         kColumns[static_cast<size_t>(what)], tok, batch);
  ++asked_;
  outside_ += value.inside ? 0 : 1;
  return value;
}

double PhaseTimes::AnswerSeconds(int64_t prompt_tok, int64_t answer_tok) {
  return static_cast<double>(answer_tok) * StepSeconds(prompt_tok + answer_tok / 2, 1);
}

std::optional<double> PhaseTimes::Joules(Asked what, int64_t tok, double seconds) {
  if (const double joules = Ask(what, tok, 1).value; joules >= 0) return joules;
  return power_W_ ? std::optional(*power_W_ * seconds) : std::nullopt;
}

std::optional<double> PhaseTimes::PromptJoules(int64_t prompt_tok) {
  return Joules(Asked::kPromptJ, prompt_tok, PromptSeconds(prompt_tok));
}

std::optional<double> PhaseTimes::AnswerJoules(int64_t prompt_tok, int64_t answer_tok) {
  const int64_t ctx_tok = prompt_tok + answer_tok / 2;
  const auto step_J = Joules(Asked::kStepJ, ctx_tok, StepSeconds(ctx_tok, 1));
  return step_J ? std::optional(*step_J * static_cast<double>(answer_tok)) : std::nullopt;
}

std::shared_ptr<const LoadedModel> LoadModel(const std::string& profile, const std::string& as,
                                             const std::string& where, const DeviceCatalogue& catalogue) {
  auto model = std::make_shared<LoadedModel>();
  model->where = fmt::format("{} ({})", where, profile);
  model->profile = ReadProfile(profile);
  model->variant = VariantOf(model->profile);
  if (!model->profile.tables.contains("phase")) Fail(model->where, "the profile has no table phase, and so no times");
  const Table& phase = model->profile.At("phase");
  model->kv_B_per_tok = CacheBytesPerToken(phase, model->where);
  model->mean_W = MeanWatts(phase);
  if (as.empty()) return model;
  model->as = catalogue.Find(as);
  model->mean_W = model->as->power_W;
  if (!model->as->mem_Bps || !model->as->fp16_flops)
    Fail(model->where, "device {} of the catalogue lacks mem_GBps or fp16_TFLOPS: its times cannot be modelled", as);
  return model;
}

}  // namespace ecld::offload
