#include "profile/fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace ecld {
namespace {

constexpr size_t kTerms = 3;
constexpr size_t kMinRows = 3;
using Terms = std::array<double, kTerms>;

struct Point {
  Terms x;
  double ms;
  double tok, batch;
  char src;
};

double Dot(const Terms& a, const Terms& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

Terms PrefillTerms(double prompt_tok, double batch) { return {1, batch * prompt_tok, batch * prompt_tok * prompt_tok}; }

Terms DecodeTerms(double ctx_tok, double batch) { return {1, batch * ctx_tok, batch}; }

// Coefficients of the terms in `used`, the others 0, by normal equations over columns of unit length; nullopt where
// the points do not determine them.
std::optional<Terms> Solve(const std::vector<Point>& points, unsigned used) {
  Terms scale{};
  for (const Point& point : points)
    for (size_t i = 0; i < kTerms; ++i) scale[i] += std::pow(point.x[i] / point.ms, 2);
  for (double& length : scale) length = std::sqrt(length);
  double a[kTerms][kTerms + 1] = {};
  for (const Point& point : points)
    for (size_t i = 0; i < kTerms; ++i) {
      const double row = point.x[i] / point.ms / scale[i];
      for (size_t j = 0; j < kTerms; ++j) a[i][j] += row * point.x[j] / point.ms / scale[j];
      a[i][kTerms] += row;
    }
  Terms solution{};
  for (size_t i = 0; i < kTerms; ++i) {
    if (!(used >> i & 1)) continue;
    if (a[i][i] < 1e-9) return std::nullopt;  // what is left of this column, orthogonal to those before
    for (size_t row = 0; row < kTerms; ++row) {
      if (row == i || !(used >> row & 1)) continue;
      const double factor = a[row][i] / a[i][i];
      for (size_t j = 0; j <= kTerms; ++j) a[row][j] -= factor * a[i][j];
    }
  }
  for (size_t i = 0; i < kTerms; ++i)
    if (used >> i & 1) solution[i] = a[i][kTerms] / a[i][i] / scale[i];
  return solution;
}

double RelativeLoss(const std::vector<Point>& points, const Terms& coefficients) {
  double loss = 0;
  for (const Point& point : points) loss += std::pow(Dot(point.x, coefficients) / point.ms - 1, 2);
  return loss;
}

// With so few terms, every set of those that are not zero can be tried.
Terms NonNegativeLeastSquares(const std::vector<Point>& points) {
  Terms best{};
  double best_loss = std::numeric_limits<double>::infinity();
  for (unsigned used = 1; used < 1u << kTerms; ++used) {
    const std::optional<Terms> found = Solve(points, used);
    if (!found || std::any_of(found->begin(), found->end(), [](double value) { return value < 0; })) continue;
    if (const double loss = RelativeLoss(points, *found); loss < best_loss * (1 - 1e-9)) {
      best = *found;
      best_loss = loss;
    }
  }
  return best;
}

Json FitPoints(const std::vector<Point>& points, const std::array<const char*, kTerms>& names) {
  const Terms coefficients = NonNegativeLeastSquares(points);
  double mean_ms = 0, residual = 0, spread = 0, worst = 0;
  for (const Point& point : points) mean_ms += point.ms / static_cast<double>(points.size());
  auto [low, high] =
      std::minmax_element(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.tok < b.tok; });
  auto [few, many] = std::minmax_element(points.begin(), points.end(),
                                         [](const Point& a, const Point& b) { return a.batch < b.batch; });
  char src = 'm';
  for (const Point& point : points) {
    const double error_ms = Dot(point.x, coefficients) - point.ms;
    residual += error_ms * error_ms;
    spread += (point.ms - mean_ms) * (point.ms - mean_ms);
    worst = std::max(worst, std::abs(error_ms) / point.ms);
    src = WeakerSource(src, point.src);
  }
  Json json;
  for (size_t i = 0; i < kTerms; ++i) json[names[i]] = coefficients[i];
  json["r2"] = spread > 0 ? Json(1 - residual / spread) : Json(nullptr);
  json["max_rel_err"] = worst;
  json["range_tok"] = {low->tok, high->tok};
  json["range_batch"] = {few->batch, many->batch};
  json["n"] = points.size();
  json["src"] = std::string(1, src);
  return json;
}

std::optional<double> Evaluate(const JsonView& fit, const char* time, const std::array<const char*, kTerms>& names,
                               const Terms& terms) {
  if (!fit.Has(time)) return std::nullopt;
  double ms = 0;
  for (size_t i = 0; i < kTerms; ++i) ms += fit.At(time).At(names[i]).Number() * terms[i];
  return ms;
}

constexpr std::array kPrefillNames = {"a", "b", "c"}, kDecodeNames = {"a", "b_ctx", "c_batch"};

}  // namespace

Json FitPhase(const Table& phase) {
  std::vector<Point> prefill, decode;
  for (size_t row = 0; row < phase.rows().size(); ++row) {
    const auto batch = phase.Number(row, "batch"), prompt = phase.Number(row, "prompt_tok");
    if (!batch || !prompt || *batch < 1 || *prompt < 1) continue;
    const char src = phase.Text(row, "src")[0];
    if (const auto ms = phase.Number(row, "prefill_ms"); ms && *ms > 0)
      prefill.push_back({PrefillTerms(*prompt, *batch), *ms, *prompt, *batch, src});
    const double ctx = phase.Number(row, "ctx_tok").value_or(*prompt) + phase.Number(row, "gen_tok").value_or(0) / 2;
    if (const auto ms = phase.Number(row, "tpot_ms"); ms && *ms > 0)
      decode.push_back({DecodeTerms(ctx, *batch), *ms, ctx, *batch, src});
  }
  Json fit = Json::object();
  if (prefill.size() >= kMinRows) fit["prefill_ms"] = FitPoints(prefill, kPrefillNames);
  if (decode.size() >= kMinRows) fit["decode_ms"] = FitPoints(decode, kDecodeNames);
  return fit;
}

std::optional<double> FittedPrefillMs(const JsonView& fit, double prompt_tok, double batch) {
  return Evaluate(fit, "prefill_ms", kPrefillNames, PrefillTerms(prompt_tok, batch));
}

std::optional<double> FittedDecodeMs(const JsonView& fit, double ctx_tok, double batch) {
  return Evaluate(fit, "decode_ms", kDecodeNames, DecodeTerms(ctx_tok, batch));
}

}  // namespace ecld
