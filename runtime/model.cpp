#include "runtime/model.h"

#include <utility>

#include "checkpoint/features.h"
#include "checkpoint/linear_groups.h"
#include "kernels/packing/interleaved.h"

namespace ecld {
namespace {

RuntimeBlock ReadBlock(const Checkpoint& checkpoint, int64_t layer) {
  RuntimeBlock block;
  for (const TensorSpec& spec : checkpoint.table()) {
    if (spec.layer != layer) continue;
    const auto role = static_cast<size_t>(spec.role);
    if (spec.matrix())
      block.linears[role].weight = checkpoint.Weight(spec);
    else
      (spec.bias ? block.linears[role].bias : block.norms[role]) = checkpoint.ReadFloats(spec);
  }
  return block;
}

// What a Session computes.
constexpr std::array kTaught = {
    Feature::kQueryKeyValueBias, Feature::kOutputBias,     Feature::kMlpBias,       Feature::kHeadNorms,
    Feature::kWindows,           Feature::kRopeLinear,     Feature::kRopeLlama3,    Feature::kRopeYarn,
    Feature::kRopeDynamic,       Feature::kRopeLongRope,   Feature::kRopeOfWindows, Feature::kGelu,
    Feature::kOutputNorms,       Feature::kEmbeddingScale, Feature::kQueryScalar,   Feature::kLayerSizes};

}  // namespace

RuntimeModel::RuntimeModel(Checkpoint checkpoint, const RuntimeOptions& options)
    : checkpoint_(std::move(checkpoint)), options_(options) {
  RequireTaught(config(), kTaught, checkpoint_.directory().string(), "the runtime");
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
    for (Role role : kBlockLinears) add(block[role].weight);
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
