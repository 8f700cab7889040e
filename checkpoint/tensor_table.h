#pragma once
// The one table that says for each architecture which tensors exist, with shapes and roles. Loading, writing,
// verifying, planning and every pass walk this table; nothing else knows a tensor name.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/config.h"

namespace ecld {

enum class Role {
  kEmbedding,
  kFinalNorm,
  kHead,  // layer -1
  kInputNorm,
  kMlpNorm,  // in front of attention and of the feed-forward layer
  kAttentionOutNorm,
  kMlpOutNorm,  // behind them
  kQuery,
  kKey,
  kValue,
  kOutput,
  kQueryNorm,
  kKeyNorm,  // attention
  kGate,
  kUp,
  kDown,  // feed-forward
};
inline constexpr size_t kRoles = static_cast<size_t>(Role::kDown) + 1;

struct TensorSpec {
  std::string module;          // "model.layers.0.mlp.down_proj"
  std::string name;            // module + ".weight" or ".bias"
  std::vector<int64_t> shape;  // [out_features, in_features] or [size]
  Role role;
  int64_t layer = -1;  // -1: not part of a block
  bool bias = false;
  std::optional<PackedFormat> format;  // set when config.quantization packs this matrix
  float stored_less = 0;               // norms: values are stored less this; reading adds it, writing takes it away

  bool matrix() const { return shape.size() == 2; }
  int64_t Elements() const;
};

// Every parameter of the model in file order: embedding, blocks 0.., final norm, head. A tied head has no row.
std::vector<TensorSpec> TensorTable(const ModelConfig& config);

// The row of one parameter. THROWS std::logic_error when the table has none (our mistake, not the user's).
const TensorSpec& Find(const std::vector<TensorSpec>& table, Role role, int64_t layer = -1, bool bias = false);
// The same, or null when the table has none.
const TensorSpec* FindIn(const std::vector<TensorSpec>& table, Role role, int64_t layer = -1, bool bias = false);

// A tensor as it stands in a safetensors file.
struct StoredTensor {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  uint64_t Bytes() const;
};

// The stored tensors of one parameter: itself in config.dtype when dense; when packed, <module>.weight_packed,
// .weight_scale, .weight_zero_point (asymmetric) and .weight_shape, as compressed-tensors names them.
std::vector<StoredTensor> StoredForm(const TensorSpec& spec, const ModelConfig& config);

// All of them: what a complete checkpoint of this config consists of, in file order.
std::vector<StoredTensor> StoredTensors(const ModelConfig& config);

uint64_t ParameterCount(const ModelConfig& config);   // a tied matrix counts once
uint64_t WeightFileBytes(const ModelConfig& config);  // sum over StoredTensors, headers not counted

}  // namespace ecld
