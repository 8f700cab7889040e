#include "profile/format/fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "profile/format/least_squares.h"

namespace ecld {
namespace {

constexpr size_t kMinRows = 3;

struct Point {
  FitTerms x;
  double ms;
  double tok, batch;
  char src;
};

FitTerms PrefillTerms(double prompt_tok, double batch) {
  return {1, batch * prompt_tok, batch * prompt_tok * prompt_tok};
}

FitTerms DecodeTerms(double ctx_tok, double batch) { return {1, batch * ctx_tok, batch}; }

Json FitPoints(const std::vector<Point>& points, const std::array<const char*, kFitTerms>& names) {
  std::vector<FitTerms> rows;
  for (const Point& point : points)
    rows.push_back({point.x[0] / point.ms, point.x[1] / point.ms, point.x[2] / point.ms});
  const FitTerms coefficients = NonNegativeLeastSquares(rows);
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
  for (size_t i = 0; i < kFitTerms; ++i) json[names[i]] = coefficients[i];
  json["r2"] = spread > 0 ? Json(1 - residual / spread) : Json(nullptr);
  json["max_rel_err"] = worst;
  json["range_tok"] = {low->tok, high->tok};
  json["range_batch"] = {few->batch, many->batch};
  json["n"] = points.size();
  json["src"] = std::string(1, src);
  return json;
}

std::optional<double> Evaluate(const JsonView& fit, const char* time, const std::array<const char*, kFitTerms>& names,
                               const FitTerms& terms) {
  if (!fit.Has(time)) return std::nullopt;
  double ms = 0;
  for (size_t i = 0; i < kFitTerms; ++i) ms += fit.At(time).At(names[i]).Number() * terms[i];
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
