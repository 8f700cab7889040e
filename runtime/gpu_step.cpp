// The list of launches from tokens to the next one.

#include <algorithm>
#include <cmath>

#include "runtime/gpu_decoder.h"

namespace ecld {

// rows 1: a step of decoding, up to the next token. More: a stretch of a prompt, up to what it leaves in the last
// cache.
std::vector<StepLaunch> GpuDecoder::Launches(int rows) {
  std::vector<StepLaunch> list = {Gather(rows)};
  const float *add = nullptr, *bias = nullptr;  // what the product before gave, not yet in the hidden states
  const auto inner = static_cast<int>(config().intermediate_size);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    list.push_back(Norm(layer.input_norm, add, bias, rows));
    AddProduct(layer.qkv, at_.normed, rows, at_.wide, &list);
    list.push_back(Rotate(layer, rows));
    if (rows > 1 && i + 1 == layers_.size()) return list;
    list.push_back(Attend(layer, static_cast<int64_t>(i), rows));
    AddProduct(layer.output, at_.attended, rows, at_.projected, &list);
    list.push_back(Norm(layer.mlp_norm, at_.projected, layer.output_bias, rows));
    AddProduct(layer.gate_up, at_.normed, rows, at_.wide, &list);
    list.push_back(cuda::GateStep{.y = at_.wide,
                                  .bias = layer.gate_up_bias,
                                  .rows = rows,
                                  .width = inner,
                                  .type = options_.type,
                                  .out = at_.gated,
                                  .out_stride = Padded(inner)});
    AddProduct(layer.down, at_.gated, rows, at_.projected, &list);
    add = at_.projected;
    bias = layer.down_bias;
  }
  list.push_back(Norm(final_norm_, add, bias, rows));
  AddProduct(head_, at_.normed, rows, logits_, &list);
  list.push_back(cuda::ArgmaxStep{.logits = logits_,
                                  .count = static_cast<int>(config().vocab_size),
                                  .best = best_,
                                  .best_ids = best_ids_,
                                  .counter = counters_ + options_.prompt_rows * config().num_heads,
                                  .token = tokens_,
                                  .position = position_});
  return list;
}

void GpuDecoder::AddProduct(const DeviceProduct& product, const uint16_t* x, int rows, float* y,
                            std::vector<StepLaunch>* to) {
  for (const DeviceMatrix& part : product.parts) {
    float* outputs = y + part.first_output;
    if (part.packed.codes != nullptr)
      to->push_back(CudaGemmArgs{.weight = part.packed,
                                 .type = options_.type,
                                 .x = x,
                                 .x_stride = Padded(part.in_features),
                                 .m = rows,
                                 .y = outputs,
                                 .y_stride = product.out_features,
                                 .wide_y = true,
                                 .workspace = workspace_});
    else
      to->push_back(cuda::DenseStep{.weight = part.dense,
                                    .weight_type = part.dense_type,
                                    .weight_stride = part.dense_stride,
                                    .x = x,
                                    .type = options_.type,
                                    .x_stride = Padded(part.in_features),
                                    .rows = rows,
                                    .out_features = static_cast<int>(part.out_features),
                                    .in_features = static_cast<int>(part.in_features),
                                    .y = outputs,
                                    .y_stride = product.out_features});
  }
}

cuda::GatherStep GpuDecoder::Gather(int rows) const {
  const DeviceMatrix& table = embedding_.parts.front();
  cuda::GatherStep step{
      .tokens = tokens_, .rows = rows, .width = static_cast<int>(config().hidden_size), .hidden = at_.hidden};
  if (table.packed.codes != nullptr) {
    step.packed = cuda::MakeProduct({.weight = table.packed, .workspace = workspace_}, 0, 0);
    step.bits = table.packed.format.bits;
  } else {
    step.table = table.dense;
    step.table_type = table.dense_type;
    step.table_stride = table.dense_stride;
  }
  return step;
}

cuda::NormStep GpuDecoder::Norm(const float* weight, const float* add, const float* bias, int rows) const {
  return {.hidden = at_.hidden,
          .add = add,
          .bias = bias,
          .weight = weight,
          .eps = static_cast<float>(config().rms_norm_eps),
          .rows = rows,
          .width = static_cast<int>(config().hidden_size),
          .type = options_.type,
          .out = at_.normed,
          .out_stride = Padded(config().hidden_size)};
}

cuda::RotateStep GpuDecoder::Rotate(const Layer& layer, int rows) const {
  return {.y = at_.wide,
          .bias = layer.qkv_bias,
          .query_norm = layer.query_norm,
          .key_norm = layer.key_norm,
          .eps = static_cast<float>(config().rms_norm_eps),
          .cosine = cosine_,
          .sine = sine_,
          .position = position_,
          .rows = rows,
          .num_heads = static_cast<int>(config().num_heads),
          .kv = cuda::KvMemoryOf(layer.kv),
          .query = at_.query};
}

cuda::AttendStep GpuDecoder::Attend(const Layer& layer, int64_t index, int rows) const {
  const auto window = config().sliding_window[static_cast<size_t>(index)];
  return {.query = at_.query,
          .kv = cuda::KvMemoryOf(layer.kv),
          .position = position_,
          .rows = rows,
          .num_heads = static_cast<int>(config().num_heads),
          .window = static_cast<int>(window),
          .splits = cuda::AttendSplits(static_cast<int>(config().num_kv_heads), rows, capacity_),
          .scale = 1.0f / std::sqrt(static_cast<float>(config().head_dim)),
          .parts = parts_,
          .counters = counters_,
          .type = options_.type,
          .out = at_.attended,
          .out_stride = Padded(config().QueryWidth())};
}

}  // namespace ecld
