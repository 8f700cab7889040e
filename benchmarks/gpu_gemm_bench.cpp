// The CUDA matrix products beside cuBLAS and LibTorch's int4 product on this machine's GPU: gpu_options.h says how it
// is called, gpu_candidates.h how it times. All of it measured in one process, on the same shapes, in turn.

#include <fmt/format.h>

#include <exception>
#include <filesystem>

#include "benchmarks/gpu_block.h"
#include "benchmarks/gpu_clocks.h"
#include "core/document.h"
#include "core/files.h"

namespace ecld {
namespace {

constexpr int kLtAlgorithms = 8;

// cuBLAS's own choice, and the fastest of what cuBLASLt's heuristics propose, found before anything is compared.
void AddDense(GpuBench& bench, const DeviceWeights& dense, DenseProduct product, std::vector<Candidate>& candidates) {
  const auto of = [&dense, product](int64_t i) {
    DenseProduct one = product;
    one.weight = dense.copies[static_cast<size_t>(i) % dense.copies.size()]->data();
    return one;
  };
  const int64_t launches = LaunchesOver(dense.copies.size());
  Try(bench, candidates, "cublas", [&] {
    return MakeCandidate("cublas", 0, launches, [&, of](int64_t i, CudaStream stream) {
      bench.blas.Multiply(of(i), bench.blas_workspace.data(), stream);
    });
  });
  const CublasLt::Plan plan = bench.lt.Prepare(product, kLtAlgorithms);
  std::vector<Candidate> proposed;
  for (const CublasLt::Algorithm& algorithm : plan.algorithms)
    Try(bench, proposed, "cublaslt", [&] {
      return MakeCandidate("cublaslt", 0, launches, [&, of](int64_t i, CudaStream stream) {
        bench.lt.Multiply(plan, algorithm, of(i), bench.blas_workspace.data(), stream);
      });
    });
  if (proposed.empty()) return;
  TimeInTurn(proposed, 1);
  const auto best = std::min_element(proposed.begin(), proposed.end(),
                                     [](const auto& a, const auto& b) { return a.MedianUs() < b.MedianUs(); });
  best->us.clear();
  candidates.push_back(std::move(*best));
}

// Every implementation that takes the product; those that split, in more ways than one while there are few rows.
void AddOurs(GpuBench& bench, const DeviceWeights& packed, const WeightView& shape, CudaGemmArgs args,
             std::vector<std::unique_ptr<CudaBuffer>>& workspaces, std::vector<Candidate>& candidates) {
  args.weight = CudaTiled(shape, packed.copies[0]->data());
  for (const CudaGemmImplementation& implementation : CudaGemmImplementations()) {
    const std::string name = implementation.name;
    if (!implementation.unsupported(args, bench.device).empty()) continue;
    if ((name == "wgmma" && args.m <= 32) || (name == "dequant_cublas" && args.m < 64)) continue;
    const bool splits_matter = (name == "mma" && args.m <= 64) || (name == "wgmma" && args.m <= 128);
    for (int splits : splits_matter ? std::vector<int>{0, 1, 2, 4, 8} : std::vector<int>{0}) {
      args.splits = splits;
      const uint64_t bytes = implementation.workspace({args.m, shape.out_features, shape.in_features, splits});
      const std::vector<std::byte> zeros(bytes);
      workspaces.push_back(OnDevice(zeros.data(), bytes));
      args.workspace = workspaces.back()->data();
      Try(bench, candidates, name, [&] {
        return MakeCandidate(name, splits, LaunchesOver(packed.copies.size()), [&, args](int64_t i, CudaStream stream) {
          CudaGemmArgs one = args;
          one.weight = CudaTiled(shape, packed.copies[static_cast<size_t>(i) % packed.copies.size()]->data());
          implementation.run(one, stream);
        });
      });
    }
  }
}

void Keep(GpuBench& bench, const GpuResult& like, const PackedFormat& format, std::vector<Candidate>& candidates) {
  for (const Candidate& candidate : candidates) {
    GpuResult result = like;
    result.way = candidate.name;
    result.splits = candidate.splits;
    const bool dense = !result.Ours() && result.way != "torch_int4";
    result.bits = dense ? 16 : format.bits;
    result.cost = CostOf(result.m, result.n, result.k, dense ? nullptr : &format);
    result.us = candidate.MedianUs();
    result.low_us = Quantile(candidate.us, 0);
    result.high_us = Quantile(candidate.us, 1);
    fmt::print("{:<18} {:<8} m {:<5} W{:<2} {:<14} splits {:<2} {:>10.2f} us  {:>6.2f} TB/s  {:>7.1f} Tflop/s\n",
               result.model, result.layer, result.m, result.bits, result.way, result.splits, result.us,
               result.BytesPerS() / 1e12, result.FlopsPerS() / 1e12);
    if (result.Ours() && (result.way != "wgmma" || bench.options.trust_wgmma))
      bench.points.push_back(
          {format.bits, kTimedType, result.m, result.n, result.k, result.way, result.splits, result.us});
    bench.results.push_back(std::move(result));
  }
}

// One layer with weights of so many bits, for every number of rows.
void TimeLayer(GpuBench& bench, const std::string& model, const KernelShape& layer, int bits) {
  const int64_t n = layer.sizes[0], k = layer.sizes[1], x_stride = (k + 7) / 8 * 8;
  const auto halves = [&](int64_t count) {
    return RandomHalves(kTimedType, static_cast<uint64_t>(count), bench.random);
  };
  const std::vector<uint16_t> dense_bytes = halves(n * k);
  const DeviceWeights dense(dense_bytes.data(), static_cast<uint64_t>(n * k) * 2);
  const WeightView shape = bench.ShapeOf(layer, bits);
  const DeviceWeights packed = DeviceWeights::Packed(shape, bench.random);
  for (int64_t m : bench.options.rows) {
    if (SecondsSince(bench.begin) > static_cast<double>(bench.options.budget_s)) {
      bench.left_out.push_back(fmt::format("{} {} W{} from {} rows on: no time left", model, layer.name, bits, m));
      fmt::print(stderr, "left out: {}\n", bench.left_out.back());
      return;
    }
    const std::vector<uint16_t> x_bytes = halves(m * x_stride);
    const auto x = OnDevice(x_bytes.data(), static_cast<uint64_t>(m * x_stride) * 2);
    CudaBuffer y(static_cast<uint64_t>(m * n) * 2);
    std::vector<std::unique_ptr<CudaBuffer>> workspaces;
    std::vector<Candidate> candidates;
    AddDense(bench, dense,
             {.type = kTimedType,
              .m = m,
              .n = n,
              .k = k,
              .weight = dense.copies[0]->data(),
              .weight_stride = k,
              .x = x->data(),
              .x_stride = x_stride,
              .y = y.data(),
              .y_stride = n},
             candidates);
    AddOurs(bench, packed, shape,
            {.type = kTimedType, .x = x->data(), .x_stride = x_stride, .m = m, .y = y.data(), .y_stride = n},
            workspaces, candidates);
    if (bits == 4 && bench.options.group != 0)
      Try(bench, candidates, "torch_int4", [&] {
        const auto copies = static_cast<int64_t>(packed.copies.size());
        const auto torch = std::make_shared<TorchInt4>(m, n, k, bench.options.group, copies);
        return MakeCandidate("torch_int4", 0, LaunchesOver(packed.copies.size()),
                             [torch](int64_t i, CudaStream stream) { torch->Multiply(i, stream); });
      });
    TimeInTurn(candidates, static_cast<int>(bench.options.turns));
    Keep(bench, {.model = model, .layer = layer.name, .m = m, .n = n, .k = k, .compared_bits = bits}, shape.format,
         candidates);
  }
}

void Write(const GpuBench& bench, const GpuRoof& roof, const Json& before) {
  Json json = NewDocument({"ecld.gpu_gemm", "1.0.0"}, {{"source", "measured"},
                                                       {"device", bench.device.name},
                                                       {"compute_capability", bench.device.compute_capability},
                                                       {"cublas", bench.blas.name()},
                                                       {"group", bench.options.group},
                                                       {"seconds", SecondsSince(bench.begin)},
                                                       {"clocks_before", before},
                                                       {"clocks_after", ReadClocks(bench.device.pci_bus_id)},
                                                       {"copy_TBps", roof.copy_Bps / 1e12},
                                                       {"bf16_TFlops", roof.bf16_flops / 1e12},
                                                       {"left_out", bench.left_out}});
  fmt::print("\n{:<18} W  {:>6} {:>12} {:>12} {:>12} {:>10}\n", "block", "m", "ours us", "cublas us", "torch us",
             "ratio");
  for (const GpuBlock& block : Blocks(bench.results, bench.options.trust_wgmma)) {
    fmt::print("{:<18} {}  {:>6} {:>12.1f} {:>12.1f} {:>12.1f} {:>10.2f}\n", block.model, block.bits, block.m,
               block.ours_us, block.cublas_us, block.torch_us, block.ours_us > 0 ? block.cublas_us / block.ours_us : 0);
    json["blocks"].push_back(ToJson(block));
  }
  json["block_graphs"] = bench.block_graphs;
  for (const GpuResult& result : bench.results) json["products"].push_back(ToJson(result));
  const std::filesystem::path out = bench.options.out;
  std::filesystem::create_directories(out);
  WriteJsonFile(out / "results.json", json);
  WriteFileAtomically(out / "roofline.svg", SvgFile(RooflineOf(bench.results, roof, bench.device.name)));
  if (!bench.points.empty())
    WriteFileAtomically(out / "dispatch.csv",
                        DispatchFromSweep(bench.points, bench.device.compute_capability, bench.device.name));
}

void Run(const GpuBenchOptions& options) {
  std::vector<std::pair<std::string, std::vector<KernelShape>>> models;
  for (const std::string& file : options.shapes) {
    models.emplace_back(std::filesystem::path(file).stem().string(), ReadKernelShapes(file));
    std::erase_if(models.back().second, [](const KernelShape& shape) { return shape.op != "gemm"; });
  }
  if (options.shapes_only) {
    for (const auto& [model, layers] : models)
      for (const KernelShape& layer : layers)
        fmt::print("{:<18} {:<8} {:>6} x {}\n", model, layer.name, layer.sizes[0], layer.sizes[1]);
    return;
  }
  std::string why;
  const auto device = FindCudaDevice(&why);
  if (!device) Fail("", "these products are timed on a GPU, and there is none: {}", why);
  GpuBench bench{.options = options, .device = *device};
  const Json before = ReadClocks(device->pci_bus_id);
  const auto [copy_Bps, flops] = MeasureGpuRoof(bench.blas, bench.blas_workspace, bench.random);
  const GpuRoof roof = {.copy_Bps = copy_Bps, .bf16_flops = flops};
  fmt::print("{}: copies at {:.2f} TB/s, multiplies bfloat16 at {:.0f} Tflop/s (measured)\n", device->name,
             copy_Bps / 1e12, flops / 1e12);
  for (int64_t bits : options.bits)
    for (const auto& [model, layers] : models) {
      for (const KernelShape& layer : layers) TimeLayer(bench, model, layer, static_cast<int>(bits));
      TimeBlocks(bench, model, layers, static_cast<int>(bits));
    }
  Write(bench, roof, before);
}

}  // namespace
}  // namespace ecld

int main(int argc, char** argv) {
  ecld::GpuBenchOptions options;
  try {
    options = ecld::ParseGpuBenchOptions({argv + 1, argv + argc});
  } catch (const ecld::Error& error) {
    fmt::print(stderr, "error: {}\n{}", error.what(), ecld::kGpuBenchUsage);
    return 2;
  }
  try {
    ecld::Run(options);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
