#pragma once
// The matrix products of a decoder block in one graph: what decoding sees, gaps between kernels and what early starts
// hide of them included.

#include <memory>
#include <string>
#include <vector>

#include "benchmarks/gpu_bench.h"

namespace ecld {

// The fastest of ours for a product, of those timed.
inline const CudaGemmPoint* FastestPoint(const GpuBench& bench, int bits, int64_t m, const KernelShape& layer) {
  const CudaGemmPoint* fastest = nullptr;
  for (const CudaGemmPoint& point : bench.points)
    if (point.bits == bits && point.m == m && point.n == layer.sizes[0] && point.k == layer.sizes[1] &&
        (fastest == nullptr || point.us < fastest->us))
      fastest = &point;
  return fastest;
}

// One layer of a block: its weights both ways, x, y and a workspace for so many rows.
struct BlockLayer {
  KernelShape layer;
  WeightView shape;
  DeviceWeights dense, packed;
  std::unique_ptr<CudaBuffer> x, y, workspace;
  CudaGemmArgs args;
  const CudaGemmImplementation* implementation = nullptr;

  DenseProduct Dense(int64_t i) const {
    return {.type = kTimedType,
            .m = args.m,
            .n = shape.out_features,
            .k = shape.in_features,
            .weight = dense.copies[static_cast<size_t>(i) % dense.copies.size()]->data(),
            .weight_stride = shape.in_features,
            .x = args.x,
            .x_stride = args.x_stride,
            .y = args.y,
            .y_stride = args.y_stride};
  }
  CudaGemmArgs Packed(int64_t i) const {
    CudaGemmArgs one = args;
    one.weight = CudaTiled(shape, packed.copies[static_cast<size_t>(i) % packed.copies.size()]->data());
    return one;
  }
};

// The layers of a block one after the other in one graph, as decoding sees them: the fastest of ours for each, cuBLAS
// for each. False: one of them was not timed.
inline bool TimeBlock(GpuBench& bench, const std::string& model, std::vector<BlockLayer>& block, int bits, int64_t m) {
  for (BlockLayer& part : block) {
    const CudaGemmPoint* fastest = FastestPoint(bench, bits, m, part.layer);
    if (fastest == nullptr) return false;
    for (const CudaGemmImplementation& implementation : CudaGemmImplementations())
      if (fastest->implementation == implementation.name) part.implementation = &implementation;
    const int64_t n = part.shape.out_features, k = part.shape.in_features, x_stride = (k + 7) / 8 * 8;
    const auto count = static_cast<uint64_t>(m * x_stride);
    part.x = OnDevice(RandomHalves(kTimedType, count, bench.random).data(), count * 2);
    part.y = std::make_unique<CudaBuffer>(static_cast<uint64_t>(m * n) * 2);
    const std::vector<std::byte> zeros(part.implementation->workspace({m, n, k, fastest->splits}));
    part.workspace = OnDevice(zeros.data(), zeros.size());
    part.args = {.type = kTimedType,
                 .x = part.x->data(),
                 .x_stride = x_stride,
                 .m = m,
                 .y = part.y->data(),
                 .y_stride = n,
                 .splits = fastest->splits,
                 .workspace = part.workspace->data()};
  }
  std::vector<Candidate> candidates;
  Try(bench, candidates, "a block of ours", [&] {
    return MakeCandidate("ours", 0, kLaunches, [&](int64_t i, CudaStream stream) {
      for (const BlockLayer& part : block) part.implementation->run(part.Packed(i), stream);
    });
  });
  Try(bench, candidates, "a block of cuBLAS", [&] {
    return MakeCandidate("cublas", 0, kLaunches, [&](int64_t i, CudaStream stream) {
      for (const BlockLayer& part : block) bench.blas.Multiply(part.Dense(i), bench.blas_workspace.data(), stream);
    });
  });
  if (candidates.size() != 2) return true;
  TimeInTurn(candidates, static_cast<int>(bench.options.turns));
  const double ours_us = candidates[0].MedianUs(), cublas_us = candidates[1].MedianUs();
  fmt::print("{:<18} a block m {:<5} W{}  {:>10.2f} us, cublas {:>10.2f} us in one graph each\n", model, m, bits,
             ours_us, cublas_us);
  bench.block_graphs.push_back({{"model", model},
                                {"bits", bits},
                                {"m", m},
                                {"ours_us", ours_us},
                                {"cublas_us", cublas_us},
                                {"ratio_to_cublas", cublas_us / ours_us}});
  return true;
}

inline void TimeBlocks(GpuBench& bench, const std::string& model, const std::vector<KernelShape>& layers, int bits) {
  std::vector<BlockLayer> block;
  for (const KernelShape& layer : layers) {
    if (layer.name == "lm_head") continue;
    const WeightView shape = bench.ShapeOf(layer, bits);
    const auto count = static_cast<uint64_t>(layer.sizes[0] * layer.sizes[1]);
    block.push_back({layer, shape, DeviceWeights(RandomHalves(kTimedType, count, bench.random).data(), count * 2),
                     DeviceWeights::Packed(shape, bench.random)});
  }
  for (int64_t m : bench.options.rows)
    if (m <= 1024 && !TimeBlock(bench, model, block, bits, m))
      bench.left_out.push_back(
          fmt::format("{} block W{} of {} rows: not all of its layers were timed", model, bits, m));
}

}  // namespace ecld
