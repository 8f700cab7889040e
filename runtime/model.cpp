#include "runtime/model.h"

#include <utility>

#include "kernels/packing/interleaved.h"

namespace ecld {
namespace {

// Reads parameters of one layer by role.
class LayerReader {
 public:
  LayerReader(const Checkpoint& checkpoint, int64_t layer) : checkpoint_(checkpoint), layer_(layer) {}

  std::vector<float> Vector(Role role, bool bias = false) const {
    return checkpoint_.ReadFloats(Find(checkpoint_.table(), role, layer_, bias));
  }
  Linear Matrix(Role role, bool with_bias) const {
    Linear linear{.weight = checkpoint_.Weight(Find(checkpoint_.table(), role, layer_))};
    if (with_bias) linear.bias = Vector(role, true);
    return linear;
  }

 private:
  const Checkpoint& checkpoint_;
  int64_t layer_;
};

RuntimeBlock ReadBlock(const Checkpoint& checkpoint, int64_t layer) {
  const ModelConfig& config = checkpoint.config();
  const LayerReader reader(checkpoint, layer);
  RuntimeBlock block;
  block.input_norm = reader.Vector(Role::kInputNorm);
  block.post_norm = reader.Vector(Role::kPostNorm);
  block.query = reader.Matrix(Role::kQuery, config.qkv_bias);
  block.key = reader.Matrix(Role::kKey, config.qkv_bias);
  block.value = reader.Matrix(Role::kValue, config.qkv_bias);
  block.output = reader.Matrix(Role::kOutput, config.o_bias);
  if (config.qk_norm) {
    block.query_norm = reader.Vector(Role::kQueryNorm);
    block.key_norm = reader.Vector(Role::kKeyNorm);
  }
  block.gate = reader.Matrix(Role::kGate, config.mlp_bias);
  block.up = reader.Matrix(Role::kUp, config.mlp_bias);
  block.down = reader.Matrix(Role::kDown, config.mlp_bias);
  return block;
}

}  // namespace

RuntimeModel::RuntimeModel(Checkpoint checkpoint, const RuntimeOptions& options)
    : checkpoint_(std::move(checkpoint)), options_(options) {
  embedding_ = checkpoint_.Weight(Find(checkpoint_.table(), Role::kEmbedding));
  head_ = checkpoint_.Head();
  final_norm_ = checkpoint_.ReadFloats(Find(checkpoint_.table(), Role::kFinalNorm));
  for (int64_t layer = 0; layer < config().num_layers; ++layer) blocks_.push_back(ReadBlock(checkpoint_, layer));
  if (options_.precision == Precision::kFast) LayOut();
}

void RuntimeModel::LayOut() {
  std::vector<WeightView*> matrices;
  const auto add = [&](WeightView& weight) {
    if (weight.packed() && CanInterleave(weight.format)) matrices.push_back(&weight);
  };
  for (RuntimeBlock& block : blocks_)
    for (Linear* linear : {&block.query, &block.key, &block.value, &block.output, &block.gate, &block.up, &block.down})
      add(linear->weight);
  add(head_);
  if (matrices.empty()) return;
  std::vector<WeightView> rows;
  for (const WeightView* matrix : matrices) rows.push_back(*matrix);
  tiles_.emplace(checkpoint_, rows, options_.threads);
  for (size_t i = 0; i < matrices.size(); ++i) *matrices[i] = tiles_->views()[i];
  // An embedding of its own is only looked up: its few rows are read where they are.
  if (config().tie_embeddings) embedding_ = head_;
}

}  // namespace ecld
