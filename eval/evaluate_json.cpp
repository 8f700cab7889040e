// The written form of an EvalResult.

#include "eval/evaluate.h"

#include <algorithm>
#include <limits>

#include "core/intervals.h"

namespace ecld {
namespace {

// lowest, highest: what the quantity can be; the interval is cut there.
Json MetricJson(std::string_view name, const Metric& metric, std::string_view unit, std::string_view method,
                const EvalResult& result, double lowest, double highest) {
  Json json = {{"name", name},     {"value", metric.value},  {"unit", unit},  {"kind", "measured"},
               {"method", method}, {"n", result.scored_tok}, {"se", nullptr}, {"ci95", nullptr}};
  if (metric.standard_error) {
    double reach = kNormal95 * *metric.standard_error;
    json["se"] = *metric.standard_error;
    json["ci95"] = {std::max(lowest, metric.value - reach), std::min(highest, metric.value + reach)};
  }
  return json;
}

Json MetricsJson(const EvalResult& result) {
  constexpr double kUnbounded = std::numeric_limits<double>::max();
  Json metrics = Json::array();
  metrics.push_back(MetricJson("perplexity", result.perplexity, "1", "exp of the mean negative log-likelihood", result,
                               1, kUnbounded));
  metrics.push_back(MetricJson("nll", result.nll, "nat/token", "mean over the scored tokens", result, 0, kUnbounded));
  if (result.bits_per_byte)
    metrics.push_back(MetricJson("bits_per_byte", *result.bits_per_byte, "bit/B",
                                 "of the scored tokens, per byte of the text they stand for", result, 0, kUnbounded));
  if (!result.reference) return metrics;
  metrics.push_back(MetricJson("reference_perplexity", *result.reference_perplexity, "1",
                               "of the reference, on the same windows", result, 1, kUnbounded));
  metrics.push_back(MetricJson("kl", *result.kl, "nat/token", "mean KL(reference || model)", result, 0, kUnbounded));
  metrics.push_back(MetricJson("top1_agreement", *result.top1_agreement, "1",
                               "share of tokens where both models put the same one first", result, 0, 1));
  if (result.reference_lost_mass)
    metrics.push_back(MetricJson("reference_lost_mass", *result.reference_lost_mass, "1",
                                 "probability that the reference gives to tokens that the model has not; its "
                                 "distribution is renormalised without them",
                                 result, 0, 1));
  if (result.reference_bits_per_byte)
    metrics.push_back(MetricJson("reference_bits_per_byte", *result.reference_bits_per_byte, "bit/B",
                                 "of the reference, on the text as its own tokenizer cuts it", result, 0, kUnbounded));
  return metrics;
}

}  // namespace

Json ToJson(const EvaluatedModel& model) {
  return {
      {"directory", model.directory}, {"config_sha256", model.config_sha256}, {"weights_sha256", model.weights_sha256},
      {"format", model.format},       {"weights_B", model.weights_B},         {"interleaved_B", model.interleaved_B},
      {"params", model.params}};
}

Json ToJson(const DeviceFacts& device, int threads) {
  return {{"cpu", device.cpu},           {"isa", device.isa}, {"features", device.features}, {"cores", device.cores},
          {"memory_B", device.memory_B}, {"os", device.os},   {"threads", threads}};
}

Json RuntimeJson(const RuntimeOptions& options, const std::string& kernels) {
  return {{"precision", Name(options.precision)}, {"kv", Name(options.Kv())}, {"kernels", kernels}};
}

Json ToJson(const EvalResult& result) {
  Json json = NewDocument(kEvalDocument);
  json["model"] = ToJson(result.model);
  json["reference"] = result.reference ? ToJson(*result.reference) : Json(nullptr);
  json["text"] = {{"file", result.text_file}, {"sha256", result.text_sha256}, {"size_B", result.text_B}};
  if (result.text_content != "text") json["text"]["content"] = result.text_content;
  json["windows"] = {{"window_tok", result.options.window},
                     {"stride_tok", result.options.stride},
                     {"score_from", result.options.score_from},
                     {"add_special", result.add_special},
                     {"text_tok", result.text_tok},
                     {"windows", result.windows},
                     {"scored_tok", result.scored_tok}};
  if (result.reference_text_tok) json["windows"]["reference_text_tok"] = *result.reference_text_tok;
  json["metrics"] = MetricsJson(result);
  json["se_method"] = "linearised ratio, clustered by window; perplexity by the delta method";
  json["scoring_s"] = result.scoring_s;
  json["peak_resident_B"] = result.peak_resident_B;
  json["runtime"] = RuntimeJson(result.runtime, result.kernels);
  json["arithmetic"] = "logits in float32, log-softmax in double";
  json["device"] = ToJson(result.device, result.threads);
  return json;
}

}  // namespace ecld
