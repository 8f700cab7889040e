#include "checkpoint/gguf/gguf_metadata.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "checkpoint/gguf/gguf_tokenizer.h"
#include "core/error.h"

namespace ecld {
namespace {

// Keys begin with the name of the architecture in place of "*". Keys of rope are checked where they are read.
constexpr std::array kApplied = {
    "general.architecture",
    "general.type",
    "general.alignment",
    "split.no",
    "split.count",
    "split.tensors.count",
    "*.block_count",
    "*.context_length",
    "*.embedding_length",
    "*.feed_forward_length",
    "*.nextn_predict_layers",
    "*.attention.head_count",
    "*.attention.head_count_kv",
    "*.attention.key_length",
    "*.attention.value_length",
    "*.attention.layer_norm_rms_epsilon",
    "*.attention.sliding_window",
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.eom_token_id",
    "tokenizer.ggml.unknown_token_id",
    "tokenizer.ggml.padding_token_id",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_eos_token",
    "tokenizer.ggml.add_space_prefix",
    "tokenizer.chat_template",
};

// What neither llama.cpp nor a checkpoint uses when such a model computes the logits of a text.
constexpr std::array kWithoutEffect = {
    "*.vocab_size",                             // compared with the embedding
    "*.hidden_activation",                      // checked below
    "*.tensor_data_layout",                     // what the file was made from
    "*.pooling_type",                           // of embeddings of texts
    "*.classifier.output_labels",               // names; the head itself would be a tensor
    "*.classifier.pooling_type",                //
    "tokenizer.ggml.token_type_count",          // of BERT
    "tokenizer.ggml.seperator_token_id",        // used where add_sep_token is set
    "tokenizer.ggml.cls_token_id",              //
    "tokenizer.ggml.mask_token_id",             //
    "tokenizer.ggml.fim_pre_token_id",          // for programs that fill in the middle, as are the next
    "tokenizer.ggml.fim_suf_token_id",          //
    "tokenizer.ggml.fim_mid_token_id",          //
    "tokenizer.ggml.fim_pad_token_id",          //
    "tokenizer.ggml.fim_rep_token_id",          //
    "tokenizer.ggml.fim_sep_token_id",          //
    "tokenizer.ggml.prefix_token_id",           //
    "tokenizer.ggml.suffix_token_id",           //
    "tokenizer.ggml.middle_token_id",           //
    "tokenizer.ggml.remove_extra_whitespaces",  // used with a unigram model alone
    "tokenizer.huggingface.json",               // the same vocabulary once more
};
constexpr std::array kPrefixesWithoutEffect = {
    "*.rope.",            // checked where it is read
    "*.expert",           // of a mixture, which is refused, as are the next
    "*.moe_",             //
    "*.interleave_moe_",  //
    "*.leading_dense_",   //
    "general.",           // names, authors, licences, and how the file was made
    "quantize.imatrix.",  // how the file was made
};

// Neutral at this number (a boolean is 0 or 1), or where there is no such key.
struct Neutral {
  std::string_view key;
  double value;
};
constexpr std::array kNeutral = {
    Neutral{"general.quantization_version", 2},  // of the layout of blocks
    Neutral{"*.attention.causal", 1},
    Neutral{"*.attention.clamp_kqv", 0},
    Neutral{"*.attention.max_alibi_bias", 0},
    Neutral{"*.attention.output_scale", 1},
    Neutral{"*.attention.value_scale", 1},
    Neutral{"*.attention.sliding_window_pattern", 0},
    Neutral{"*.attention.temperature_length", 0},
    Neutral{"*.attention.temperature_scale", 0},
    Neutral{"*.attention.shared_kv_layers", 0},
    Neutral{"*.attn_logit_softcapping", 0},
    Neutral{"*.final_logit_softcapping", 0},
    Neutral{"*.logit_scale", 1},
    Neutral{"*.residual_scale", 1},
    Neutral{"*.embedding_scale", 1},
    Neutral{"*.use_parallel_residual", 0},
    Neutral{"*.num_loops", 1},
    Neutral{"*.full_attention_interval", 1},
    Neutral{"tokenizer.ggml.add_sep_token", 0},
    Neutral{"tokenizer.ggml.normalizer.lowercase", 0},
    Neutral{"tokenizer.ggml.normalizer.strip_accents", 0},
};

// "llama.block_count" as the tables have it: "*.block_count".
std::string General(const std::string& key, const std::string& architecture) {
  return key.starts_with(architecture + ".") ? "*" + key.substr(architecture.size()) : key;
}

bool IsIn(const auto& table, std::string_view key) { return std::ranges::find(table, key) != table.end(); }

bool IsKnown(std::string_view key) {
  if (key.starts_with("general.sampling.")) return std::ranges::count(kSamplingKeys, key, &SamplingKey::gguf) > 0;
  return IsIn(kApplied, key) || IsIn(kWithoutEffect, key) ||
         std::ranges::any_of(kPrefixesWithoutEffect, [&](const char* prefix) { return key.starts_with(prefix); });
}

void RequireNumbers(const GgufValue& value, double neutral) {
  for (float number : value.IsArray()             ? value.Floats()
                      : value.Kind() == "boolean" ? std::vector<float>{value.Bool() ? 1.0f : 0.0f}
                                                  : std::vector<float>{static_cast<float>(value.Number())})
    if (number != static_cast<float>(neutral))
      Fail(value.Where(), "is {}, which this model cannot be computed with; {} or no such key would do", number,
           neutral);
}

// Scores of attention are divided by the root of the head's size.
void CheckAttentionScale(const GgufValue& value, const ModelConfig& config) {
  const double scale = value.Number(), expected = 1 / std::sqrt(static_cast<double>(config.head_dim));
  if (scale != 0 && !(std::abs(scale - expected) <= 1e-6 * expected))  // 0: llama.cpp takes the usual one
    Fail(value.Where(), "is {}, which this model cannot be computed with; {} or no such key would do", scale, expected);
}

}  // namespace

std::vector<std::string> CheckGgufMetadata(const GgufContents& gguf, const ModelConfig& config) {
  const std::string architecture = gguf.At("general.architecture").String();
  const GgufValue* activation = gguf.Find(architecture + ".hidden_activation");
  if (activation && activation->String() != "silu")
    Fail(activation->Where(), "is \"{}\", which is not supported; \"silu\" is", activation->String());
  std::vector<std::string> unknown;
  for (const auto& [name, value] : gguf.metadata) {
    const std::string key = General(name, architecture);
    if (const auto neutral = std::ranges::find(kNeutral, key, &Neutral::key); neutral != kNeutral.end())
      RequireNumbers(value, neutral->value);
    else if (key == "*.attention.scale")
      CheckAttentionScale(value, config);
    else if (!IsKnown(key))
      unknown.push_back(name);
  }
  return unknown;
}

}  // namespace ecld
