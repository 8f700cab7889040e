#include "profile/score/scorecard.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/intervals.h"
#include "core/metric_table.h"
#include "profile/query/sections.h"
#include "profile/score/energy_fit.h"

namespace ecld {
namespace {

constexpr double kModelError = 0.15;  // of modelled energy at least: what such models reach at best

std::optional<std::pair<double, double>> Interval(const Table& table, size_t row) {
  const auto low = table.Number(row, "ci_lo"), high = table.Number(row, "ci_hi");
  return low && high ? std::optional(std::pair(*low, *high)) : std::nullopt;
}

// The unweighted mean of accuracies of different tasks, which are independent: its error is the root of the sum of
// squares over their number.
void AddMean(const std::vector<Figure>& of_tasks, std::vector<Figure>* figures) {
  if (of_tasks.size() < 2) return;
  double sum = 0, variance = 0;
  bool all = true;
  Figure mean{.metric = "accuracy",
              .name = fmt::format("mean of acc, {} tasks", of_tasks.size()),
              .unit = "1",
              .src = 'm',
              .n = static_cast<int64_t>(of_tasks.size()),
              .method = "unweighted mean of",
              .higher_is_better = true,
              .headline = true};
  for (const Figure& figure : of_tasks) {
    sum += *figure.value;
    mean.method += " " + figure.name.substr(0, figure.name.find(','));
    all &= figure.interval.has_value();
    if (figure.interval) variance += std::pow((figure.interval->second - figure.interval->first) / (2 * kNormal95), 2);
  }
  const auto n = static_cast<double>(of_tasks.size());
  mean.value = sum / n;
  const double reach = kNormal95 * std::sqrt(variance) / n;
  if (all) mean.interval = {*mean.value - reach, *mean.value + reach};
  figures->push_back(mean);
}

// What the model gets wrong that its original did not, less the reverse: paired, so far surer than two rates apart.
void AddNewErrors(const DeviceProfile& profile, std::vector<Figure>* figures) {
  const JsonView variant(profile.variant, "profile.json", "variant");
  if (!variant.Has("new_errors")) return;
  const JsonView errors = variant.At("new_errors");
  const double value = errors.At("new_error_rate").Number(), reach = kNormal95 * errors.At("se").Number();
  figures->push_back(
      {.metric = "hallucination",
       .name = "new errors less fixed ones, against the original",
       .value = value,
       .unit = "1",
       .src = 'm',
       .interval = {{value - reach, value + reach}},
       .n = errors.At("n").Int(),
       .method = fmt::format("{} new, {} fixed; {}, p {:.3g}", errors.At("new_errors").Int(),
                             errors.At("fixed_errors").Int(), errors.At("test").String(), errors.At("p").Number()),
       .headline = true});
}

void AddQuality(const DeviceProfile& profile, std::vector<Figure>* figures) {
  if (!profile.tables.contains("quality")) {
    for (const char* metric : {"accuracy", "hallucination"})
      figures->push_back({.metric = metric, .name = "no scores in this profile", .method = "add those of `eval`"});
    return;
  }
  const Table& quality = profile.At("quality");
  std::set<std::string_view> hallucination_tasks;
  for (size_t row = 0; row < quality.rows().size(); ++row)
    if (quality.Text(row, "metric") == "halluc_rate") hallucination_tasks.insert(quality.Text(row, "task"));
  std::vector<Figure> averaged;
  for (size_t row = 0; row < quality.rows().size(); ++row) {
    const std::string_view metric = quality.Text(row, "metric"), format = quality.Text(row, "prompt_fmt");
    const std::string_view task = quality.Text(row, "task");
    const bool hallucination = hallucination_tasks.contains(task) || metric == "abstain_frac";
    const std::string_view scored = format.substr(format.find('/') == format.npos ? 0 : format.rfind('/') + 1);
    const FigureRow* of_hallucination = FindFigure(scored);
    Figure figure{.metric = hallucination ? "hallucination" : "accuracy",
                  .name = fmt::format("{}, {}", task, metric == "ppl" ? "perplexity" : scored),
                  .value = quality.Number(row, "value"),
                  .unit = "1",
                  .src = quality.Text(row, "src")[0],
                  .interval = Interval(quality, row),
                  .n = quality.Count(row, "n").value_or(0),
                  .method = fmt::format("{}, {} shots", format, quality.Count(row, "shots").value_or(0)),
                  .higher_is_better = metric == "acc" || metric == "f1",
                  .headline = of_hallucination != nullptr && of_hallucination->headline};
    // Tasks of a group stand in its mean, which has no file of its own.
    if (scored == "acc" && !hallucination && !quality.Text(row, "dataset_sha256").empty()) averaged.push_back(figure);
    figures->push_back(std::move(figure));
  }
  AddMean(averaged, figures);
  AddNewErrors(profile, figures);
  figures->push_back({.metric = "hallucination", .name = "factuality against the world", .method = "needs a judge"});
}

struct RowEnergy {
  double prefill_J = 0, token_J = 0;
  char src = 0;
  double error_frac = 0;    // of what was modelled
  std::string scope, idle;  // idle: whether idle power is in it
};

// As the table has it; else by the coefficients of the device, from the row's times and what it reads and computes.
std::optional<RowEnergy> EnergyOfRow(const DeviceProfile& profile, size_t row, const CatalogueDevice* device) {
  const Table& phase = profile.At("phase");
  const JsonView provenance(profile.provenance, "profile.json", "provenance");
  if (phase.Count(row, "batch") != 1) return std::nullopt;
  const auto prefill_J = phase.Number(row, "prefill_J"), token_J = phase.Number(row, "decode_J_per_tok");
  if (prefill_J && token_J)
    return RowEnergy{.prefill_J = *prefill_J,
                     .token_J = *token_J,
                     .src = phase.Text(row, "src")[0],
                     .error_frac = provenance.NumberOr("power_error_frac", 0),
                     .scope = provenance.StringOr("power_scope", provenance.At("power_source").String()),
                     .idle = phase.Count(row, "idle_sub_J").value_or(0) == 1 ? "above idle" : "idle power included"};
  if (device == nullptr || !device->energy) return std::nullopt;
  const auto prompt = WorkOfRow(profile, row, Work::kPrompt), step = WorkOfRow(profile, row, Work::kStep);
  if (!prompt || !step) return std::nullopt;
  return RowEnergy{.prefill_J = Joules(*device->energy, *prompt),
                   .token_J = Joules(*device->energy, *step),
                   .src = 'r',
                   .error_frac = device->energy->error_frac,
                   .scope = "modelled by coefficients of " + device->id,
                   .idle = "idle power included"};
}

// The row of one sequence with the longest prompt: what headlines are of.
std::optional<size_t> LongestPrompt(const Table& phase) {
  std::optional<size_t> longest;
  for (size_t row = 0; row < phase.rows().size(); ++row)
    if (phase.Count(row, "batch") == 1 &&
        (!longest || phase.Count(row, "prompt_tok") > phase.Count(*longest, "prompt_tok")))
      longest = row;
  return longest;
}

// Joules of a row's request and of one of its tokens, and what of them is above idle power.
void AddEnergyOfRow(const DeviceProfile& profile, size_t row, const RowEnergy& energy, std::vector<Figure>* figures) {
  const Table& phase = profile.At("phase");
  const auto prompt_tok = phase.Count(row, "prompt_tok").value_or(0), gen_tok = phase.Count(row, "gen_tok").value_or(0);
  const double query_J = energy.prefill_J + static_cast<double>(gen_tok) * energy.token_J;
  const auto add = [&](const std::string& name, double joules, const std::string& idle) {
    Figure figure{.metric = "energy",
                  .name = name,
                  .value = joules,
                  .unit = "J",
                  .src = energy.src,
                  .n = phase.Count(row, "n").value_or(0),
                  .method = fmt::format("{}, {}", energy.scope, idle),
                  .headline = row == LongestPrompt(phase) && idle == energy.idle};
    if (energy.src != 'm') {
      const double error = joules * std::max(kModelError, energy.error_frac);
      figure.interval = {std::max(0.0, joules - error), joules + error};
    }
    figures->push_back(std::move(figure));
  };
  const std::string query = fmt::format("per query of {} + {} tokens", prompt_tok, gen_tok);
  const std::string token = fmt::format("per token, context {}", phase.Count(row, "ctx_tok").value_or(0));
  add(query, query_J, energy.idle);
  add(token, energy.token_J, energy.idle);
  const auto whole_ms = phase.Number(row, "e2e_ms"), step_ms = phase.Number(row, "tpot_ms");
  const std::optional<double> device_idle_W = DeviceOf(profile).idle_W;
  if (energy.idle == "above idle" || !whole_ms || !step_ms || !device_idle_W) return;
  const double idle_W = *device_idle_W;
  add(query + ", above idle", query_J - idle_W * *whole_ms / 1000, "above idle");
  add(token + ", above idle", energy.token_J - idle_W * *step_ms / 1000, "above idle");
}

void AddEnergy(const DeviceProfile& profile, const DeviceCatalogue& catalogue, std::vector<Figure>* figures) {
  const Device profiled = DeviceOf(profile);
  const auto device = std::ranges::find(catalogue.devices, profiled.id, &CatalogueDevice::id);
  bool any = false;
  for (size_t row = 0; row < profile.At("phase").rows().size(); ++row) {
    const auto energy = EnergyOfRow(profile, row, device == catalogue.devices.end() ? nullptr : &*device);
    if (!energy) continue;
    any = true;
    AddEnergyOfRow(profile, row, *energy, figures);
  }
  if (any && profiled.idle_W)
    figures->push_back({.metric = "energy",
                        .name = "idle power",
                        .value = *profiled.idle_W,
                        .unit = "W",
                        .src = 'm',
                        .n = 2,
                        .method = "before and after"});
  if (any) return;
  const JsonView provenance(profile.provenance, "profile.json", "provenance");
  figures->push_back(
      {.metric = "energy",
       .name = "per query",
       .method = provenance.StringOr("power_problem", "no meter on this device, no coefficients for it")});
}

void AddAccess(const DeviceProfile& profile, const Coverage& coverage, std::vector<Figure>* figures) {
  const auto add = [&](const std::string& name, std::optional<double> value, const char* unit, char src, int64_t n,
                       const std::string& method) -> Figure& {
    figures->push_back({.metric = "accessibility",
                        .name = name,
                        .value = value,
                        .unit = unit,
                        .src = value ? src : '\0',
                        .n = n,
                        .method = method});
    return figures->back();
  };
  const Variant variant = VariantOf(profile);
  const auto weights_B = static_cast<double>(variant.file_B);
  if (variant.storage_B)
    add("bytes to store", static_cast<double>(*variant.storage_B), "B", 'm', 1, "all files that running needs")
        .headline = true;
  add("weights", weights_B, "B", 'm', 1, "tensors as stored");
  add("bits per weight", 8 * weights_B / static_cast<double>(variant.params), "bit", 'm', 1, "embeddings included");
  if (profile.tables.contains("load")) {
    const Table& load = profile.At("load");
    for (size_t row = 0; row < load.rows().size(); ++row)
      add(fmt::format("first token after opening, from {}", load.Text(row, "from_state")), load.Number(row, "load_ms"),
          "ms", load.Text(row, "src")[0], load.Count(row, "n").value_or(0), "median, prompt of one token")
          .headline = true;
  }
  const Table& phase = profile.At("phase");
  const std::optional<size_t> longest = LongestPrompt(phase);
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    if (phase.Count(row, "batch") != 1) continue;
    const int64_t prompt_tok = phase.Count(row, "prompt_tok").value_or(0), n = phase.Count(row, "n").value_or(0);
    const char src = phase.Text(row, "src")[0];
    const auto of_row = [&](const char* name, std::optional<double> value, const char* unit, const char* method,
                            bool headline = true, bool higher = false) {
      if (!value) return;
      Figure& figure = add(fmt::format("{}, prompt of {}", name, prompt_tok), value, unit, src, n, method);
      figure.headline = headline && row == longest;
      figure.higher_is_better = higher;
    };
    of_row("peak memory, resident", phase.Number(row, "mem_peak_B"), "B", "mapped files included");
    if (const auto other_B = phase.Number(row, "act_peak_B"))
      of_row("peak memory, anonymous", *other_B + phase.Number(row, "kv_B").value_or(0), "B", "cache included", false);
    of_row("time to first token", phase.Number(row, "prefill_ms"), "ms", "median, model loaded");
    if (const auto tpot_ms = phase.Number(row, "tpot_ms"); tpot_ms && *tpot_ms > 0)
      of_row("decoding", 1000 / *tpot_ms, "token/s", "median, one sequence", true, true);
  }
  Figure share{.metric = "accessibility",
               .name = fmt::format("devices that can run it at context {}", coverage.limits.ctx_tok),
               .value = coverage.sure,
               .unit = "1",
               .src = 'r',
               .interval = {{coverage.sure, coverage.possible}},
               .n = static_cast<int64_t>(coverage.devices.size()),
               .method = fmt::format("of the catalogue: memory {:.0f} % of a phone, {:.0f} % elsewhere, {:g} token/s; "
                                     "interval from sure to possible",
                                     100 * coverage.limits.phone_memory_share, 100 * coverage.limits.memory_share,
                                     coverage.limits.decode_tok_per_s),
               .higher_is_better = true,
               .headline = true};
  figures->push_back(share);
}

}  // namespace

std::string_view KindOf(char src) {
  if (src == 'm') return "measured";
  if (src == 'c') return "declared";
  return src == 0 ? "not measured" : "modelled";
}

Scorecard ScorecardOf(const DeviceProfile& profile, const DeviceCatalogue& catalogue, const CoverageLimits& limits) {
  const Variant variant = VariantOf(profile);
  Scorecard card{.variant = variant.id,
                 .device = DeviceOf(profile).id,
                 .weights_sha256 = variant.weights_sha256,
                 .coverage = CoverageOf(profile, catalogue, limits)};
  AddQuality(profile, &card.figures);
  AddEnergy(profile, catalogue, &card.figures);
  AddAccess(profile, card.coverage, &card.figures);
  return card;
}

Json ToJson(const std::vector<Scorecard>& cards, const DeviceCatalogue& catalogue) {
  Json json = NewDocument(
      kScorecardDocument,
      {{"catalogue", {{"file", catalogue.file}, {"sha256", catalogue.sha256}, {"devices", catalogue.devices.size()}}},
       {"scorecards", Json::array()}});
  for (const Scorecard& card : cards) {
    Json figures = Json::array();
    for (const Figure& figure : card.figures)
      figures.push_back(
          {{"metric", figure.metric},
           {"name", figure.name},
           {"value", figure.value ? Json(*figure.value) : Json(nullptr)},
           {"unit", figure.unit},
           {"kind", KindOf(figure.src)},
           {"interval", figure.interval ? Json({figure.interval->first, figure.interval->second}) : Json(nullptr)},
           {"n", figure.n},
           {"method", figure.method},
           {"higher_is_better", figure.higher_is_better},
           {"headline", figure.headline}});
    json["scorecards"].push_back({{"variant", card.variant},
                                  {"device", card.device},
                                  {"weights_sha256", card.weights_sha256},
                                  {"figures", figures},
                                  {"coverage", ToJson(card.coverage)}});
  }
  return json;
}

}  // namespace ecld
