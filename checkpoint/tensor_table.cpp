#include "checkpoint/tensor_table.h"

#include <fmt/format.h>

#include <stdexcept>

#include "checkpoint/layer_sizes.h"

namespace ecld {
namespace {

class TableBuilder {
 public:
  explicit TableBuilder(const ModelConfig& config) : config_(config) {}

  void Matrix(std::string module, Role role, int64_t layer, int64_t out, int64_t in, bool bias) {
    TensorSpec spec{module, module + ".weight", {out, in}, role, layer};
    if (config_.quantization)
      spec.format = config_.quantization->FormatOf(module, role == Role::kEmbedding ? "Embedding" : "Linear");
    table.push_back(std::move(spec));
    if (bias) table.push_back({module, module + ".bias", {out}, role, layer, true});
  }
  void Norm(std::string module, Role role, int64_t layer, int64_t size) {
    TensorSpec spec{module, module + ".weight", {size}, role, layer};
    if (config_.norms_add_one) spec.stored_less = 1;
    table.push_back(std::move(spec));
  }

  std::vector<TensorSpec> table;

 private:
  const ModelConfig& config_;
};

void AddBlock(TableBuilder& builder, const ModelConfig& c, int64_t layer, const LayerSizes& sizes) {
  const std::string block = fmt::format("model.layers.{}.", layer);
  const std::string attention = block + "self_attn.", mlp = block + "mlp.";
  const int64_t query = sizes.num_heads * c.head_dim, key = sizes.num_kv_heads * c.head_dim;
  builder.Norm(block + "input_layernorm", Role::kInputNorm, layer, c.hidden_size);
  builder.Matrix(attention + "q_proj", Role::kQuery, layer, query, c.hidden_size, c.qkv_bias);
  builder.Matrix(attention + "k_proj", Role::kKey, layer, key, c.hidden_size, c.qkv_bias);
  builder.Matrix(attention + "v_proj", Role::kValue, layer, key, c.hidden_size, c.qkv_bias);
  builder.Matrix(attention + "o_proj", Role::kOutput, layer, c.hidden_size, query, c.o_bias);
  if (c.qk_norm) {
    builder.Norm(attention + "q_norm", Role::kQueryNorm, layer, c.head_dim);
    builder.Norm(attention + "k_norm", Role::kKeyNorm, layer, c.head_dim);
  }
  if (c.output_norms) {
    builder.Norm(block + "post_attention_layernorm", Role::kAttentionOutNorm, layer, c.hidden_size);
    builder.Norm(block + "pre_feedforward_layernorm", Role::kMlpNorm, layer, c.hidden_size);
    builder.Norm(block + "post_feedforward_layernorm", Role::kMlpOutNorm, layer, c.hidden_size);
  } else {
    builder.Norm(block + "post_attention_layernorm", Role::kMlpNorm, layer, c.hidden_size);
  }
  builder.Matrix(mlp + "gate_proj", Role::kGate, layer, sizes.intermediate_size, c.hidden_size, c.mlp_bias);
  builder.Matrix(mlp + "up_proj", Role::kUp, layer, sizes.intermediate_size, c.hidden_size, c.mlp_bias);
  builder.Matrix(mlp + "down_proj", Role::kDown, layer, c.hidden_size, sizes.intermediate_size, c.mlp_bias);
}

}  // namespace

int64_t TensorSpec::Elements() const {
  int64_t elements = 1;
  for (int64_t size : shape) elements *= size;
  return elements;
}

std::vector<TensorSpec> TensorTable(const ModelConfig& config) {
  TableBuilder builder(config);
  builder.Matrix("model.embed_tokens", Role::kEmbedding, -1, config.vocab_size, config.hidden_size, false);
  const std::vector<LayerSizes> sizes = SizesOfLayers(config);
  for (int64_t layer = 0; layer < config.num_layers; ++layer)
    AddBlock(builder, config, layer, sizes[static_cast<size_t>(layer)]);
  builder.Norm("model.norm", Role::kFinalNorm, -1, config.hidden_size);
  if (!config.tie_embeddings) builder.Matrix("lm_head", Role::kHead, -1, config.vocab_size, config.hidden_size, false);
  return std::move(builder.table);
}

const TensorSpec* FindIn(const std::vector<TensorSpec>& table, Role role, int64_t layer, bool bias) {
  for (const auto& spec : table)
    if (spec.role == role && spec.layer == layer && spec.bias == bias) return &spec;
  return nullptr;
}

const TensorSpec& Find(const std::vector<TensorSpec>& table, Role role, int64_t layer, bool bias) {
  if (const TensorSpec* spec = FindIn(table, role, layer, bias)) return *spec;
  throw std::logic_error(fmt::format("no tensor of role {} in layer {}", static_cast<int>(role), layer));
}

uint64_t StoredTensor::Bytes() const {
  uint64_t bytes = SizeOf(dtype);
  for (int64_t size : shape) bytes *= static_cast<uint64_t>(size);
  return bytes;
}

std::vector<StoredTensor> StoredForm(const TensorSpec& spec, const ModelConfig& config) {
  if (!spec.format) return {{spec.name, config.dtype, spec.shape}};
  const int64_t out = spec.shape[0], in = spec.shape[1];
  const PackedFormat& format = *spec.format;
  std::vector<StoredTensor> parts = {
      {spec.module + ".weight_packed", DType::kI32, {out, format.CodeWords(in)}},
      {spec.module + ".weight_scale", config.dtype, {out, format.Groups(in)}},
  };
  if (!format.symmetric)
    parts.push_back({spec.module + ".weight_zero_point", DType::kI32, {format.ZeroWords(out), format.Groups(in)}});
  parts.push_back({spec.module + ".weight_shape", DType::kI64, {2}});
  return parts;
}

std::vector<StoredTensor> StoredTensors(const ModelConfig& config) {
  std::vector<StoredTensor> all;
  for (const auto& spec : TensorTable(config))
    for (auto& part : StoredForm(spec, config)) all.push_back(std::move(part));
  return all;
}

uint64_t ParameterCount(const ModelConfig& config) {
  uint64_t count = 0;
  for (const auto& spec : TensorTable(config)) count += static_cast<uint64_t>(spec.Elements());
  return count;
}

uint64_t WeightFileBytes(const ModelConfig& config) {
  uint64_t bytes = 0;
  for (const auto& tensor : StoredTensors(config)) bytes += tensor.Bytes();
  return bytes;
}

}  // namespace ecld
