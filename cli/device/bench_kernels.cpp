#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/device/output.h"
#include "cli/device/verbs.h"
#include "core/progress.h"
#include "measure/kernel_bench.h"

namespace ecld {
namespace {

struct Flags {
  std::vector<std::string> shapes;
  KernelBenchOptions bench;
  bool asymmetric = false;
  int threads = 0;
  std::string json;
};

std::string SizesOf(const KernelShape& shape) { return fmt::format("{}", fmt::join(shape.sizes, " x ")); }

void Print(const KernelBenchResult& result, int threads) {
  const Roof& roof = result.roof;
  fmt::print(
      "{} threads: memory read {:.1f} GB/s, float32 {:.0f} GFLOP/s, bfloat16 pairs {:.0f} GFLOP/s, 8 bits {:.0f} "
      "Gop/s\n\n",
      threads, roof.read_Bps * 1e-9, roof.float32_flops * 1e-9, roof.bf16_flops * 1e-9, roof.int8_ops * 1e-9);
  std::vector<std::vector<std::string>> table = {
      {"op", "shape", "sizes", "weights", "rows", "kernel", "x", "ms", "GB/s", "GFLOP/s", "% of roof", "to dense"}};
  for (const KernelRow& row : result.rows)
    table.push_back({row.shape.op, row.shape.name, SizesOf(row.shape), row.weights, std::to_string(row.rows),
                     row.kernel, row.exact ? "exact" : "rounded", fmt::format("{:.4f}", row.timing.median_ms),
                     fmt::format("{:.2f}", row.Bps * 1e-9), fmt::format("{:.1f}", row.flops * 1e-9),
                     fmt::format("{:.0f}", 100 * row.roof_share),
                     row.to_dense ? fmt::format("{:.2f}", *row.to_dense) : ""});
  PrintTable(table);
  fmt::print("\nMedians, measured. Matrices are read from memory: up to {} of copies in turn.\n",
             FormatBytes(result.weights_B));
  if (result.left_out > 0) fmt::print("{} points were left out: slower than --limit.\n", result.left_out);
}

void Run(Flags flags) {
  std::vector<KernelShape> shapes;
  for (const std::string& file : flags.shapes)
    for (KernelShape& shape : ReadKernelShapes(file)) shapes.push_back(std::move(shape));
  flags.bench.symmetric = !flags.asymmetric;
  ThreadPool pool(flags.threads);
  const KernelBenchResult result = BenchKernels(shapes, flags.bench, pool);
  if (!WriteJson(flags.json, ToJson(result, pool.size()))) Print(result, pool.size());
}

}  // namespace

std::function<void()> AddBenchKernels(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  KernelBenchOptions& bench = flags->bench;
  verb.add_option("--shapes", flags->shapes, "files that list ops and their sizes, like benchmarks/shapes/*.txt")
      ->required()
      ->type_name("FILE");
  verb.add_option("--bits", bench.bits, "of the matrices; 16: dense; several: 16,8,6,5,4,3,2")
      ->delimiter(',')
      ->check(CLI::IsMember({16, 8, 6, 5, 4, 3, 2}))
      ->capture_default_str();
  verb.add_option("--group-size", bench.group_size, "inputs that share a scale; 0: the whole row")
      ->capture_default_str();
  verb.add_flag("--asymmetric", flags->asymmetric, "packed weights have zero points");
  verb.add_option("--m", bench.rows, "rows of activations, tokens at a time; several: 1,4,16,512")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  verb.add_option("--context", bench.context_tok, "tokens that attention looks back on")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb.add_option("--kernel", bench.kernel, "only implementations of this name");
  verb.add_option("--limit", bench.limit_ms, "points that take longer are left out, in ms")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb.add_option("-t,--threads", flags->threads, "CPU threads (default: all)")->check(CLI::NonNegativeNumber);
  AddJsonFlag(verb, &flags->json);
  verb.footer(
      "Examples:\n"
      "  ecld-device bench kernels --shapes benchmarks/shapes/llama-3.2-1b.txt\n"
      "  ecld-device bench kernels --shapes benchmarks/shapes/*.txt --bits 16,4 --m 1,512 --json result.json");
  return [flags] { Run(*flags); };
}

}  // namespace ecld
