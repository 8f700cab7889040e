#pragma once
// The times and joules of one model on one device, asked millions of times: what a profile's phase table says, kept
// once it was asked; or the roofline of a catalogue device. What lies outside the measured grid is the profile's fit or
// roofline (profile/query/lookup.h), and is counted. One thread: a run has a copy of its own.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "profile/query/sections.h"
#include "profile/score/catalogue.h"

namespace ecld::offload {

// A profile, read once and shared by all who run its model.
struct LoadedModel {
  DeviceProfile profile;
  Variant variant;
  std::string where;                  // of the scenario, for errors
  std::optional<CatalogueDevice> as;  // whose times are modelled
  double kv_B_per_tok = 0;            // in the cache
  std::optional<double> mean_W;       // while it runs, over the phase table; of the catalogue device its most
};

class PhaseTimes {
 public:
  // power_W: for what the model has no energy of.
  PhaseTimes(std::shared_ptr<const LoadedModel> model, std::optional<double> power_W)
      : model_(std::move(model)), power_W_(power_W ? power_W : model_->mean_W) {}

  const LoadedModel& model() const { return *model_; }

  // Of a prompt by itself; of one step of a batch whose caches hold ctx_tok tokens each, in the mean.
  // THROWS Error where neither table, fit nor roofline tells. REQUIRES: counts of 1 or more.
  double PromptSeconds(int64_t prompt_tok) { return 1e-3 * Ask(Asked::kPromptMs, prompt_tok, 1).value; }
  double StepSeconds(int64_t ctx_tok, int64_t batch) { return 1e-3 * Ask(Asked::kStepMs, ctx_tok, batch).value; }
  // All steps of an answer by itself, each as in the middle of it.
  double AnswerSeconds(int64_t prompt_tok, int64_t answer_tok);
  // Of a prompt, of a step; nothing where neither table nor watts tell.
  std::optional<double> PromptJoules(int64_t prompt_tok);
  std::optional<double> AnswerJoules(int64_t prompt_tok, int64_t answer_tok);
  bool KnowsEnergy() { return PromptJoules(1).has_value(); }

  int64_t asked() const { return asked_; }
  int64_t outside() const { return outside_; }  // of these, outside the measured grid

 private:
  enum class Asked : uint64_t { kPromptMs, kStepMs, kPromptJ, kStepJ };
  struct Value {
    double value = 0;  // NaN: not known
    bool inside = true;
  };

  Value Ask(Asked what, int64_t tok, int64_t batch);
  Value LookedUp(Asked what, int64_t tok, int64_t batch) const;
  Value Roofline(Asked what, int64_t tok, int64_t batch) const;
  std::optional<double> Joules(Asked what, int64_t tok, double seconds);

  std::shared_ptr<const LoadedModel> model_;
  std::optional<double> power_W_;
  std::unordered_map<uint64_t, Value> kept_;
  int64_t asked_ = 0, outside_ = 0;
};

// THROWS Error: the profile cannot be read; lacks the tables that times or caches need; the catalogue device lacks a
// figure.
std::shared_ptr<const LoadedModel> LoadModel(const std::string& profile, const std::string& as,
                                             const std::string& where, const DeviceCatalogue& catalogue);

}  // namespace ecld::offload
