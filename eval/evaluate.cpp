#include "eval/evaluate.h"

#include <chrono>
#include <set>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/tokenizer/token_map.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/memory.h"
#include "eval/divergence.h"
#include "eval/perplexity.h"
#include "runtime/model.h"
#include "runtime/session.h"

namespace ecld {
namespace {

// The text as ids of the model and, where they differ since its vocabulary was cut, of the reference.
struct TextIds {
  std::vector<int32_t> model;
  std::vector<int32_t> map;        // the reference's id for each of the model's; empty: the same
  std::vector<int32_t> reference;  // as the reference's own tokenizer cuts the text; with a map
};

// Figures are comparable token by token only when both models read the same tokens.
void ReadForReference(const EvalOptions& options, const Checkpoint& model, const Checkpoint& reference,
                      const Texts& texts, TextIds* ids) {
  ids->map = IdsIn({options.reference, reference.config().vocab_size}, {options.model, model.config().vocab_size});
  std::vector<int32_t> reference_ids =
      Encode(texts, *Tokenizer::Open(options.reference), options.add_special, options.text.path.string());
  if (!ids->map.empty()) {
    ids->reference = std::move(reference_ids);
    return;
  }
  if (reference_ids == ids->model) return;
  size_t at = 0;
  while (at < ids->model.size() && at < reference_ids.size() && ids->model[at] == reference_ids[at]) ++at;
  Fail(options.reference.string(),
       "its tokenizer differs from that of {}: the text has {} and {} tokens, the first other one at {}",
       options.model.string(), reference_ids.size(), ids->model.size(), at);
}

void RequirePositions(const EvalOptions& options, const std::filesystem::path& directory, const ModelConfig& config) {
  if (options.windows.window > LongestText(config))
    Fail("window", "found {}, {} was made for at most {} positions", options.windows.window, directory.string(),
         LongestText(config));
}

Metric PerplexityMetric(const PerplexityScore& score) { return {score.Perplexity(), score.StandardError()}; }
Metric MeanMetric(const Mean& mean) { return {mean.value, mean.standard_error}; }

std::optional<Metric> BitsMetric(const PerplexityScore& score, const Tokenizer& tokenizer,
                                 const std::vector<int32_t>& ids, const std::vector<Window>& windows) {
  const std::optional<Mean> bits = BitsPerByte(score, tokenizer, ids, windows);
  return bits ? std::optional(MeanMetric(*bits)) : std::nullopt;
}

void TakeModel(const PerplexityScore& score, const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
               const std::vector<Window>& windows, EvalResult* result) {
  result->perplexity = PerplexityMetric(score);
  result->nll = MeanMetric(score.nll_nats);
  result->scored_tok = score.nll_nats.count;
  result->bits_per_byte = BitsMetric(score, tokenizer, ids, windows);
}

DivergenceScore ScoreBeside(Session& reference, Session& model, const TextIds& ids, const std::vector<Window>& windows,
                            const std::string& text_file, EvalResult* result) {
  DivergenceScore score = Divergence(reference, model, ids.model, windows, ids.map);
  result->reference_perplexity = PerplexityMetric(score.reference);
  result->kl = MeanMetric(score.kl_nats);
  result->top1_agreement = MeanMetric(score.top1_agreement);
  if (ids.map.empty()) return score;
  result->reference_lost_mass = MeanMetric(score.lost_mass);
  result->reference_text_tok = std::ssize(ids.reference);
  LogInfo(
      "the text has {} tokens, {} by the reference's tokenizer; the reference gives {:.3g} % to tokens that were cut",
      ids.model.size(), ids.reference.size(), 100 * score.lost_mass.value);
  const std::vector<Window> own = Windows(std::ssize(ids.reference), result->options, text_file);
  result->reference_bits_per_byte =
      BitsMetric(Perplexity(reference, ids.reference, own),
                 *Tokenizer::Open(reference.model().checkpoint().directory()), ids.reference, own);
  return score;
}

}  // namespace

EvaluatedModel DescribeModel(const Checkpoint& checkpoint) {
  return {.directory = checkpoint.directory().string(),
          .config_sha256 = checkpoint.ConfigSha256(),
          .weights_sha256 = WeightsSha256(checkpoint.directory()),
          .format = FormatLine(checkpoint.config()),
          .weights_B = checkpoint.WeightBytes(),
          .params = ParameterCount(checkpoint.config())};
}

std::string FormatLine(const ModelConfig& config) {
  std::string line(Name(config.dtype));
  if (config.quantization)
    for (const QuantizationConfig::Group& group : config.quantization->groups) line += ", " + group.format.Name();
  return line;
}

std::string WeightsSha256(const std::filesystem::path& directory) {
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().extension() == ".safetensors") files.insert(entry.path());
  Sha256 sum;
  for (const auto& file : files) sum.Update(Sha256HexOfFile(file) + "  " + file.filename().string() + "\n");
  return sum.HexDigest();
}

EvalResult Evaluate(const EvalOptions& options) {
  const std::string text_file = options.text.path.string(), sha256 = Sha256HexOfFile(options.text.path);
  const uint64_t text_B = std::filesystem::file_size(options.text.path);
  if (text_B == 0) Fail(text_file, "is empty; there is nothing to score");
  Checkpoint checkpoint = Checkpoint::Open(options.model);
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::Open(options.model);
  const Texts texts = ReadTexts(options.text, options.model, *tokenizer);
  RequirePositions(options, options.model, checkpoint.config());
  TextIds ids{.model = Encode(texts, *tokenizer, options.add_special, text_file)};
  const std::vector<Window> windows = Windows(std::ssize(ids.model), options.windows, text_file);

  EvalResult result{.model = DescribeModel(checkpoint),
                    .text_file = text_file,
                    .text_sha256 = sha256,
                    .text_content = Describe(texts),
                    .text_B = text_B,
                    .options = options.windows,
                    .add_special = options.add_special,
                    .runtime = options.runtime,
                    .text_tok = std::ssize(ids.model),
                    .windows = static_cast<int64_t>(windows.size()),
                    .device = ReadDeviceFacts()};
  ThreadPool pool(options.threads);
  result.threads = pool.size();
  RuntimeModel model(checkpoint, options.runtime);
  Session session(model, pool);
  result.kernels = session.Kernels();
  result.model.interleaved_B = model.TileBytes();
  ResetPeakResident();
  auto start = std::chrono::steady_clock::now();
  if (options.reference.empty()) {
    TakeModel(Perplexity(session, ids.model, windows), *tokenizer, ids.model, windows, &result);
  } else {
    Checkpoint reference = Checkpoint::Open(options.reference);
    RequirePositions(options, options.reference, reference.config());
    ReadForReference(options, checkpoint, reference, texts, &ids);
    result.reference = DescribeModel(reference);
    RuntimeModel reference_model(reference);
    Session reference_session(reference_model, pool);
    start = std::chrono::steady_clock::now();
    const DivergenceScore score = ScoreBeside(reference_session, session, ids, windows, text_file, &result);
    TakeModel(score.model, *tokenizer, ids.model, windows, &result);
  }
  result.scoring_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.peak_resident_B = PeakResidentBytes();
  return result;
}

}  // namespace ecld
