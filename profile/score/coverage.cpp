#include "profile/score/coverage.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "profile/query/sections.h"

namespace ecld {
namespace {

// Bytes that a token of one sequence takes in the cache.
double CacheBytesPerToken(const Table& phase) {
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    const double tokens = phase.Number(row, "batch").value_or(0) *
                          (phase.Number(row, "prompt_tok").value_or(0) + phase.Number(row, "gen_tok").value_or(0));
    if (const auto kv_B = phase.Number(row, "kv_B"); kv_B && tokens > 0) return *kv_B / tokens;
  }
  Fail("phase.csv", "no row says how large its cache is (kv_B)");
}

// Weights that decoding does not read: an embedding that is no head as well.
double LookedUpBytes(const DeviceProfile& profile) {
  if (VariantOf(profile).arch.tied || !profile.tables.contains("layers")) return 0;
  const Table& layers = profile.At("layers");
  for (size_t row = 0; row < layers.rows().size(); ++row)
    if (layers.Text(row, "layer") == "embed") return layers.Number(row, "weight_B").value_or(0);
  return 0;
}

// What the program took, at the context nearest to ctx_tok that was measured, with the cache's difference.
double MeasuredNeed(const Table& phase, double cache_B, int64_t ctx_tok) {
  std::optional<double> need;
  double nearest = 0;
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    const auto peak_B = phase.Number(row, "mem_peak_B");
    if (!peak_B || phase.Count(row, "batch") != 1) continue;
    const double tokens = phase.Number(row, "prompt_tok").value_or(0) + phase.Number(row, "gen_tok").value_or(0);
    const double missing = static_cast<double>(ctx_tok) - tokens;
    if (need && std::abs(missing) >= nearest) continue;
    nearest = std::abs(missing);
    need = *peak_B + std::max(0.0, missing) * cache_B;
  }
  if (!need) Fail("phase.csv", "no row of one sequence says how much memory it took (mem_peak_B)");
  return *need;
}

}  // namespace

double ReadBytesPerToken(const DeviceProfile& profile, int64_t ctx_tok) {
  return static_cast<double>(VariantOf(profile).file_B) - LookedUpBytes(profile) +
         static_cast<double>(ctx_tok) * CacheBytesPerToken(profile.At("phase"));
}

Coverage CoverageOf(const DeviceProfile& profile, const DeviceCatalogue& catalogue, CoverageLimits limits) {
  if (const Json& most = profile.limits["max_ctx_tok"]; most.is_number())
    limits.ctx_tok = std::min(limits.ctx_tok, most.get<int64_t>());
  const Table& phase = profile.At("phase");
  const double cache_B = CacheBytesPerToken(phase);
  Coverage coverage{.limits = limits};
  coverage.need_low_B = static_cast<double>(VariantOf(profile).file_B) + static_cast<double>(limits.ctx_tok) * cache_B;
  coverage.need_high_B = std::max(coverage.need_low_B, MeasuredNeed(phase, cache_B, limits.ctx_tok));
  coverage.read_B_per_tok = ReadBytesPerToken(profile, limits.ctx_tok);
  for (const CatalogueDevice& device : catalogue.devices) {
    DeviceVerdict verdict{.id = device.id, .kind = device.kind};
    verdict.allowed_B = device.mem_B * (device.kind == "phone" ? limits.phone_memory_share : limits.memory_share);
    verdict.possible = coverage.need_low_B <= verdict.allowed_B;
    verdict.sure = coverage.need_high_B <= verdict.allowed_B && device.mem_Bps.has_value();
    if (device.mem_Bps) {
      verdict.decode_high = *device.mem_Bps / coverage.read_B_per_tok;
      verdict.decode_low = limits.sure_rate_share * *verdict.decode_high;
      verdict.possible &= *verdict.decode_high >= limits.decode_tok_per_s;
      verdict.sure &= *verdict.decode_low >= limits.decode_tok_per_s;
    }
    coverage.sure += verdict.sure;
    coverage.possible += verdict.possible;
    coverage.devices.push_back(verdict);
  }
  coverage.sure /= static_cast<double>(catalogue.devices.size());
  coverage.possible /= static_cast<double>(catalogue.devices.size());
  return coverage;
}

Json ToJson(const Coverage& coverage) {
  const auto or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
  Json json = {{"kind", "modelled"},
               {"limits",
                {{"ctx_tok", coverage.limits.ctx_tok},
                 {"phone_memory_share", coverage.limits.phone_memory_share},
                 {"memory_share", coverage.limits.memory_share},
                 {"decode_tok_per_s", coverage.limits.decode_tok_per_s},
                 {"sure_rate_share", coverage.limits.sure_rate_share}}},
               {"need_B", {coverage.need_low_B, coverage.need_high_B}},
               {"read_B_per_tok", coverage.read_B_per_tok},
               {"sure", coverage.sure},
               {"possible", coverage.possible},
               {"devices", Json::array()}};
  for (const DeviceVerdict& verdict : coverage.devices)
    json["devices"].push_back({{"id", verdict.id},
                               {"kind", verdict.kind},
                               {"can", verdict.sure       ? "yes"
                                       : verdict.possible ? "undecided"
                                                          : "no"},
                               {"allowed_B", verdict.allowed_B},
                               {"decode_tok_per_s", {or_null(verdict.decode_low), or_null(verdict.decode_high)}}});
  return json;
}

}  // namespace ecld
