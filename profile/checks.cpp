#include "profile/checks.h"

#include <cmath>
#include <optional>
#include <tuple>

#include "core/error.h"
#include "core/log.h"

namespace ecld {
namespace {

constexpr double kLayerSumTolerance = 0.10;

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

void CheckQuality(const DeviceProfile& profile) {
  const Table& quality = profile.At("quality");
  for (size_t row = 0; row < quality.rows().size(); ++row) {
    std::optional<double> value = quality.Number(row, "value");
    std::optional<double> low = quality.Number(row, "ci_lo"), high = quality.Number(row, "ci_hi");
    if (value && ((low && *value < *low) || (high && *value > *high)))
      Fail(Place("quality", row), "value {} lies outside its interval", *value);
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
  if (profile.tables.contains("quality")) CheckQuality(profile);
  if (profile.tables.contains("phase")) WarnOnShrinkingPrefill(profile);
}

}  // namespace ecld
