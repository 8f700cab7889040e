#include "profile/query/lookup.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "profile/format/fit.h"
#include "profile/query/sections.h"

namespace ecld {
namespace {

char SourceOf(const JsonView& view) {
  const std::string text = view.String();
  for (const Source& source : Sources())
    if (text == std::string_view(&source.letter, 1)) return source.letter;
  Fail(view.Where(), "expected one of m, f, r, i, c, found \"{}\"", text);
}

// By the roofline of the device, from what the manifest knows of it; the cache's bytes are not in it. 0: not known.
double RooflineMs(const DeviceProfile& profile, std::string_view column, double prompt_tok, double batch) {
  const Device device = DeviceOf(profile);
  const Variant variant = VariantOf(profile);
  if (device.mem_Bps.value_or(0) <= 0) return 0;
  const double read_s = static_cast<double>(variant.file_B) / *device.mem_Bps;
  if (column == "tpot_ms") return 1000 * read_s;
  if (device.fp16_flops.value_or(0) <= 0) return 0;
  const double flops = 2 * static_cast<double>(variant.params) * prompt_tok * batch;
  return 1000 * std::max(read_s, flops / *device.fp16_flops);
}

}  // namespace

Estimate LookUpPhase(const Table& phase, std::string_view column, double prompt_tok, double batch) {
  RequireCounts("prompt_tok", prompt_tok, batch);
  RequireNumbers(phase, column);
  EstimateGrid grid(EstimateGrid::Scale::kLogarithmic);
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    const auto of_batch = phase.Number(row, "batch"), prompt = phase.Number(row, "prompt_tok");
    if (of_batch.value_or(0) >= 1 && prompt.value_or(0) >= 1) grid.Add(prompt, of_batch, phase, row, column);
  }
  return grid.At(prompt_tok, batch);
}

Estimate LookUpUncertainty(const Table& uncertainty, std::string_view column, std::string_view task,
                           std::string_view aggregate, double of_answer) {
  RequireNumbers(uncertainty, column);
  if (!(of_answer >= 0 && of_answer <= 1)) Fail("look-up", "an uncertainty lies in [0, 1], found {}", of_answer);
  for (size_t row = 0; row < uncertainty.rows().size(); ++row) {
    if (uncertainty.Text(row, "task") != task || uncertainty.Text(row, "agg") != aggregate) continue;
    const auto low = uncertainty.Number(row, "bin_lo"), high = uncertainty.Number(row, "bin_hi");
    if (!low || !high || of_answer < *low || (of_answer >= *high && !(of_answer == 1 && *high == 1))) continue;
    const auto value = uncertainty.Number(row, column);
    if (value) return {.value = *value, .src = uncertainty.Text(row, "src")[0], .in_range = true};
  }
  return {};
}

Estimate LookUpLoad(const Table& load, std::string_view column, std::string_view from_state) {
  RequireNumbers(load, column);
  for (size_t row = 0; row < load.rows().size(); ++row) {
    if (load.Text(row, "from_state") != from_state) continue;
    if (const auto value = load.Number(row, column))
      return {.value = *value, .src = load.Text(row, "src")[0], .in_range = true};
  }
  return {};
}

std::vector<AnswerItem> AnswersTo(const Table& items, std::string_view task, std::string_view aggregate) {
  const std::string column = fmt::format("a_{}", aggregate);
  RequireNumbers(items, column);
  const auto flag = [&](size_t row, std::string_view name) {
    const auto value = items.Count(row, name);
    return value ? std::optional(*value == 1) : std::nullopt;
  };
  std::vector<AnswerItem> answers;
  for (size_t row = 0; row < items.rows().size(); ++row) {
    const std::string_view id = items.Text(row, "item_id");
    if (id.substr(0, id.rfind('/')) != task) continue;
    answers.push_back({.id = std::string(id),
                       .correct = flag(row, "correct"),
                       .hallucination = flag(row, "halluc"),
                       .gen_tok = items.Count(row, "gen_tok"),
                       .uncertainty = items.Number(row, column)});
  }
  return answers;
}

Estimate LookUp(const DeviceProfile& profile, std::string_view column, double prompt_tok, double batch, Beyond beyond) {
  const Estimate inside = LookUpPhase(profile.At("phase"), column, prompt_tok, batch);
  const bool prefill = column == "prefill_ms";
  if (inside.in_range || beyond == Beyond::kNothing || (!prefill && column != "tpot_ms")) return inside;
  const JsonView fit(profile.fit, "profile.json", "fit");
  const auto fitted = prefill ? FittedPrefillMs(fit, prompt_tok, batch) : FittedDecodeMs(fit, prompt_tok, batch);
  if (fitted) {
    const char rows_src = SourceOf(fit.At(prefill ? "prefill_ms" : "decode_ms").At("src"));
    return {.value = *fitted, .src = WeakerSource('f', rows_src), .in_range = false};
  }
  if (const double ms = RooflineMs(profile, column, prompt_tok, batch); ms > 0)
    return {.value = ms, .src = 'r', .in_range = false};
  return inside;
}

}  // namespace ecld
