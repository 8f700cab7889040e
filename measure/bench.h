#pragma once
// How fast a checkpoint runs on this machine: reading prompts (prefill) and continuing them (decode), over batch sizes
// and contexts, each test named as llama-bench names it ("pp512", "tg128 @ d512"), so that both can be compared line by
// line. A device profile (profiler/profile_device.h) has more about the model; this has what one asks of a program.
//
// A rate is tokens of all sequences over the median of the repetitions. Prefill computes the logits of the last token
// only, decode those of every token; tokens are random, and choosing the next one is not timed. Before the repetitions
// a prompt test runs once, a decode test for one token, uncounted.
//
// On a GPU there is one sequence, each token of a decode test is the one that the step before chose, and with a meter a
// token's energy is that of repeating the test for energy_window_s.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/document.h"
#include "core/json.h"
#include "core/threads.h"
#include "measure/energy_meter.h"
#include "measure/measure.h"
#include "runtime/gpu_decoder.h"
#include "runtime/options.h"

namespace ecld {

inline constexpr DocumentKind kBenchDocument{"ecld.bench", "1.0.0"};

struct BenchOptions {
  int64_t prompt_tok = 512;               // of a prefill test; 0: none
  int64_t gen_tok = 128;                  // of a decode test; 0: none
  std::vector<int64_t> depths_tok = {0};  // tokens that stand in the caches before a test begins
  std::vector<int64_t> batches = {1};     // sequences
  int repetitions = 5;
  RuntimeOptions runtime{.precision = Precision::kFast};  // what ships is what counts
  double energy_window_s = 2;
  std::string gemm;  // force this matrix product implementation; empty: the first that supports it
};

struct BenchRow {
  std::string test;  // "pp512", "tg128 B4 @ d512"
  bool decode = false;
  int64_t batch = 1, tok = 0, depth_tok = 0;  // tok: of one sequence
  Timing timing;
  double tok_per_s = 0;      // of all sequences
  double tok_per_s_std = 0;  // to first order from the deviation of the times
  double roof_share = 0;     // decode of one sequence: weight bytes read per second over read_Bps; else 0
  double J_per_tok = 0;      // measured; 0: not
  int64_t kv_B = 0;          // memory of the caches at the end of the test
  int64_t peak_resident_B = 0;
};

struct BenchResult {
  std::filesystem::path model;
  std::string backend = "CPU";
  std::string family, formats, kernels;  // "llama"; "BF16, W4 g32 sym"; of the matrix products
  uint64_t params = 0;
  int64_t weights_B = 0;          // all that is stored
  int64_t weights_B_per_tok = 0;  // read for one token: an untied embedding counts as one row
  double load_ms = 0;             // from opening the files, in the page cache, to the logits of one token; median
  std::vector<BenchRow> rows;
};

// read_Bps: of MeasureReadBandwidth. THROWS Error: what opening and running a checkpoint throws; an option out of
// range; a test that needs more positions than the model has, or more memory than is free.
BenchResult Bench(const std::filesystem::path& model, const BenchOptions& options, double read_Bps, ThreadPool& pool);

// On a GPU. gpu: the room for a text is made as large as the tests need. meter: of the GPU; nullptr: energy is not
// measured. THROWS Error as Bench and GpuDecoder do, and where options ask for several sequences.
BenchResult BenchGpu(const std::filesystem::path& model, const BenchOptions& options, GpuOptions gpu,
                     std::unique_ptr<StepMachine> machine, double read_Bps, EnergyMeter* meter, ThreadPool& pool);

// A kBenchDocument: device, read_Bps, and an object for each model.
Json ToJson(const std::vector<BenchResult>& results, const BenchOptions& options, double read_Bps,
            const ThreadPool& pool);

}  // namespace ecld
