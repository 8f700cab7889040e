#include "measure/roof.h"

#include <algorithm>
#include <array>
#include <vector>

#include "measure/device.h"
#include "measure/measure.h"

namespace ecld {
namespace {

// Operations per second of all threads of the pool.
double MeasurePeak(const PeakLoop& loop, ThreadPool& pool) {
  constexpr int64_t kRounds = 400'000;  // a few milliseconds
  struct alignas(64) Result {
    std::array<std::byte, 64> bytes;
  };
  std::vector<Result> results(static_cast<size_t>(pool.size()));
  const Timing timing = Measure(
      [&] {
        pool.ParallelFor(pool.size(), 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) loop.run(kRounds, results[static_cast<size_t>(i)].bytes.data());
        });
      },
      {.budget_ms = 30});
  return static_cast<double>(loop.operations * kRounds * pool.size()) / (timing.median_ms / 1000);
}

}  // namespace

double Roof::Operations(Arithmetic arithmetic) const {
  switch (arithmetic) {
    case Arithmetic::kBf16Pairs:
      return bf16_flops;
    case Arithmetic::kInt8Fours:
      return int8_ops;
    default:
      return float32_flops;
  }
}

double Roof::LeastMs(double bytes, double operations, Arithmetic arithmetic) const {
  return 1000 * std::max(bytes / read_Bps, operations / Operations(arithmetic));
}

Roof MeasureRoof(ThreadPool& pool) {
  Roof roof{.read_Bps = MeasureReadBandwidth(pool)};
  for (const PeakLoop& loop : PeakLoops()) {
    double& best = loop.arithmetic == Arithmetic::kFloat32     ? roof.float32_flops
                   : loop.arithmetic == Arithmetic::kBf16Pairs ? roof.bf16_flops
                                                               : roof.int8_ops;
    if (best == 0 && loop.supported()) best = MeasurePeak(loop, pool);
  }
  roof.bf16_flops = std::max(roof.bf16_flops, roof.float32_flops);
  roof.int8_ops = std::max(roof.int8_ops, roof.float32_flops);
  return roof;
}

Json ToJson(const Roof& roof) {
  return {{"read_Bps", roof.read_Bps},
          {"float32_flops", roof.float32_flops},
          {"bf16_flops", roof.bf16_flops},
          {"int8_ops", roof.int8_ops}};
}

}  // namespace ecld
