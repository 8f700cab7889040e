#include "profile/energy_fit.h"

#include <array>
#include <cmath>
#include <limits>

namespace ecld {
namespace {

constexpr size_t kTerms = 3;  // seconds, bytes, operations
using Terms = std::array<double, kTerms>;

// The terms of a point per joule: with the right coefficients they sum to one.
Terms PerJoule(const EnergyPoint& point) {
  return {point.seconds / point.joules, point.bytes / point.joules, point.ops / point.joules};
}

double Predicted(const Terms& coefficients, const Terms& terms) {
  double sum = 0;
  for (size_t i = 0; i < kTerms; ++i) sum += coefficients[i] * terms[i];
  return sum;
}

// Least squares over the terms in `used` (a bit each), by the normal equations in the terms' own scale. Absent when
// they are not independent.
std::optional<Terms> Solve(std::span<const Terms> rows, unsigned used) {
  Terms scale{};
  for (const Terms& row : rows)
    for (size_t i = 0; i < kTerms; ++i) scale[i] = std::max(scale[i], std::abs(row[i]));
  std::array<std::array<double, kTerms + 1>, kTerms> m{};
  for (size_t i = 0; i < kTerms; ++i) {
    if ((used >> i & 1u) == 0 || scale[i] == 0) {
      m[i][i] = 1;  // a coefficient of zero
      continue;
    }
    for (const Terms& row : rows) {
      for (size_t k = 0; k < kTerms; ++k)
        if ((used >> k & 1u) != 0 && scale[k] > 0) m[i][k] += row[i] / scale[i] * row[k] / scale[k];
      m[i][kTerms] += row[i] / scale[i];
    }
  }
  for (size_t i = 0; i < kTerms; ++i) {
    size_t pivot = i;
    for (size_t k = i + 1; k < kTerms; ++k)
      if (std::abs(m[k][i]) > std::abs(m[pivot][i])) pivot = k;
    if (std::abs(m[pivot][i]) < 1e-12) return std::nullopt;
    std::swap(m[i], m[pivot]);
    for (size_t k = 0; k < kTerms; ++k) {
      if (k == i) continue;
      const double factor = m[k][i] / m[i][i];
      for (size_t j = i; j <= kTerms; ++j) m[k][j] -= factor * m[i][j];
    }
  }
  Terms solution{};
  for (size_t i = 0; i < kTerms; ++i) solution[i] = scale[i] > 0 ? m[i][kTerms] / m[i][i] / scale[i] : 0;
  return solution;
}

// With so few terms the best coefficients that are none below zero are found by trying every set of them.
Terms NonNegative(std::span<const Terms> rows) {
  Terms best{};
  double least = std::numeric_limits<double>::infinity();
  for (unsigned used = 1; used < 1u << kTerms; ++used) {
    const auto solution = Solve(rows, used);
    if (!solution || (*solution)[0] < 0 || (*solution)[1] < 0 || (*solution)[2] < 0) continue;
    double squares = 0;
    for (const Terms& row : rows) squares += std::pow(Predicted(*solution, row) - 1, 2);
    if (squares >= least) continue;
    least = squares;
    best = *solution;
  }
  return best;
}

// Bytes read and operations of one pass of a shape, over all layers.
void AddWork(const DeviceProfile& profile, std::string_view phase_name, int64_t batch, int64_t tok, int64_t ctx_tok,
             EnergyPoint* point) {
  const Table& layers = profile.At("layers");
  const bool tied = profile.variant["arch"]["tie_embeddings"].get<bool>();
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
  std::vector<Terms> rows;
  for (const EnergyPoint& point : points) rows.push_back(PerJoule(point));
  const Terms all = NonNegative(rows);
  double errors = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<Terms> others = rows;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    errors += std::abs(Predicted(NonNegative(others), rows[i]) - 1);
  }
  return EnergyCoefficients{.static_W = all[0],
                            .J_per_B = all[1],
                            .J_per_op = all[2],
                            .error_frac = errors / static_cast<double>(rows.size())};
}

}  // namespace ecld
