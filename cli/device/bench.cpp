#include "measure/bench.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/device/output.h"
#include "cli/device/runtime_flags.h"
#include "cli/device/verbs.h"
#include "core/error.h"
#include "core/progress.h"
#include "kernels/cuda/device.h"
#include "measure/device.h"

namespace ecld {
namespace {

struct Flags {
  std::vector<std::string> models;
  BenchOptions bench;
  DeviceFlags device;
  int threads = 0;
  std::string json;
};

std::string NameOf(const BenchResult& result) {
  std::filesystem::path directory = std::filesystem::absolute(result.model).lexically_normal();
  if (directory.filename().empty()) directory = directory.parent_path();
  return fmt::format("{} ({}, {})", directory.filename().string(), result.family, result.formats);
}

// The columns of llama-bench, so that its lines can stand among these.
void PrintMarkdown(const std::vector<BenchResult>& results, int threads) {
  size_t width = 0;
  for (const BenchResult& result : results) width = std::max(width, NameOf(result).size());
  constexpr const char* kLine = "| {:<{}} | {:>10} | {:>10} | {:<7} | {:>7} | {:>18} | {:>20} |\n";
  fmt::print(kLine, "model", width, "size", "params", "backend", "threads", "test", "t/s");
  fmt::print("| {:-<{}} | ---------: | ---------: | ------- | ------: | -----------------: | -------------------: |\n",
             "", width);
  for (const BenchResult& result : results)
    for (const BenchRow& row : result.rows)
      fmt::print(kLine, NameOf(result), width, FormatBytes(static_cast<uint64_t>(result.weights_B)),
                 FormatCount(result.params), result.backend, threads, row.test,
                 fmt::format("{:.2f} ± {:.2f}", row.tok_per_s, row.tok_per_s_std));
}

void PrintMemory(const std::vector<BenchResult>& results, const Flags& flags, double read_Bps) {
  fmt::print("\n{}, kv {}; memory is {} at {:.1f} GB/s (measured)\n", Name(flags.bench.runtime.precision),
             Name(flags.bench.runtime.Kv()), flags.device.cuda ? "read and written by copies" : "read",
             read_Bps * 1e-9);
  for (const BenchResult& result : results) {
    fmt::print("{}: first token {:.0f} ms after opening; {}\n", NameOf(result), result.load_ms, result.kernels);
    for (const BenchRow& row : result.rows) {
      fmt::print("  {}: peak memory {}, caches {}", row.test, FormatBytes(static_cast<uint64_t>(row.peak_resident_B)),
                 FormatBytes(static_cast<uint64_t>(row.kv_B)));
      if (row.roof_share > 0)
        fmt::print("; {} of weights a token, {:.0f} % of the rate that memory is read at",
                   FormatBytes(static_cast<uint64_t>(result.weights_B_per_tok)), 100 * row.roof_share);
      if (row.J_per_tok > 0) fmt::print("; {:.4g} J a token (measured)", row.J_per_tok);
      fmt::print("\n");
    }
  }
}

std::vector<BenchResult> BenchAllOnGpu(const Flags& flags, double* read_Bps, ThreadPool& pool) {
  std::vector<BenchResult> results;
  std::unique_ptr<EnergyMeter> meter;
  for (const std::string& model : flags.models) {
    auto machine = OpenDevice(flags.device, flags.bench.runtime, flags.bench.gemm);
    if (results.empty()) {
      *read_Bps = cuda::MeasureCopyBps();
      meter = OpenGpuMeter("bench");
    }
    results.push_back(BenchGpu(model, flags.bench, flags.device.Options(flags.bench.runtime), std::move(machine),
                               *read_Bps, meter.get(), pool));
  }
  return results;
}

void Run(Flags flags) {
  if (flags.models.empty()) Fail("bench", "names no checkpoint directory");
  flags.bench.runtime.threads = flags.threads;
  ThreadPool pool(flags.threads);
  double read_Bps = 0;
  std::vector<BenchResult> results;
  if (flags.device.cuda) {
    results = BenchAllOnGpu(flags, &read_Bps, pool);
  } else {
    read_Bps = MeasureReadBandwidth(pool);
    for (const std::string& model : flags.models) results.push_back(Bench(model, flags.bench, read_Bps, pool));
  }
  if (WriteJson(flags.json, ToJson(results, flags.bench, read_Bps, pool))) return;
  PrintMarkdown(results, pool.size());
  PrintMemory(results, flags, read_Bps);
}

}  // namespace

std::function<void()> AddBench(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  BenchOptions& bench = flags->bench;
  verb.add_option("models", flags->models, "checkpoint directories")->type_name("DIR");
  verb.add_option("-p,--prompt", bench.prompt_tok, "tokens of a prefill test; 0: none")->capture_default_str();
  verb.add_option("-n,--generate", bench.gen_tok, "tokens of a decode test; 0: none")->capture_default_str();
  verb.add_option("-d,--depth", bench.depths_tok, "tokens already in the cache; several: 0,512")
      ->delimiter(',')
      ->capture_default_str();
  verb.add_option("-B,--batch", bench.batches, "sequences at a time; several: 1,4,16")
      ->delimiter(',')
      ->capture_default_str();
  verb.add_option("-r,--repetitions", bench.repetitions, "of each test")->capture_default_str();
  verb.add_option("--kernel", bench.gemm, "force this matrix product implementation");
  verb.add_option("-t,--threads", flags->threads, "CPU threads (default: all)")->check(CLI::NonNegativeNumber);
  AddRuntimeFlags(verb, &bench.runtime);
  AddDeviceFlags(verb, &flags->device);
  AddJsonFlag(verb, &flags->json);
  verb.footer(
      "Examples:\n"
      "  ecld-device bench model-w4\n"
      "  ecld-device bench model model-w4 --prompt 512 --generate 128 --depth 0,512 --batch 1,4,16 --json result.json\n"
      "  ecld-device bench kernels --help");
  CLI::App* kernels = verb.add_subcommand("kernels", "time every implementation of every op, without a checkpoint");
  return [flags, kernels, run_kernels = AddBenchKernels(*kernels)] { kernels->parsed() ? run_kernels() : Run(*flags); };
}

}  // namespace ecld
