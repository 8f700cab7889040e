#include "profile/schema.h"

#include <array>
#include <string>
#include <vector>

#include "core/error.h"

namespace ecld {
namespace {

using enum ColumnType;

// One row per request shape: prefill of prompt_tok, then gen_tok steps that start with ctx_tok in the cache.
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
    {"task", kText},       {"metric", kText, "acc|f1|ppl|halluc_rate"},
    {"prompt_fmt", kText}, {"shots", kCount},
    {"value", kNumber},    {"ci_lo", kNumber},
    {"ci_hi", kNumber},    {"n", kSamples},
    {"judge", kText},      {"dataset_sha256", kText},
    {"src", kSource},
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
    TableSchema{"phase", kPhase},   TableSchema{"load", kLoad}, TableSchema{"quality", kQuality},
    TableSchema{"layers", kLayers}, TableSchema{"ops", kOps},
};

constexpr std::array kSources = {
    Source{'m', "measured"},     Source{'f', "fitted"}, Source{'r', "roofline model"},
    Source{'i', "interpolated"}, Source{'c', "copied"},
};

}  // namespace

std::span<const Source> Sources() { return kSources; }

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
