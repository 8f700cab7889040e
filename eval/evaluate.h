#pragma once
// What a written checkpoint is worth on a text: opens the directory, tokenizes, scores, and returns one result that
// says under which conditions each figure was obtained. The entry of the command `eval` and of the recipe runner.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "checkpoint/config.h"
#include "checkpoint/tokenizer/text_source.h"
#include "core/document.h"
#include "core/json.h"
#include "eval/windows.h"
#include "measure/device.h"
#include "runtime/options.h"

namespace ecld {

class Checkpoint;

struct EvalOptions {
  std::filesystem::path model;      // checkpoint directory
  std::filesystem::path reference;  // checkpoint to compare with; empty: none
  TextSource text;                  // its weight says nothing here
  WindowOptions windows;
  bool add_special = true;  // let the tokenizer add what it adds around a text (a begin-of-text token)
  int threads = 0;          // 0: all cores
  RuntimeOptions runtime;   // of the model; the reference always runs exact
};

struct Metric {
  double value = 0;
  std::optional<double> standard_error;  // clustered by window; absent with one window
};

struct EvaluatedModel {
  std::string directory;
  std::string config_sha256, weights_sha256;
  std::string format;          // "BF16", or "BF16, W4 g128 sym"
  uint64_t weights_B = 0;      // of all stored tensors
  uint64_t interleaved_B = 0;  // of the copy laid out for the processor; 0 where none was used
  uint64_t params = 0;         // logical ones; a tied matrix once
};

struct EvalResult {
  EvaluatedModel model;
  std::optional<EvaluatedModel> reference;
  std::string text_file, text_sha256, text_content;  // content: as Describe says it
  uint64_t text_B = 0;
  WindowOptions options;
  bool add_special = true;
  RuntimeOptions runtime;
  std::string kernels;   // the matrix products that ran: "avx512", or several
  int64_t text_tok = 0;  // ids of the whole text
  // The same by the reference's tokenizer, where the model's vocabulary was cut from the reference's.
  std::optional<int64_t> reference_text_tok;
  int64_t windows = 0;  // run
  int64_t scored_tok = 0;

  Metric perplexity, nll;                                          // nll: nats per token
  std::optional<Metric> bits_per_byte;                             // absent where the scored tokens stand for no bytes
  std::optional<Metric> reference_perplexity, kl, top1_agreement;  // with a reference; kl: nats per token
  // With reference_text_tok: what the reference gives to tokens that the model has not, and what it has on the text as
  // its own tokenizer cuts it.
  std::optional<Metric> reference_lost_mass, reference_bits_per_byte;

  double scoring_s = 0;
  uint64_t peak_resident_B = 0;  // while scoring, of all models, mapped weights included
  int threads = 0;
  DeviceFacts device;
};

// THROWS Error: whatever Checkpoint::Open and Tokenizer::Open throw; empty text; a window longer than the model's
// positions; a tokenizer or vocabulary that differs from the reference's; a logit that is NaN or infinite.
EvalResult Evaluate(const EvalOptions& options);

inline constexpr DocumentKind kEvalDocument{"ecld.eval", "1.2.0"};

// Every figure with its unit, standard error, 95 % interval, method and conditions.
Json ToJson(const EvalResult& result);

// Identity of the weights of a checkpoint directory: over the lines "<sha256>  <file name>" of its safetensors files in
// name order, as sha256sum prints them, so that it can be checked by hand. Reads all of them.
std::string WeightsSha256(const std::filesystem::path& directory);

// What every result says: the model it is of, the machine, and how the model ran.
EvaluatedModel DescribeModel(const Checkpoint& checkpoint);  // interleaved_B is left out
Json ToJson(const EvaluatedModel& model);
Json ToJson(const DeviceFacts& device, int threads);
Json RuntimeJson(const RuntimeOptions& options, const std::string& kernels);

// How the weights are stored, for EvaluatedModel::format.
std::string FormatLine(const ModelConfig& config);

}  // namespace ecld
