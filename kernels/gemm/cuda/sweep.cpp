#include "kernels/gemm/cuda/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "kernels/gemm/cuda/dispatch.h"

namespace ecld {
namespace {

using Choice = std::pair<std::string, int>;  // implementation, splits

std::string Text(const CudaDispatchRange& range) {
  if (range.low == range.high) return fmt::format("{}", range.low);
  const bool open = range.high == CudaDispatchRange().high;
  if (open && range.low == 0) return "*";
  return open ? fmt::format("{}-", range.low) : fmt::format("{}-{}", range.low, range.high);
}

std::string Line(const CudaDispatchRow& row) {
  const std::string_view type = row.type.low != row.type.high ? "*" : row.type.low == 0 ? "F16" : "BF16";
  return fmt::format("{},{},{},{},{},{},{},{},{},\"{}\"\n", Text(row.cc), Text(row.bits), type, Text(row.m),
                     Text(row.n), Text(row.k), row.implementation, row.splits, row.measured ? "measured" : "modelled",
                     row.device);
}

// The ranges for which sorted sizes stand: from the first to beyond the last.
std::vector<CudaDispatchRange> Around(const std::vector<int64_t>& sizes) {
  std::vector<CudaDispatchRange> ranges(sizes.size());
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    const auto middle =
        static_cast<int64_t>(std::sqrt(static_cast<double>(sizes[i]) * static_cast<double>(sizes[i + 1])));
    ranges[i].high = std::max(sizes[i], std::min(middle, sizes[i + 1] - 1));
    ranges[i + 1].low = ranges[i].high + 1;
  }
  return ranges;
}

template <class Of>
std::vector<int64_t> Distinct(const std::vector<CudaGemmPoint>& points, const Of& of) {
  std::set<int64_t> sizes;
  for (const CudaGemmPoint& point : points) sizes.insert(of(point));
  return {sizes.begin(), sizes.end()};
}

// The fastest at (m, n), all k together. None: nothing was timed there.
std::vector<Choice> Fastest(const std::vector<CudaGemmPoint>& points, int64_t m, int64_t n) {
  std::map<Choice, std::map<int64_t, double>> times;
  std::set<int64_t> inputs;
  for (const CudaGemmPoint& point : points) {
    if (point.m != m || point.n != n) continue;
    times[{point.implementation, point.splits}][point.k] = point.us;
    inputs.insert(point.k);
  }
  const Choice* best = nullptr;
  double best_us = 0;
  for (const auto& [choice, by_k] : times) {
    double us = 0;
    for (const auto& [k, time] : by_k) us += time;
    if (by_k.size() != inputs.size() || (best != nullptr && us >= best_us)) continue;
    best = &choice;
    best_us = us;
  }
  return best == nullptr ? std::vector<Choice>() : std::vector<Choice>{*best};
}

// Rows for one format; points: of it alone.
void AddMeasured(const std::vector<CudaGemmPoint>& points, int cc, std::string_view device, std::string& csv) {
  const std::vector<int64_t> ns = Distinct(points, [](const auto& point) { return point.n; });
  const std::vector<CudaDispatchRange> n_ranges = Around(ns);
  const int64_t type = points.front().type == DType::kF16 ? 0 : 1, bits = points.front().bits;
  for (size_t i = 0; i < ns.size(); ++i) {
    std::vector<CudaGemmPoint> of_n;
    for (const CudaGemmPoint& point : points)
      if (point.n == ns[i]) of_n.push_back(point);
    std::vector<int64_t> ms;
    std::vector<Choice> choices;
    for (int64_t m : Distinct(of_n, [](const auto& point) { return point.m; }))
      for (const Choice& choice : Fastest(of_n, m, ns[i])) {
        ms.push_back(m);
        choices.push_back(choice);
      }
    const std::vector<CudaDispatchRange> m_ranges = Around(ms);
    for (size_t j = 0; j < ms.size();) {
      size_t last = j;
      while (last + 1 < ms.size() && choices[last + 1] == choices[j]) ++last;
      csv += Line({.cc = {cc, cc},
                   .bits = {bits, bits},
                   .type = {type, type},
                   .m = {m_ranges[j].low, m_ranges[last].high},
                   .n = n_ranges[i],
                   .k = {},
                   .implementation = choices[j].first,
                   .splits = choices[j].second,
                   .measured = true,
                   .device = std::string(device)});
      j = last + 1;
    }
  }
}

}  // namespace

std::string DispatchFromSweep(std::span<const CudaGemmPoint> points, int cc, std::string_view device) {
  assert(!points.empty());
  std::map<std::pair<int, int64_t>, std::vector<CudaGemmPoint>> formats;  // by bits and type
  for (const CudaGemmPoint& point : points) formats[{point.bits, point.type == DType::kF16 ? 0 : 1}].push_back(point);
  std::string csv = "cc,bits,type,m,n,k,implementation,splits,source,device\n";
  for (const auto& [format, of_format] : formats) AddMeasured(of_format, cc, device, csv);

  // What was not timed: other devices, and other formats on this one.
  for (const CudaDispatchRow& row : ShippedCudaDispatch().rows()) {
    if (row.measured) continue;
    CudaDispatchRow part = row;
    part.cc = {row.cc.low, std::min<int64_t>(row.cc.high, cc - 1)};
    if (part.cc.low <= part.cc.high) csv += Line(part);
    part.cc = {std::max<int64_t>(row.cc.low, cc + 1), row.cc.high};
    if (part.cc.low <= part.cc.high) csv += Line(part);
    if (!row.cc.Holds(cc)) continue;
    for (int64_t bits : {2, 3, 4, 8})
      for (int64_t type : {0, 1}) {
        if (!row.bits.Holds(bits) || !row.type.Holds(type) || formats.contains({static_cast<int>(bits), type}))
          continue;
        part.cc = {cc, cc};
        part.bits = {bits, bits};
        part.type = {type, type};
        csv += Line(part);
      }
  }
  return csv;
}

double CudaGemmCost::LeastUs(double bytes_per_s, double flops_per_s) const {
  return 1e6 * std::max(bytes / bytes_per_s, flops / flops_per_s);
}

CudaGemmCost CostOf(int64_t m, int64_t n, int64_t k, const PackedFormat* format) {
  const auto weights = static_cast<double>(n) * static_cast<double>(k);
  double bytes = weights * 2;
  if (format != nullptr) {
    const auto groups = static_cast<double>(n * format->Groups(k));
    bytes = weights * format->bits / 8 + groups * (format->symmetric ? 2 : 3);
  }
  return {.bytes = bytes + 2.0 * static_cast<double>(m * k) + 2.0 * static_cast<double>(m * n),
          .flops = 2.0 * static_cast<double>(m) * weights};
}

}  // namespace ecld
