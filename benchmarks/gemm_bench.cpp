// Times every matrix product implementation that this CPU runs, over the shapes of benchmarks/shapes/*.txt, dense and
// packed, for one row (decoding) and many (prefill). Counters: FLOP/s of the product, bytes/s of the weights as stored.
//   gemm_bench --benchmark_filter='avx512/smollm2.*/W4'

#include <benchmark/benchmark.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "kernels/gemm/implementations.h"

namespace ecld {
namespace {

struct Shape {
  std::string name;
  int64_t out_features, in_features;
};

std::vector<Shape> ReadShapes(const std::filesystem::path& path) {
  std::vector<Shape> shapes;
  std::istringstream file(ReadTextFile(path));
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    Shape shape;
    if (!(fields >> shape.name >> shape.out_features >> shape.in_features))
      Fail(path.string(), "\"{}\" is not: name out_features in_features", line);
    shapes.push_back(shape);
  }
  return shapes;
}

// A weight matrix of random bytes in one allocation: values do not matter for time, as long as they are numbers.
struct RandomWeight {
  std::vector<std::byte> codes, scales, zeros;
  WeightView view;

  RandomWeight(const Shape& shape, std::optional<PackedFormat> format) {
    view = {.out_features = shape.out_features, .in_features = shape.in_features, .dtype = DType::kBF16};
    if (!format) {
      codes = Bf16(shape.out_features * shape.in_features);
      view.data = codes.data();
      return;
    }
    Random random(1);
    const int64_t groups = format->Groups(shape.in_features);
    codes.resize(static_cast<size_t>(shape.out_features * format->CodeWords(shape.in_features) * 4));
    for (auto& byte : codes) byte = static_cast<std::byte>(random.Next());
    scales = Bf16(shape.out_features * groups);
    zeros.resize(static_cast<size_t>(format->ZeroWords(shape.out_features) * groups * 4));
    view.format = *format;
    view.codes = codes.data();
    view.scales = scales.data();
    if (!format->symmetric) view.zero_points = zeros.data();
  }

 private:
  static std::vector<std::byte> Bf16(int64_t count) {
    std::vector<float> values(static_cast<size_t>(count), 0.01f);
    std::vector<std::byte> bytes(values.size() * 2);
    FromFloat(DType::kBF16, values.data(), values.size(), bytes.data());
    return bytes;
  }
};

void Time(benchmark::State& state, const GemmImplementation& implementation, const Shape& shape,
          std::optional<PackedFormat> format, int64_t m) {
  ThreadPool pool;
  const RandomWeight weight(shape, format);
  const std::vector<float> x(static_cast<size_t>(m * shape.in_features), 0.5f);
  std::vector<float> y(static_cast<size_t>(m * shape.out_features));
  const GemmArgs args{.weight = weight.view, .x = x.data(), .m = m, .y = y.data()};
  GemmScratch scratch;
  for (auto _ : state) {
    implementation.run(std::span(&args, 1), pool, scratch);
    benchmark::DoNotOptimize(y.data());
  }
  using benchmark::Counter;
  const double flop = 2.0 * static_cast<double>(m * shape.out_features * shape.in_features);
  state.counters["FLOP/s"] = Counter(flop, Counter::kIsIterationInvariantRate);
  state.counters["B/s"] = Counter(static_cast<double>(StoredBytes(weight.view)), Counter::kIsIterationInvariantRate);
}

void Register(const std::filesystem::path& directory) {
  const std::optional<PackedFormat> formats[] = {std::nullopt,
                                                 PackedFormat{.bits = 8},
                                                 PackedFormat{.bits = 4},
                                                 PackedFormat{.bits = 4, .group_size = 32, .symmetric = false},
                                                 PackedFormat{.bits = 3},
                                                 PackedFormat{.bits = 2, .group_size = 64}};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) files.push_back(entry.path());
  std::ranges::sort(files);
  for (const auto& implementation : GemmImplementations()) {
    if (!implementation.supports({})) continue;
    for (const auto& file : files)
      for (const Shape& shape : ReadShapes(file))
        for (const auto& format : formats)
          for (int64_t m : {1, 4, 64, 512}) {
            const std::string name = fmt::format("{}/{}/{}/{}/m{}", implementation.name, file.stem().string(),
                                                 shape.name, format ? format->Name() : "BF16", m);
            benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
              Time(state, implementation, shape, format, m);
            })->UseRealTime();
          }
  }
}

}  // namespace
}  // namespace ecld

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  try {
    ecld::Register(argc > 1 ? argv[1] : "benchmarks/shapes");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\nRun from the root of the checkout, or give the directory of the shapes.\n",
                 error.what());
    return 1;
  }
  benchmark::RunSpecifiedBenchmarks();
}
