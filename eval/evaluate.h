#pragma once
// What a written checkpoint is worth on a text: opens the directory, tokenizes, scores, and returns one result that
// says under which conditions each figure was obtained. The entry of the command `eval` and of the recipe runner.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "checkpoint/config.h"
#include "core/json.h"
#include "eval/device.h"
#include "eval/windows.h"

namespace ecld {

struct EvalOptions {
  std::filesystem::path model;      // checkpoint directory
  std::filesystem::path reference;  // checkpoint to compare with; empty: none
  std::filesystem::path text;       // any bytes, usually UTF-8
  WindowOptions windows;
  bool add_special = true;  // let the tokenizer add what it adds around a text (a begin-of-text token)
  int threads = 0;          // 0: all cores
};

struct Metric {
  double value = 0;
  std::string unit;                      // "nats/token", "1"
  std::optional<double> standard_error;  // clustered by window; absent with one window
};

struct EvaluatedModel {
  std::string directory;
  std::string config_sha256;
  std::string format;      // "BF16", or "BF16, W4 g128 sym"
  uint64_t weights_B = 0;  // of all stored tensors
  int64_t params = 0;
};

struct EvalResult {
  EvaluatedModel model;
  std::optional<EvaluatedModel> reference;
  std::string text_file, text_sha256;
  uint64_t text_B = 0;
  WindowOptions options;
  bool add_special = true;
  int64_t text_tok = 0;  // ids of the whole text
  int64_t windows = 0;   // run
  int64_t scored_tok = 0;

  Metric perplexity, nll;
  std::optional<Metric> reference_perplexity, kl, top1_agreement;  // with a reference only

  double seconds = 0;  // of the scoring
  uint64_t peak_resident_B = 0;
  int threads = 0;
  DeviceFacts device;
};

// THROWS Error: whatever Checkpoint::Open and Tokenizer::Open throw; empty text; a window longer than the model's
// positions; a tokenizer or vocabulary that differs from the reference's; a logit that is NaN or infinite.
EvalResult Evaluate(const EvalOptions& options);

// schema "ecld.eval", version 1: every figure with its unit, standard error, method and conditions.
Json ToJson(const EvalResult& result);

// The line of EvaluatedModel::format.
std::string FormatLine(const ModelConfig& config);

}  // namespace ecld
