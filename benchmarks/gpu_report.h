#pragma once
// What gpu_gemm_bench makes of its times: rates, the sum over a block, JSON, a table, a roofline chart.

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/svg_chart.h"
#include "kernels/gemm/cuda/sweep.h"

namespace ecld {

// One way to make one product.
struct GpuResult {
  std::string model, layer;  // a file of shapes, a line of it
  int64_t m = 0, n = 0, k = 0;
  int bits = 16;          // of the weights as this way reads them
  int compared_bits = 4;  // of the packed weights in the same run
  std::string way;        // "cublas", "cublaslt", "torch_int4" or an implementation
  int splits = 0;
  double us = 0, low_us = 0, high_us = 0;  // median and extremes
  CudaGemmCost cost;

  double BytesPerS() const { return cost.bytes / us * 1e6; }
  double FlopsPerS() const { return cost.flops / us * 1e6; }
  bool Ours() const { return way != "cublas" && way != "cublaslt" && way != "torch_int4"; }
};

struct GpuRoof {
  double copy_Bps = 0;  // read and written
  double bf16_flops = 0;
};

inline Json ToJson(const GpuResult& r) {
  return {{"model", r.model},
          {"layer", r.layer},
          {"m", r.m},
          {"n", r.n},
          {"k", r.k},
          {"bits", r.bits},
          {"compared_bits", r.compared_bits},
          {"way", r.way},
          {"splits", r.splits},
          {"us", r.us},
          {"low_us", r.low_us},
          {"high_us", r.high_us},
          {"TBps", r.BytesPerS() / 1e12},
          {"TFlops", r.FlopsPerS() / 1e12}};
}

// A decoder block: the sum of its layers' fastest times, "lm_head" left out; 0 where a layer was not timed.
struct GpuBlock {
  std::string model;
  int bits = 4;
  int64_t m = 0;
  double ours_us = 0, cublas_us = 0, torch_us = 0;
};

// trust_wgmma: whether it counts among ours.
inline std::vector<GpuBlock> Blocks(const std::vector<GpuResult>& results, bool trust_wgmma) {
  struct Layer {
    double ours = std::numeric_limits<double>::infinity(), cublas = ours, torch = ours;
  };
  std::map<std::tuple<std::string, int, int64_t>, std::map<std::string, Layer>> blocks;
  for (const GpuResult& r : results) {
    if (r.layer == "lm_head" || (r.way == "wgmma" && !trust_wgmma)) continue;
    Layer& layer = blocks[{r.model, r.compared_bits, r.m}][r.layer];
    double& fastest = r.Ours() ? layer.ours : r.way == "torch_int4" ? layer.torch : layer.cublas;
    fastest = std::min(fastest, r.us);
  }
  std::vector<GpuBlock> sums;
  for (const auto& [key, layers] : blocks) {
    Layer sum = {0, 0, 0};
    for (const auto& [name, layer] : layers) {
      sum.ours += layer.ours;
      sum.cublas += layer.cublas;
      sum.torch += layer.torch;
    }
    const auto known = [](double us) { return us < std::numeric_limits<double>::infinity() ? us : 0; };
    sums.push_back(
        {std::get<0>(key), std::get<1>(key), std::get<2>(key), known(sum.ours), known(sum.cublas), known(sum.torch)});
  }
  return sums;
}

inline Json ToJson(const GpuBlock& b) {
  Json json = {{"model", b.model}, {"bits", b.bits}, {"m", b.m}, {"ours_us", b.ours_us}, {"cublas_us", b.cublas_us}};
  if (b.torch_us > 0) json["torch_int4_us"] = b.torch_us;
  if (b.ours_us > 0 && b.cublas_us > 0) json["ratio_to_cublas"] = b.cublas_us / b.ours_us;
  if (b.ours_us > 0 && b.torch_us > 0) json["ratio_to_torch_int4"] = b.torch_us / b.ours_us;
  return json;
}

// Rate of multiplying over operations per byte, under the roof that was measured.
inline Chart RooflineOf(const std::vector<GpuResult>& results, const GpuRoof& roof, const std::string& device) {
  Chart chart = {.title = "Matrix products on " + device,
                 .description =
                     "Rate of multiplying against operations per byte read and written, measured; the line "
                     "is the slower of copying memory and of a large product of cuBLAS in the same run",
                 .x = {.title = "operations per byte", .log = true},
                 .y = {.title = "10^12 operations per second", .log = true}};
  std::map<std::string, std::vector<ChartPoint>> ways;
  double low = 1e30, high = 0;
  for (const GpuResult& r : results) {
    const double x = r.cost.flops / r.cost.bytes;
    ways[r.way].push_back({.x = x, .y = r.FlopsPerS() / 1e12});
    low = std::min(low, x);
    high = std::max(high, x);
  }
  ChartSeries line = {.name = "roof", .line = ChartSeries::Line::kStraight, .marks = false};
  const double ridge = roof.bf16_flops / roof.copy_Bps;
  for (double x : {low, std::clamp(ridge, low, std::max(low, high)), high})
    line.points.push_back({.x = x, .y = std::min(roof.bf16_flops, x * roof.copy_Bps) / 1e12});
  chart.series.push_back(line);
  int style = 1;
  for (auto& [way, points] : ways)
    chart.series.push_back(
        {.name = way, .points = std::move(points), .style = style++ % kChartStyles, .line = ChartSeries::Line::kNone});
  return chart;
}

}  // namespace ecld
