#include "eval/uncertainty.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

#include "core/intervals.h"
#include "eval/statistics.h"

namespace ecld {
namespace {

std::vector<JudgedAnswer> SurestFirst(std::span<const JudgedAnswer> answers) {
  std::vector<JudgedAnswer> sorted(answers.begin(), answers.end());
  std::ranges::sort(sorted, {}, &JudgedAnswer::uncertainty);
  return sorted;
}

// Calls visit(begin, end) for each group of equal uncertainty of sorted answers.
template <class Visit>
void VisitTies(const std::vector<JudgedAnswer>& sorted, const Visit& visit) {
  for (size_t begin = 0; begin < sorted.size();) {
    size_t end = begin + 1;
    while (end < sorted.size() && sorted[end].uncertainty == sorted[begin].uncertainty) ++end;
    visit(begin, end);
    begin = end;
  }
}

int64_t Right(std::span<const JudgedAnswer> answers) {
  return std::ranges::count_if(answers, [](const JudgedAnswer& answer) { return answer.right; });
}

}  // namespace

double AnswerUncertainty::Get(std::string_view aggregate) const {
  const std::array values = {mean, max, first, last, p90};
  const auto* found = std::ranges::find(kUncertaintyAggregates, aggregate);
  assert(found != std::end(kUncertaintyAggregates));
  return values[static_cast<size_t>(found - kUncertaintyAggregates)];
}

AnswerUncertainty Aggregate(std::span<const double> of_tokens) {
  assert(!of_tokens.empty());
  std::vector<double> sorted(of_tokens.begin(), of_tokens.end());
  std::ranges::sort(sorted);
  const double rank = 0.9 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const double part = rank - static_cast<double>(below);
  const double above = sorted[std::min(below + 1, sorted.size() - 1)];
  return {.mean = std::accumulate(of_tokens.begin(), of_tokens.end(), 0.0) / static_cast<double>(of_tokens.size()),
          .max = sorted.back(),
          .first = of_tokens.front(),
          .last = of_tokens.back(),
          .p90 = sorted[below] + part * (above - sorted[below])};
}

Json ToJson(const AnswerUncertainty& uncertainty) {
  Json json;
  for (std::string_view aggregate : kUncertaintyAggregates) json[std::string(aggregate)] = uncertainty.Get(aggregate);
  return json;
}

AnswerUncertainty ParseAnswerUncertainty(const JsonView& json) {
  return {.mean = json.At("mean").Number(),
          .max = json.At("max").Number(),
          .first = json.At("first").Number(),
          .last = json.At("last").Number(),
          .p90 = json.At("p90").Number()};
}

std::optional<double> Auroc(std::span<const JudgedAnswer> answers) {
  const auto right = static_cast<double>(Right(answers));
  const double wrong = static_cast<double>(answers.size()) - right;
  if (right == 0 || wrong == 0) return std::nullopt;
  double before = 0, pairs = 0;  // right answers that are surer
  const std::vector<JudgedAnswer> sorted = SurestFirst(answers);
  VisitTies(sorted, [&](size_t begin, size_t end) {
    const auto here = static_cast<double>(Right(std::span(sorted).subspan(begin, end - begin)));
    pairs += (static_cast<double>(end - begin) - here) * (before + here / 2);
    before += here;
  });
  return pairs / (right * wrong);
}

double CalibrationError(std::span<const JudgedAnswer> answers, int bins) {
  double error = 0;
  for (const CalibrationBin& bin : CalibrationBins(answers, bins))
    error += static_cast<double>(bin.n) * std::abs(bin.accuracy - (1 - bin.mean_uncertainty));
  return error / static_cast<double>(answers.size());
}

size_t BinOf(double uncertainty, int bins) {
  return static_cast<size_t>(std::clamp(static_cast<int>(uncertainty * bins), 0, bins - 1));
}

std::vector<CalibrationBin> CalibrationBins(std::span<const JudgedAnswer> answers, int bins) {
  struct Sum {
    int64_t n = 0, right = 0;
    double uncertainty = 0;
  };
  std::vector<Sum> sums(static_cast<size_t>(bins));
  for (const JudgedAnswer& answer : answers) {
    Sum& sum = sums[BinOf(answer.uncertainty, bins)];
    sum.n += 1;
    sum.right += answer.right;
    sum.uncertainty += answer.uncertainty;
  }
  std::vector<CalibrationBin> result;
  for (size_t i = 0; i < sums.size(); ++i) {
    if (sums[i].n == 0) continue;
    const auto n = static_cast<double>(sums[i].n);
    const auto [low, high] = WilsonInterval(sums[i].right, sums[i].n);
    result.push_back({.low = static_cast<double>(i) / bins,
                      .high = static_cast<double>(i + 1) / bins,
                      .n = sums[i].n,
                      .accuracy = static_cast<double>(sums[i].right) / n,
                      .accuracy_low = low,
                      .accuracy_high = high,
                      .mean_uncertainty = sums[i].uncertainty / n});
  }
  return result;
}

std::vector<CoveragePoint> RiskCoverage(std::span<const JudgedAnswer> answers) {
  const std::vector<JudgedAnswer> sorted = SurestFirst(answers);
  std::vector<CoveragePoint> points;
  int64_t right = 0;
  VisitTies(sorted, [&](size_t begin, size_t end) {
    right += Right(std::span(sorted).subspan(begin, end - begin));
    points.push_back({.threshold = sorted[begin].uncertainty,
                      .coverage = static_cast<double>(end) / static_cast<double>(sorted.size()),
                      .accuracy = static_cast<double>(right) / static_cast<double>(end)});
  });
  return points;
}

double AreaUnderRiskCoverage(std::span<const JudgedAnswer> answers) {
  double area = 0, covered = 0;
  for (const CoveragePoint& point : RiskCoverage(answers)) {
    area += (point.coverage - covered) * (1 - point.accuracy);
    covered = point.coverage;
  }
  return area;
}

std::optional<CoveragePoint> LargestCoverage(std::span<const JudgedAnswer> answers, double target) {
  std::optional<CoveragePoint> best;
  for (const CoveragePoint& point : RiskCoverage(answers))
    if (point.accuracy >= target) best = point;
  return best;
}

OffloadThreshold ThresholdFor(std::span<const JudgedAnswer> answers, double target) {
  OffloadThreshold result{.target = target};
  if (const auto best = LargestCoverage(answers, target)) {
    result.threshold = best->threshold;
    result.coverage = best->coverage;
  }
  std::array<std::vector<JudgedAnswer>, 2> halves;
  for (size_t i = 0; i < answers.size(); ++i) halves[i % 2].push_back(answers[i]);
  int64_t kept = 0, right = 0;
  for (size_t half : {0u, 1u}) {
    const auto chosen = LargestCoverage(halves[half], target);
    if (!chosen) continue;
    for (const JudgedAnswer& answer : halves[1 - half]) {
      if (answer.uncertainty > chosen->threshold) continue;
      ++kept;
      right += answer.right;
    }
  }
  if (kept == 0) return result;
  result.held_out_coverage = static_cast<double>(kept) / static_cast<double>(answers.size());
  result.held_out_accuracy = static_cast<double>(right) / static_cast<double>(kept);
  return result;
}

std::optional<double> Spearman(std::span<const JudgedAnswer> answers) {
  std::vector<double> uncertainty, right;
  for (const JudgedAnswer& answer : answers) {
    uncertainty.push_back(answer.uncertainty);
    right.push_back(answer.right);
  }
  return RankCorrelation(uncertainty, right);
}

}  // namespace ecld
