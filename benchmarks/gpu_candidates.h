#pragma once
// What gpu_gemm_bench times for one product: everything that can make it, each as a graph of many launches over copies
// of its weights that no cache holds.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/cublas_lt.h"
#include "benchmarks/torch_int4.h"
#include "core/random.h"
#include "kernels/cuda/graph.h"
#include "kernels/gemm/cuda/gemm.h"
#include "measure/measure.h"

namespace ecld {

inline constexpr uint64_t kColdBytes = 256 << 20;  // of weights in turn, four times the cache of an H200
inline constexpr int64_t kLaunches = 16;           // in a graph, at least

// Bytes on the device, random where a kernel reads numbers: never zeros, with which a GPU draws less power.
inline std::unique_ptr<CudaBuffer> OnDevice(const void* bytes, uint64_t size) {
  auto buffer = std::make_unique<CudaBuffer>(size);
  buffer->Upload(bytes, size);
  return buffer;
}

// count 16-bit floats of either sign, of sizes from 0.5 to 1 in bfloat16 and to 2 in fp16.
inline std::vector<uint16_t> RandomHalves(DType type, uint64_t count, Random& random) {
  const uint16_t keep = type == DType::kF16 ? 0x83ff : 0x807f, exponent = type == DType::kF16 ? 0x3c00 : 0x3f00;
  std::vector<uint16_t> halves((count + 3) / 4 * 4);
  for (size_t i = 0; i < halves.size(); i += 4) {
    const uint64_t bits = random.Next();
    for (size_t j = 0; j < 4; ++j) halves[i + j] = static_cast<uint16_t>((bits >> 16 * j & keep) | exponent);
  }
  return halves;
}

// Copies of one random matrix, packed or dense; one copy at least, kColdBytes at least.
struct DeviceWeights {
  std::vector<std::unique_ptr<CudaBuffer>> copies;

  DeviceWeights(const void* bytes, uint64_t size) {
    for (uint64_t total = 0; total < kColdBytes; total += size) copies.push_back(OnDevice(bytes, size));
  }
  static DeviceWeights Packed(const WeightView& shape, Random& random) {
    std::vector<uint64_t> words((CudaTiledBytes(shape) + 7) / 8);
    for (uint64_t& word : words) word = random.Next();
    auto* bytes = reinterpret_cast<std::byte*>(words.data());
    const CudaWeight tiled = CudaTiled(shape, bytes);
    const std::byte* end = shape.format.symmetric ? bytes + CudaTiledBytes(shape) : tiled.zeros;
    auto* scales = reinterpret_cast<uint16_t*>(bytes + (tiled.scales - bytes));
    for (uint16_t* scale = scales; reinterpret_cast<std::byte*>(scale) < end; ++scale)
      *scale = static_cast<uint16_t>((*scale & 0x3ff) | 0x2000);  // fp16, 0.008 to 0.016
    return {bytes, CudaTiledBytes(shape)};
  }
};

struct Candidate {
  std::string name;
  int splits = 0;
  int64_t launches = 0;
  std::unique_ptr<CudaGraph> graph;
  std::vector<double> us{};  // of one product, a replay each

  double MedianUs() const { return Quantile(us, 0.5); }
};

inline int64_t LaunchesOver(size_t copies) {
  const auto count = static_cast<int64_t>(copies);
  return (kLaunches + count - 1) / count * count;
}

// queue(i, stream): product i.
template <class Queue>
Candidate MakeCandidate(std::string name, int splits, int64_t launches, const Queue& queue) {
  auto graph = std::make_unique<CudaGraph>();
  graph->Record([&](CudaStream stream) {
    for (int64_t i = 0; i < launches; ++i) queue(i, stream);
  });
  return {std::move(name), splits, launches, std::move(graph)};
}

// Replays all of them in turn, forwards and backwards, so that a device that grows warmer is fair to each. The first
// turn is not counted.
inline void TimeInTurn(std::vector<Candidate>& candidates, int turns) {
  for (int turn = -1; turn < turns; ++turn)
    for (const bool backwards : {false, true})
      for (size_t i = 0; i < candidates.size(); ++i) {
        Candidate& candidate = candidates[backwards ? candidates.size() - 1 - i : i];
        const double us = candidate.graph->TimeMs() * 1000 / static_cast<double>(candidate.launches);
        if (turn >= 0) candidate.us.push_back(us);
      }
}

// The rates that nothing on this device passes by much: a copy, in bytes read and written per second, and cuBLAS on
// 8192 x 8192 x 8192, in operations per second.
inline std::pair<double, double> MeasureGpuRoof(const Cublas& blas, CudaBuffer& blas_workspace, Random& random) {
  constexpr uint64_t kBytes = 1 << 30;
  constexpr int64_t kSize = 8192;
  const auto from = OnDevice(RandomHalves(DType::kBF16, kBytes / 2, random).data(), kBytes);
  CudaBuffer to(kBytes), y(kSize * kSize * 2);
  std::vector<Candidate> copy, product;
  copy.push_back(
      MakeCandidate("copy", 0, 4, [&](int64_t, CudaStream stream) { QueueCopy(to, *from, kBytes, stream); }));
  const DenseProduct large = {.type = DType::kBF16,
                              .m = kSize,
                              .n = kSize,
                              .k = kSize,
                              .weight = from->data(),
                              .weight_stride = kSize,
                              .x = from->data() + (kBytes / 2),
                              .x_stride = kSize,
                              .y = y.data(),
                              .y_stride = kSize};
  product.push_back(MakeCandidate(
      "cublas", 0, 4, [&](int64_t, CudaStream stream) { blas.Multiply(large, blas_workspace.data(), stream); }));
  TimeInTurn(copy, 3);
  TimeInTurn(product, 3);
  return {2.0 * kBytes / copy[0].MedianUs() * 1e6,
          2.0 * static_cast<double>(kSize) * kSize * kSize / product[0].MedianUs() * 1e6};
}

}  // namespace ecld
