#pragma once
// The command line of gpu_gemm_bench.

#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace ecld {

struct GpuBenchOptions {
  std::vector<std::string> shapes;  // files
  std::string out;                  // a folder
  std::vector<int64_t> bits = {4};
  std::vector<int64_t> rows = {1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 256, 512, 1024, 2048, 4096};  // of x
  int64_t group = 128;
  int64_t turns = 3;       // forwards and backwards through what is timed
  int64_t budget_s = 240;  // no further product begins once so much time is spent
  bool trust_wgmma = false;
  bool shapes_only = false;  // reads and prints the shapes: needs no GPU
};

inline constexpr std::string_view kGpuBenchUsage =
    "usage: gpu_gemm_bench --out FOLDER [--bits 4,8] [--rows 1,16,...] [--group 128] [--turns 3] [--budget SECONDS]\n"
    "                      [--trust-wgmma] [--shapes-only] SHAPES...\n"
    "Times the CUDA matrix products over the matrices of shape files beside cuBLAS and LibTorch's int4 product, and\n"
    "writes results.json, roofline.svg and dispatch.csv (a table for kernels/gemm/dispatch) to FOLDER.\n"
    "  --trust-wgmma  lets wgmma into dispatch.csv; for devices on which the tests with it have passed\n"
    "  --shapes-only  prints what would be timed\n";

inline std::vector<int64_t> WholeNumbers(std::string_view flag, std::string_view text, int64_t low, int64_t high) {
  std::vector<int64_t> numbers;
  for (;;) {
    const std::string_view word = text.substr(0, text.find(','));
    int64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size() || number < low || number > high)
      Fail(flag, "\"{}\" is not a whole number from {} to {}", word, low, high);
    numbers.push_back(number);
    if (word.size() == text.size()) return numbers;
    text.remove_prefix(word.size() + 1);
  }
}

// words: without the program's name. THROWS Error.
inline GpuBenchOptions ParseGpuBenchOptions(const std::vector<std::string>& words) {
  GpuBenchOptions options;
  const std::vector<std::string> flags = {"--out",   "--bits",   "--rows",        "--group",
                                          "--turns", "--budget", "--trust-wgmma", "--shapes-only"};
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& flag = words[i];
    if (!flag.starts_with("-")) {
      options.shapes.push_back(flag);
      continue;
    }
    if (std::find(flags.begin(), flags.end(), flag) == flags.end())
      Fail("", "no flag is named {}{}", flag, DidYouMean(flag, flags));
    if (flag == "--trust-wgmma" || flag == "--shapes-only") {
      (flag == "--trust-wgmma" ? options.trust_wgmma : options.shapes_only) = true;
      continue;
    }
    if (++i == words.size()) Fail(flag, "a value is missing");
    const std::string& value = words[i];
    const auto one = [&](int64_t low, int64_t high) {
      const std::vector<int64_t> numbers = WholeNumbers(flag, value, low, high);
      if (numbers.size() != 1) Fail(flag, "takes one number, found \"{}\"", value);
      return numbers[0];
    };
    if (flag == "--out") options.out = value;
    if (flag == "--rows") options.rows = WholeNumbers(flag, value, 1, 1 << 16);
    if (flag == "--turns") options.turns = one(1, 100);
    if (flag == "--budget") options.budget_s = one(1, 1 << 16);
    if (flag == "--group") {
      options.group = one(0, 1 << 16);
      if (options.group != 0 && (options.group < 32 || (options.group & (options.group - 1)) != 0))
        Fail(flag, "{} is none of 32, 64, 128, ... or 0 for the whole row", options.group);
    }
    if (flag == "--bits") {
      options.bits = WholeNumbers(flag, value, 2, 8);
      for (int64_t bits : options.bits)
        if (bits > 4 && bits < 8) Fail(flag, "{} bits; the CUDA products take 2, 3, 4 and 8", bits);
    }
  }
  if (options.shapes.empty()) Fail("", "no file of shapes is given");
  if (options.out.empty() && !options.shapes_only) Fail("--out", "is missing: the folder for the results");
  return options;
}

}  // namespace ecld
