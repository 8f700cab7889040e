#include "model/block_kernels.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "core/dtype.h"
#include "kernels/elementwise/elementwise.h"

namespace ecld {
namespace {

int64_t RowsOf(const at::Tensor& tensor) { return tensor.numel() / tensor.size(-1); }

at::Tensor EmptyLike(const at::Tensor& tensor, int64_t width) {
  std::vector<int64_t> shape = tensor.sizes().vec();
  shape.back() = width;
  return at::empty(shape, at::kFloat);
}

void RequireNoGradient(const at::Tensor& tensor) {
  if (at::GradMode::is_enabled() && tensor.requires_grad())
    throw std::logic_error("a gradient was asked of the kernels of a block; train by TorchOps");
}

WeightView DenseView(DType dtype, const void* data, int64_t out_features, int64_t in_features) {
  return {.out_features = out_features,
          .in_features = in_features,
          .dtype = dtype,
          .data = static_cast<const std::byte*>(data)};
}

}  // namespace

TorchOnOneThread::TorchOnOneThread() : threads_(at::get_num_threads()) { at::set_num_threads(1); }
TorchOnOneThread::~TorchOnOneThread() { at::set_num_threads(threads_); }

at::Tensor BlockKernels::RoomFor(int64_t windows, int64_t tokens, int64_t features) {
  const int64_t count = windows * tokens * features;
  if (!room_.defined() || room_.numel() < count) {
    room_.reset();
    room_ = at::empty({count}, exact_ ? at::kFloat : at::kBFloat16);
  }
  return room_.narrow(0, 0, count).view({windows, tokens, features});
}

void BlockKernels::Keep(const at::Tensor& inputs, int64_t first, at::Tensor& room) {
  Store(inputs.contiguous(), room.narrow(0, first, inputs.size(0)).data_ptr());
}

at::Tensor BlockKernels::Floats(const at::Tensor& kept) const {
  if (exact_) return kept;
  at::Tensor floats = EmptyLike(kept, kept.size(-1));
  const auto* const from = static_cast<const std::byte*>(kept.data_ptr());
  float* const to = floats.data_ptr<float>();
  pool_.ParallelFor(kept.numel(), kMinElements, [&](int64_t begin, int64_t end) {
    ToFloat(DType::kBF16, from + begin * 2, static_cast<size_t>(end - begin), to + begin);
  });
  return floats;
}

void BlockKernels::Store(const at::Tensor& floats, void* to) const {
  const DType dtype = exact_ ? DType::kF32 : DType::kBF16;
  const float* from = floats.data_ptr<float>();
  auto* const bytes = static_cast<std::byte*>(to);
  const auto size = static_cast<int64_t>(SizeOf(dtype));
  pool_.ParallelFor(floats.numel(), kMinElements, [&](int64_t begin, int64_t end) {
    FromFloat(dtype, from + begin, static_cast<size_t>(end - begin), bytes + begin * size);
  });
}

WeightView BlockKernels::View(const at::Tensor& matrix, std::vector<uint16_t>& room) const {
  const float* values = matrix.data_ptr<float>();
  if (exact_) return DenseView(DType::kF32, values, matrix.size(0), matrix.size(1));
  room.resize(std::max(room.size(), static_cast<size_t>(matrix.numel())));
  Store(matrix, room.data());
  return DenseView(DType::kBF16, room.data(), matrix.size(0), matrix.size(1));
}

std::vector<at::Tensor> BlockKernels::Linears(const at::Tensor& inputs, const std::vector<Weight>& weights) const {
  for (const Weight& weight : weights) RequireNoGradient(weight.matrix);
  RequireNoGradient(inputs);
  const at::Tensor x = inputs.contiguous();
  const int64_t rows = RowsOf(x);
  if (rounded_.size() < weights.size()) rounded_.resize(weights.size());
  std::vector<at::Tensor> results;
  std::vector<GemmArgs> products;
  for (const Weight& weight : weights) {
    const int64_t width = weight.matrix.size(0);
    at::Tensor& y = results.emplace_back(EmptyLike(x, width));
    products.push_back({.weight = View(weight.matrix, rounded_[products.size()]),
                        .x = x.data_ptr<float>(),
                        .m = rows,
                        .y = y.data_ptr<float>(),
                        .exact = exact_});
  }
  Gemm(products, pool_, gemm_scratch_);
  for (size_t i = 0; const Weight& weight : weights) {
    float* y = results[i++].data_ptr<float>();
    if (!weight.bias) continue;
    const int64_t width = weight.matrix.size(0);
    pool_.ParallelFor(rows, MinRows(width), [&, bias = weight.bias->data_ptr<float>()](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) Elementwise().add(bias, width, y + row * width);
    });
  }
  return results;
}

void BlockKernels::ProductInto(const at::Tensor& inputs, const at::Tensor& matrix, const at::Tensor& out) {
  RequireNoGradient(matrix);
  RequireNoGradient(inputs);
  const at::Tensor x = inputs.contiguous();
  if (rounded_.empty()) rounded_.emplace_back();
  const GemmArgs product{.weight = View(matrix, rounded_[0]),
                         .x = x.data_ptr<float>(),
                         .m = RowsOf(x),
                         .y = out.data_ptr<float>(),
                         .exact = exact_};
  Gemm(std::span(&product, 1), pool_, gemm_scratch_);
}

at::Tensor BlockKernels::Norm(const at::Tensor& inputs, const at::Tensor& weight, double epsilon) const {
  RequireNoGradient(inputs);
  RequireNoGradient(weight);
  const at::Tensor x = inputs.contiguous();
  const int64_t width = x.size(-1);
  at::Tensor y = EmptyLike(x, width);
  const float *from = x.data_ptr<float>(), *factors = weight.data_ptr<float>();
  float* to = y.data_ptr<float>();
  const auto eps = static_cast<float>(epsilon);
  pool_.ParallelFor(RowsOf(x), MinRows(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      Elementwise().rms_norm(from + row * width, factors, width, eps, to + row * width);
  });
  return y;
}

const RotaryTables& BlockKernels::TablesOf(const ModelConfig& config, int64_t layer, int64_t tokens) const {
  const int64_t kind = RopeKind(config, layer);
  Rope rope = MakeRope(config, tokens, kind);
  turned_.resize(std::max(turned_.size(), static_cast<size_t>(kind) + 1));
  auto& [known, tables] = turned_[static_cast<size_t>(kind)];
  if (!tables.cosine.defined() || tables.cosine.size(0) != tokens || known.frequencies != rope.frequencies ||
      known.attention_factor != rope.attention_factor) {
    tables = MakeRotaryTables(rope, tokens);
    tables = {tables.cosine.contiguous(), tables.sine.contiguous()};
    known = std::move(rope);
  }
  return tables;
}

// states: [windows, tokens, heads, head_dim]
void BlockKernels::Rotate(const RotaryTables& tables, const at::Tensor& states) const {
  const int64_t tokens = states.size(1), heads = states.size(2), head_dim = states.size(3), width = heads * head_dim;
  const float *cosine = tables.cosine.data_ptr<float>(), *sine = tables.sine.data_ptr<float>();
  float* rows = states.data_ptr<float>();
  pool_.ParallelFor(states.size(0) * tokens, MinRows(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t place = row % tokens * head_dim;
      Elementwise().rotate(rows + row * width, cosine + place, sine + place, heads, head_dim);
    }
  });
}

at::Tensor BlockKernels::Attend(const ModelConfig& config, int64_t layer, const at::Tensor& query,
                                const at::Tensor& key, const at::Tensor& value) const {
  const int64_t windows = query.size(0), tokens = query.size(1), heads = query.size(2), head_dim = query.size(3);
  const int64_t kv_heads = key.size(2), width = heads * head_dim, key_width = kv_heads * head_dim;
  const RotaryTables& tables = TablesOf(config, layer, tokens);
  Rotate(tables, query);
  Rotate(tables, key);
  const KvShape shape = {.type = KvType::kF32, .num_kv_heads = kv_heads, .head_dim = head_dim};
  const int64_t capacity = WholeKeyBlocks(tokens);
  const int64_t window_B = (shape.Bytes(capacity) + 63) / 64 * 64;
  if (!keys_values_.defined() || keys_values_.numel() < windows * window_B)
    keys_values_ = at::zeros({windows * window_B}, at::kByte);
  at::Tensor out = at::empty({windows, tokens, width}, at::kFloat);
  std::vector<AttentionPiece> pieces;
  for (int64_t i = 0; i < windows; ++i)
    pieces.push_back({.query = query.data_ptr<float>() + i * tokens * width,
                      .kv = {.shape = shape,
                             .capacity = capacity,
                             .data = reinterpret_cast<std::byte*>(keys_values_.data_ptr<uint8_t>()) + i * window_B},
                      .rows = tokens,
                      .out = out.data_ptr<float>() + i * tokens * width});
  float *keys = key.data_ptr<float>(), *values = value.data_ptr<float>();
  pool_.ParallelFor(windows * tokens, MinRows(key_width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      AppendKv(pieces[static_cast<size_t>(row / tokens)].kv, row % tokens, keys + row * key_width,
               values + row * key_width);
  });
  Attention({.pieces = pieces,
             .num_heads = heads,
             .window = config.sliding_window[static_cast<size_t>(layer)],
             .scale = 1.0f / std::sqrt(static_cast<float>(config.QueryScalar()))},
            pool_, attention_scratch_);
  return out;
}

at::Tensor BlockKernels::Gate(Activation activation, const at::Tensor& gate, const at::Tensor& up) const {
  const auto gated = activation == Activation::kGelu ? Elementwise().geglu : Elementwise().swiglu;
  at::Tensor y = EmptyLike(gate, gate.size(-1));
  const float *gates = gate.data_ptr<float>(), *ups = up.data_ptr<float>();
  pool_.ParallelFor(y.numel(), kMinElements, [&, to = y.data_ptr<float>()](int64_t begin, int64_t end) {
    gated(gates + begin, ups + begin, end - begin, to + begin);
  });
  return y;
}

at::Tensor BlockKernels::Sum(const at::Tensor& states, const at::Tensor& more) const {
  const at::Tensor x = states.contiguous();
  at::Tensor y = EmptyLike(x, x.size(-1));
  const float *from = x.data_ptr<float>(), *add = more.data_ptr<float>();
  pool_.ParallelFor(y.numel(), kMinElements, [&, to = y.data_ptr<float>()](int64_t begin, int64_t end) {
    std::copy(from + begin, from + end, to + begin);
    Elementwise().add(add + begin, end - begin, to + begin);
  });
  return y;
}

void BlockKernels::AddGram(const at::Tensor& inputs, at::Tensor& gram) {
  const at::Tensor x = inputs.contiguous();
  Gram({.x = x.data_ptr<float>(),
        .tokens = RowsOf(x),
        .features = x.size(-1),
        .sums = gram.data_ptr<float>(),
        .exact = exact_},
       pool_, gram_scratch_);
}

}  // namespace ecld
