#include "profile/format/checks.h"

#include <cmath>
#include <optional>
#include <tuple>

#include "core/error.h"
#include "core/log.h"

namespace ecld {
namespace {

constexpr double kLayerSumTolerance = 0.10;
constexpr double kEnergyTolerance = 0.05;

struct LayerSum {
  int64_t rows = 0;
  int64_t weight_B = 0;
  int64_t kv_B_per_tok = 0;
  double ms = 0;
};
// By (phase, batch, tok, ctx_tok): the rows of layers.csv that together are the whole model at one shape.
using LayerSums = std::map<std::tuple<std::string, int64_t, int64_t, int64_t>, LayerSum>;

std::string Place(std::string_view table, size_t row) { return fmt::format("{}.csv: row {}", table, row + 1); }

// Sums that would overflow come from a file, not from a machine.
void AddTo(int64_t& sum, int64_t value, const std::string& where) {
  if (__builtin_add_overflow(sum, value, &sum)) Fail(where, "the sum over the layers does not fit 63 bits");
}

// Sets that lack a layer are left out: nothing can be said about their sum.
LayerSums SumLayers(const DeviceProfile& profile) {
  LayerSums sums;
  const Table& layers = profile.At("layers");
  for (size_t row = 0; row < layers.rows().size(); ++row) {
    LayerSum& sum = sums[{std::string(layers.Text(row, "phase")), layers.Count(row, "batch").value_or(0),
                          layers.Count(row, "tok").value_or(0), layers.Count(row, "ctx_tok").value_or(0)}];
    ++sum.rows;
    AddTo(sum.weight_B, layers.Count(row, "weight_B").value_or(0), Place("layers", row));
    AddTo(sum.kv_B_per_tok, layers.Count(row, "kv_B_per_tok").value_or(0), Place("layers", row));
    sum.ms += layers.Number(row, "ms").value_or(0);
  }
  int64_t whole = profile.variant["arch"]["n_layers"].get<int64_t>() + 2;  // embed, layers, head
  std::erase_if(sums, [&](const auto& entry) { return entry.second.rows != whole; });
  return sums;
}

void CheckRows(const DeviceProfile& profile) {
  for (const auto& [name, entry] : profile.tables) {
    if (entry.table.rows().empty()) Fail(name + ".csv", "has no rows; a table without figures is absent");
    if (entry.status == TableStatus::kAbsent) Fail(name + ".csv", "has rows, and its status is absent");
  }
}

void CheckLayerWeights(const DeviceProfile& profile, const LayerSums& sums) {
  int64_t file_B = profile.variant["file_B"].get<int64_t>();
  for (const auto& [shape, sum] : sums)
    if (sum.weight_B != file_B)
      Fail("layers.csv", "weight_B of the layers ({}, batch {}, {} tokens) sums to {}, variant.file_B is {}",
           std::get<0>(shape), std::get<1>(shape), std::get<2>(shape), sum.weight_B, file_B);
}

void CheckCacheBytes(const DeviceProfile& profile, const LayerSums& sums) {
  if (sums.empty() || !profile.tables.contains("phase")) return;
  const Table& phase = profile.At("phase");
  int64_t per_token = sums.begin()->second.kv_B_per_tok;
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    std::optional<int64_t> kv_B = phase.Count(row, "kv_B");
    double tokens = phase.Number(row, "prompt_tok").value_or(0) + phase.Number(row, "gen_tok").value_or(0);
    double expected = phase.Number(row, "batch").value_or(0) * tokens * static_cast<double>(per_token);
    if (kv_B && static_cast<double>(*kv_B) != expected)
      Fail(Place("phase", row), "kv_B is {}, by the layers' kv_B_per_tok it is {}", *kv_B, expected);
  }
}

// The sum's shape of a phase row, if layers.csv has it.
const LayerSum* PrefillSum(const LayerSums& sums, int64_t batch, int64_t tokens) {
  for (const auto& [shape, sum] : sums)
    if (std::get<0>(shape) == "prefill" && std::get<1>(shape) == batch && std::get<2>(shape) == tokens) return &sum;
  return nullptr;
}

void CheckLayerTimes(DeviceProfile& profile, const LayerSums& sums) {
  if (!profile.tables.contains("phase")) return;
  const Table& phase = profile.At("phase");
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    std::optional<double> whole_ms = phase.Number(row, "prefill_ms");
    const LayerSum* sum =
        PrefillSum(sums, phase.Count(row, "batch").value_or(0), phase.Count(row, "prompt_tok").value_or(0));
    if (!whole_ms || sum == nullptr || std::abs(sum->ms - *whole_ms) <= kLayerSumTolerance * *whole_ms) continue;
    ProfileTable& layers = profile.tables.at("layers");
    if (layers.status == TableStatus::kComplete)
      LogWarning("layers.csv is partial: its times at {} tokens sum to {:.3g} ms, the whole prefill took {:.3g} ms",
                 phase.Count(row, "prompt_tok").value_or(0), sum->ms, *whole_ms);
    layers.status = TableStatus::kPartial;
  }
}

void CheckInterval(const Table& table, const char* value_column, const char* low_column, const char* high_column) {
  for (size_t row = 0; row < table.rows().size(); ++row) {
    std::optional<double> value = table.Number(row, value_column);
    std::optional<double> low = table.Number(row, low_column), high = table.Number(row, high_column);
    if (value && ((low && *value < *low) || (high && *value > *high)))
      Fail(Place(table.schema().name, row), "{} {} lies outside its interval", value_column, *value);
  }
}

void CheckShares(const Table& table, std::initializer_list<const char*> columns) {
  for (size_t row = 0; row < table.rows().size(); ++row)
    for (const char* column : columns)
      if (const auto share = table.Number(row, column); share && *share > 1)
        Fail(Place(table.schema().name, row), "{} is {}, a share is at most 1", column, *share);
}

// Of every task and aggregate, against the items of the task.
void CheckBins(const Table& bins, const Table& items) {
  std::map<std::string, int64_t> items_of;
  for (size_t row = 0; row < items.rows().size(); ++row) {
    const std::string_view id = items.Text(row, "item_id");
    ++items_of[std::string(id.substr(0, id.rfind('/')))];
  }
  std::map<std::pair<std::string, std::string>, int64_t> in_bins;
  for (size_t row = 0; row < bins.rows().size(); ++row) {
    std::pair key(std::string(bins.Text(row, "task")), std::string(bins.Text(row, "agg")));
    AddTo(in_bins[key], bins.Count(row, "n").value_or(0), Place("uncertainty", row));
  }
  for (const auto& [key, n] : in_bins)
    if (n != items_of[key.first])
      Fail("uncertainty.csv", "the bins of {}, {}, hold {} answers, uncertainty_items.csv has {}", key.first,
           key.second, n, items_of[key.first]);
}

int64_t BytesOf(std::string_view dtype) { return dtype == "f32" ? 4 : 2; }

void CheckCuts(const DeviceProfile& profile) {
  const Table& cuts = profile.At("cuts");
  const Json& arch = profile.variant["arch"];
  const auto layers = arch["n_layers"].get<int64_t>();
  for (size_t row = 0; row < cuts.rows().size(); ++row) {
    const auto cut = cuts.Count(row, "cut"), up_B = cuts.Count(row, "up_B");
    if (!cut || *cut > layers) Fail(Place("cuts", row), "cut: one of 0 to {}, the layers, would be right", layers);
    if (!up_B || !cuts.Text(row, "quant_scheme").empty()) continue;
    const double rows = cuts.Number(row, "batch").value_or(0) * cuts.Number(row, "tok").value_or(0);
    const double of_row = *cut == 0 ? sizeof(int32_t)
                          : *cut == layers
                              ? 0
                              : arch["d_model"].get<double>() * static_cast<double>(BytesOf(cuts.Text(row, "dtype")));
    if (static_cast<double>(*up_B) != rows * of_row)
      Fail(Place("cuts", row), "up_B is {}, by its shape it is {}", *up_B, rows * of_row);
  }
}

void CheckSplitQuality(const DeviceProfile& profile) {
  const Table& splits = profile.At("split_quality");
  const auto layers = profile.variant["arch"]["n_layers"].get<int64_t>();
  CheckInterval(splits, "ppl_ratio", "ci_lo", "ci_hi");
  CheckShares(splits, {"acc"});
  for (size_t row = 0; row < splits.rows().size(); ++row) {
    const std::string where = Place("split_quality", row);
    const auto cut = splits.Count(row, "cut").value_or(0);
    if (cut < 1 || cut >= layers) Fail(where, "cut is {}; blocks stand on both sides of 1 to {}", cut, layers - 1);
    const std::string_view corruption = splits.Text(row, "corruption");
    const double level = splits.Number(row, "level").value_or(0);
    if ((corruption == "dropout" || corruption == "bitflip") && level > 1)
      Fail(where, "level is {}, a probability is at most 1", level);
  }
}

void CheckEnergy(const Table& phase) {
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    const auto prefill_J = phase.Number(row, "prefill_J"), token_J = phase.Number(row, "decode_J_per_tok");
    const auto watts = phase.Number(row, "avg_W"), ms = phase.Number(row, "e2e_ms");
    if (!prefill_J || !token_J || !watts || !ms || phase.Count(row, "idle_sub_J").value_or(0) == 1) continue;
    const double tokens = phase.Number(row, "batch").value_or(0) * phase.Number(row, "gen_tok").value_or(0);
    const double joules = *prefill_J + tokens * *token_J, by_power = *watts * *ms / 1000;
    if (std::abs(joules - by_power) > kEnergyTolerance * by_power)
      Fail(Place("phase", row), "prefill and decoding take {:.4g} J, avg_W times e2e_ms is {:.4g} J", joules, by_power);
  }
}

void CheckMemoryLimit(const DeviceProfile& profile) {
  const Json& limit = profile.limits["oom_at"];
  if (limit.is_null()) return;
  const Table& phase = profile.At("phase");
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    const double tokens = phase.Number(row, "batch").value_or(0) *
                          (phase.Number(row, "prompt_tok").value_or(0) + phase.Number(row, "gen_tok").value_or(0));
    if (tokens >= limit.get<double>())
      Fail(Place("phase", row), "keeps {} tokens, and memory ran out at limits.oom_at = {}", tokens, limit.dump());
  }
}

void WarnOnShrinkingPrefill(const DeviceProfile& profile) {
  const Table& phase = profile.At("phase");
  std::map<int64_t, std::map<int64_t, double>> ms_by_batch;
  for (size_t row = 0; row < phase.rows().size(); ++row)
    if (auto ms = phase.Number(row, "prefill_ms"))
      ms_by_batch[phase.Count(row, "batch").value_or(0)][phase.Count(row, "prompt_tok").value_or(0)] = *ms;
  for (const auto& [batch, by_tokens] : ms_by_batch) {
    double before = 0;
    for (const auto& [tokens, ms] : by_tokens) {
      if (ms < before)
        LogWarning("phase.csv: prefill of {} tokens at batch {} took less time than that of fewer tokens", tokens,
                   batch);
      before = ms;
    }
  }
}

}  // namespace

void CheckProfile(DeviceProfile& profile) {
  CheckRows(profile);
  if (profile.tables.contains("layers")) {
    LayerSums sums = SumLayers(profile);
    CheckLayerWeights(profile, sums);
    CheckCacheBytes(profile, sums);
    CheckLayerTimes(profile, sums);
  }
  if (profile.tables.contains("quality")) CheckInterval(profile.At("quality"), "value", "ci_lo", "ci_hi");
  if (profile.tables.contains("uncertainty_items"))
    CheckShares(profile.At("uncertainty_items"), {"a_mean", "a_max", "a_first", "a_last", "a_p90"});
  if (profile.tables.contains("uncertainty")) {
    CheckInterval(profile.At("uncertainty"), "acc", "acc_lo", "acc_hi");
    CheckShares(profile.At("uncertainty"), {"acc", "halluc_rate", "bin_hi"});
    if (profile.tables.contains("uncertainty_items"))
      CheckBins(profile.At("uncertainty"), profile.At("uncertainty_items"));
  }
  if (profile.tables.contains("planner")) CheckShares(profile.At("planner"), {"acc", "halluc_rate", "a_mean"});
  if (profile.tables.contains("cuts")) CheckCuts(profile);
  if (profile.tables.contains("split_quality")) CheckSplitQuality(profile);
  if (!profile.tables.contains("phase")) return;
  CheckEnergy(profile.At("phase"));
  CheckMemoryLimit(profile);
  WarnOnShrinkingPrefill(profile);
}

}  // namespace ecld
