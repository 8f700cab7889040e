#pragma once
// config.json of the supported architectures as one plain struct: Llama 2/3/3.1/3.2, Qwen2/2.5, Qwen3, Mistral
// (7B, Nemo), Gemma 3 (its language model). What a config says and ECLD cannot run (another architecture, another
// activation, an unknown rope type) is an Error here, not a wrong logit later. The rotary position embedding is read,
// written and computed by rope.h.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/foreign/foreign_config.h"
#include "checkpoint/quantization_config.h"
#include "checkpoint/rope.h"
#include "core/dtype.h"
#include "core/json.h"

namespace ecld {

enum class Activation { kSilu, kGelu };  // of the gate; kGelu: its approximation by tanh

enum class Family { kLlama, kQwen2, kQwen3, kMistral, kGemma3 };
inline constexpr Family kEveryFamily[] = {Family::kLlama, Family::kQwen2, Family::kQwen3, Family::kMistral,
                                          Family::kGemma3};
std::string_view Name(Family family);  // the model_type of config.json: "llama", "qwen2", ...

// Formats chosen for a dense model, which the pass that packs it will take. Other programs pass over the key.
inline constexpr const char* kAllocationKey = "ecld_allocation";  // in config.json
struct Allocation {
  QuantizationConfig formats;
  uint64_t weights_B = 0;  // of the whole checkpoint once it is packed
};

struct ModelConfig {
  Family family = Family::kLlama;
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;  // query heads; a multiple of num_kv_heads
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;  // not always hidden_size / num_heads
  int64_t max_position = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  std::optional<double> window_rope_theta;  // where layers with a window turn by this theta, unscaled
  std::vector<int64_t> sliding_window;      // [num_layers]; 0 = the layer attends to all earlier positions
  bool tie_embeddings = false;
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;
  bool norms_add_one = false;  // a norm multiplies by 1 + what is stored
  bool output_norms = false;   // attention and the feed-forward layer are normed again before they are added
  Activation activation = Activation::kSilu;
  double embedding_scale = 1;  // what rows of the embedding are multiplied by where tokens are read
  double query_scalar = 0;     // scores are divided by its square root; 0: by that of head_dim
  DType dtype = DType::kBF16;  // of the dense weights ("torch_dtype" / "dtype")
  std::vector<int64_t> bos_ids, eos_ids;
  std::optional<QuantizationConfig> quantization;
  std::optional<Allocation> allocation;  // of a dense model only
  // What quantization_config says, in whichever form, until Checkpoint::Open has made quantization of it.
  std::optional<ForeignConfig> foreign;

  int64_t QueryWidth() const { return num_heads * head_dim; }
  int64_t KeyWidth() const { return num_kv_heads * head_dim; }
  double QueryScalar() const { return query_scalar > 0 ? query_scalar : static_cast<double>(head_dim); }

  // What the file says that its user should know: fields passed over, which of two that disagree was taken.
  std::vector<std::string> notes;

  // The file this was read from; ToJson keeps every key of it that ECLD does not set itself.
  Json source = Json::object();
};

// THROWS Error with file and key path.
ModelConfig ReadConfig(const std::filesystem::path& config_json);
ModelConfig ParseConfig(const Json& json, const std::string& where);

// Standard config.json: source with the fields that passes may change written over it (sizes, numbers of heads, layer
// count with its per-layer lists, tie_word_embeddings, dtype, quantization_config). Parse(ToJson(c)) equals c.
Json ToJson(const ModelConfig& config);

}  // namespace ecld
