#include "profile/format/schema.h"

#include <array>
#include <string>
#include <vector>

#include "core/error.h"

namespace ecld {
namespace {

using enum ColumnType;

// One row per request shape: prefill of prompt_tok, then gen_tok steps that start with ctx_tok in the cache. Memory:
// mem_peak_B is resident, mapped weights included; act_peak_B what the process owns (anonymous) besides the cache.
constexpr Column kPhase[] = {
    {"batch", kCount},
    {"prompt_tok", kCount},
    {"gen_tok", kCount},
    {"ctx_tok", kCount},
    {"prefill_ms", kNumber},
    {"prefill_p95_ms", kNumber},
    {"tpot_ms", kNumber},
    {"tpot_p95_ms", kNumber},
    {"e2e_ms", kNumber},
    {"prefill_J", kNumber},
    {"decode_J_per_tok", kNumber},
    {"idle_sub_J", kFlag},
    {"avg_W", kNumber},
    {"peak_W", kNumber},
    {"weights_B", kCount},
    {"kv_B", kCount},
    {"act_peak_B", kCount},
    {"mem_peak_B", kCount},
    {"src", kSource},
    {"n", kSamples},
};

constexpr Column kLoad[] = {
    {"from_state", kText, "disk|ram|cold"}, {"load_ms", kNumber}, {"load_J", kNumber}, {"bytes_B", kCount},
    {"shared_with_variant", kText},         {"shared_B", kCount}, {"src", kSource},    {"n", kSamples},
};

constexpr Column kQuality[] = {
    {"task", kText},       {"metric", kText, "acc|f1|ppl|halluc_rate|abstain_frac"},
    {"prompt_fmt", kText}, {"shots", kCount},
    {"value", kNumber},    {"ci_lo", kNumber},
    {"ci_hi", kNumber},    {"n", kSamples},
    {"judge", kText},      {"dataset_sha256", kText},
    {"src", kSource},
};

// How often answers of an uncertainty in [bin_lo, bin_hi) (the last bin: [bin_lo, 1]) are right. The uncertainty is an
// aggregate over the tokens of the answer of 1 - (p1 - p2). topk: tokens that the probabilities were taken over; 0:
// all.
constexpr Column kUncertainty[] = {
    {"task", kText},          {"agg", kText, "mean|max|first|last|p90"},
    {"temperature", kNumber}, {"topk", kCount},
    {"bin_lo", kNumber},      {"bin_hi", kNumber},
    {"n", kSamples},          {"acc", kNumber},
    {"acc_lo", kNumber},      {"acc_hi", kNumber},
    {"halluc_rate", kNumber}, {"gen_tok_mean", kNumber},
    {"src", kSource},
};

// The answers behind uncertainty.csv, so that they can be binned anew. item_id: "<task>/<index of the item>".
constexpr Column kUncertaintyItems[] = {
    {"item_id", kText},  {"correct", kFlag}, {"halluc", kFlag},    {"gen_tok", kCount},
    {"a_mean", kNumber}, {"a_max", kNumber}, {"a_first", kNumber}, {"a_last", kNumber},
    {"a_p90", kNumber},  {"src", kSource},   {"n", kSamples},
};

// What a planner expects of a task: difficulty_bin is "all", or whether the reference model of provenance.difficulty
// answered right. Lengths are those of generated answers.
constexpr Column kPlanner[] = {
    {"task", kText},           {"difficulty_bin", kText}, {"n", kSamples},          {"acc", kNumber},
    {"halluc_rate", kNumber},  {"out_tok_p10", kNumber},  {"out_tok_p50", kNumber}, {"out_tok_p90", kNumber},
    {"out_tok_mean", kNumber}, {"out_tok_std", kNumber},  {"a_mean", kNumber},      {"src", kSource},
};

// How long answers were whose length was foreseen as [pred_bin_lo, pred_bin_hi) tokens: percentiles, the mean absolute
// error and the mean error (foreseen less actual). variant.planner_len says who foresaw them.
constexpr Column kPlannerLen[] = {
    {"pred_bin_lo", kCount}, {"pred_bin_hi", kCount}, {"n", kSamples},
    {"actual_p10", kNumber}, {"actual_p50", kNumber}, {"actual_p90", kNumber},
    {"mae_tok", kNumber},    {"bias_tok", kSigned},   {"src", kSource},
};

// layer: "embed", "0" .. "L-1", "head". The weights of a matrix that two rows share count in the first of them.
constexpr Column kLayers[] = {
    {"layer", kText},     {"phase", kText, "prefill|decode"},
    {"batch", kCount},    {"tok", kCount},
    {"ctx_tok", kCount},  {"ms", kNumber},
    {"J", kNumber},       {"flops", kCount},
    {"weight_B", kCount}, {"kv_B_per_tok", kCount},
    {"act_in_B", kCount}, {"act_out_B", kCount},
    {"src", kSource},     {"n", kSamples},
};

// Layers below the cut run on the device, the others elsewhere. Cut 0 sends the token ids, cut n_layers nothing: all is
// local. ue_mem_peak_B: weights and cache of the device's part.
constexpr Column kCuts[] = {
    {"cut", kCount},
    {"batch", kCount},
    {"tok", kCount},
    {"dtype", kText, "f32|f16|bf16"},
    {"up_B", kCount},
    {"down_B", kCount},
    {"rtt_per_gen_tok", kNumber},
    {"ue_weight_B", kCount},
    {"ue_mem_peak_B", kCount},
    {"quant_scheme", kText},
    {"quality_delta", kNumber},
    {"src", kSource},
    {"n", kSamples},
};

// What crosses a cut, damaged or sent in fewer bits, and what the model is worth then: perplexity, over the undamaged
// one, and the share of tokens it puts first. level: dropout and bitflip the probability (of an element, of a bit of
// float16), awgn the noise over the root mean square of a row, quant4 and quant8 the elements that share a scale
// (0: a row). The interval is that of ppl_ratio; n: tokens scored.
constexpr Column kSplitQuality[] = {
    {"cut", kCount},        {"corruption", kText, "dropout|awgn|bitflip|quant4|quant8"},
    {"level", kNumber},     {"ppl", kNumber},
    {"ppl_ratio", kNumber}, {"acc", kNumber},
    {"n", kSamples},        {"ci_lo", kNumber},
    {"ci_hi", kNumber},     {"src", kSource},
};

// Here n is the dimension of the product, as everywhere in such tables, so the repetitions are called reps.
constexpr Column kOps[] = {
    {"op", kText, "gemm|attn_prefill|attn_decode|norm|act|rope|add|embed|head"},
    {"dtype", kText},
    {"kernel", kText},
    {"m", kCount},
    {"n", kCount},
    {"k", kCount},
    {"batch", kCount},
    {"ctx_tok", kCount},
    {"heads", kCount},
    {"kv_heads", kCount},
    {"head_dim", kCount},
    {"ms", kNumber},
    {"ms_min", kNumber},
    {"ms_max", kNumber},
    {"ms_std", kNumber},
    {"tflops", kNumber},
    {"GBps", kNumber},
    {"avg_W", kNumber},
    {"src", kSource},
    {"reps", kSamples},
};

constexpr std::array kSchemas = {
    TableSchema{"phase", kPhase},
    TableSchema{"load", kLoad},
    TableSchema{"quality", kQuality},
    TableSchema{"uncertainty", kUncertainty},
    TableSchema{"uncertainty_items", kUncertaintyItems},
    TableSchema{"planner", kPlanner},
    TableSchema{"planner_len", kPlannerLen},
    TableSchema{"layers", kLayers},
    TableSchema{"cuts", kCuts},
    TableSchema{"split_quality", kSplitQuality},
    TableSchema{"ops", kOps},
};

constexpr std::array kSources = {
    Source{'m', "measured"},     Source{'f', "fitted"}, Source{'r', "roofline model"},
    Source{'i', "interpolated"}, Source{'c', "copied"},
};

}  // namespace

std::span<const Source> Sources() { return kSources; }

char WeakerSource(char a, char b) {
  for (const Source& source : kSources) {
    if (source.letter == a) return b;
    if (source.letter == b) return a;
  }
  return a;
}

std::span<const TableSchema> TableSchemas() { return kSchemas; }

const TableSchema& FindTableSchema(std::string_view name, std::string_view where) {
  std::vector<std::string> known;
  for (const TableSchema& schema : kSchemas) {
    if (schema.name == name) return schema;
    known.emplace_back(schema.name);
  }
  Fail(where, "no table of this schema is called \"{}\"{}", name, DidYouMean(name, known));
}

}  // namespace ecld
