#include "profile/score/energy_fit.h"

#include <cmath>

#include "profile/format/least_squares.h"
#include "profile/query/sections.h"

namespace ecld {
namespace {

// The terms of a point per joule: with the right coefficients they sum to one.
FitTerms PerJoule(const EnergyPoint& point) {
  return {point.seconds / point.joules, point.bytes / point.joules, point.ops / point.joules};
}

// Bytes read and operations of one pass of a shape, over all layers.
void AddWork(const DeviceProfile& profile, std::string_view phase_name, int64_t batch, int64_t tok, int64_t ctx_tok,
             EnergyPoint* point) {
  const Table& layers = profile.At("layers");
  const bool tied = VariantOf(profile).arch.tied;
  for (size_t row = 0; row < layers.rows().size(); ++row) {
    if (layers.Text(row, "phase") != phase_name || layers.Count(row, "batch") != batch ||
        layers.Count(row, "tok") != tok || layers.Count(row, "ctx_tok").value_or(0) != ctx_tok)
      continue;
    // An embedding that is no head as well is only looked up.
    if (tied || layers.Text(row, "layer") != "embed") point->bytes += layers.Number(row, "weight_B").value_or(0);
    point->bytes += layers.Number(row, "kv_B_per_tok").value_or(0) * static_cast<double>(batch * (ctx_tok + tok));
    point->ops += layers.Number(row, "flops").value_or(0);
  }
}

}  // namespace

double Joules(const EnergyCoefficients& energy, const EnergyPoint& work) {
  return energy.static_W * work.seconds + energy.J_per_B * work.bytes + energy.J_per_op * work.ops;
}

std::optional<EnergyPoint> WorkOfRow(const DeviceProfile& profile, size_t row, Work work) {
  const Table& phase = profile.At("phase");
  const auto ms = phase.Number(row, work == Work::kPrompt ? "prefill_ms" : "tpot_ms");
  if (!ms || !profile.tables.contains("layers")) return std::nullopt;
  const int64_t batch = phase.Count(row, "batch").value_or(0), prompt_tok = phase.Count(row, "prompt_tok").value_or(0);
  EnergyPoint point{.seconds = *ms / 1000};
  if (work == Work::kPrompt)
    AddWork(profile, "prefill", batch, prompt_tok, 0, &point);
  else
    AddWork(profile, "decode", batch, 1, prompt_tok, &point);
  return point.bytes > 0 ? std::optional(point) : std::nullopt;
}

std::vector<EnergyPoint> MeasuredEnergy(const DeviceProfile& profile) {
  std::vector<EnergyPoint> points;
  if (!profile.tables.contains("phase")) return points;
  const Table& phase = profile.At("phase");
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    if (phase.Text(row, "src") != "m" || phase.Count(row, "idle_sub_J").value_or(1) != 0) continue;
    const auto prefill_J = phase.Number(row, "prefill_J"), token_J = phase.Number(row, "decode_J_per_tok");
    const auto add = [&](Work work, std::optional<double> joules) {
      auto point = WorkOfRow(profile, row, work);
      if (!point || joules.value_or(0) <= 0) return;
      point->joules = *joules;
      points.push_back(*point);
    };
    add(Work::kPrompt, prefill_J);
    if (token_J) add(Work::kStep, *token_J * phase.Number(row, "batch").value_or(0));
  }
  return points;
}

std::optional<EnergyCoefficients> FitEnergy(std::span<const EnergyPoint> points) {
  if (points.size() < kFewestEnergyPoints) return std::nullopt;
  std::vector<FitTerms> rows;
  for (const EnergyPoint& point : points) rows.push_back(PerJoule(point));
  const FitTerms all = NonNegativeLeastSquares(rows);
  double errors = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<FitTerms> others = rows;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    errors += std::abs(Dot(NonNegativeLeastSquares(others), rows[i]) - 1);
  }
  return EnergyCoefficients{.static_W = all[0],
                            .J_per_B = all[1],
                            .J_per_op = all[2],
                            .error_frac = errors / static_cast<double>(rows.size())};
}

}  // namespace ecld
