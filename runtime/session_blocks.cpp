// A decoder block over the rows of a chunk. Between the matrix products each thread takes rows through several small
// steps at once, and a few rows (decoding) stay on the calling thread: to wake others costs more than the work.

#include <cmath>

#include "kernels/elementwise/elementwise.h"
#include "runtime/session.h"

namespace ecld {
namespace {

float* Room(std::vector<float>& activations, int64_t count) {
  if (activations.size() < static_cast<size_t>(count)) activations.resize(static_cast<size_t>(count));
  return activations.data();
}

}  // namespace

void Session::RunBlock(size_t layer, const Chunk& chunk) {
  const RuntimeBlock& block = model_.blocks()[layer];
  const int64_t rows = chunk.rows;
  const bool cut = channel_ != nullptr && static_cast<int64_t>(layer) == cut_;
  if (cut) Send(chunk, layer > 0);
  AddAndNorm(chunk, layer > 0 && !cut, block.Norm(Role::kInputNorm));
  // What attention looks at, and the logits, feel the rounding of their inputs most, and are a small part of the work.
  Multiply({{block[Role::kQuery], query_, true}, {block[Role::kKey], key_, true}, {block[Role::kValue], value_, true}},
           normed_.data(), rows);
  RotateAndStore(layer, rows);
  Attend(layer, chunk);
  Multiply({{block[Role::kOutput], projected_}}, attended_.data(), rows);
  NormProjected(block.Norm(Role::kAttentionOutNorm), rows);

  AddAndNorm(chunk, true, block.Norm(Role::kMlpNorm));
  Multiply({{block[Role::kGate], gate_}, {block[Role::kUp], up_}}, normed_.data(), rows);
  const auto gated = Elementwise().*GateKernel(model_.config().activation);
  pool_.ParallelFor(rows * block[Role::kGate].weight.out_features, kMinElements, [&](int64_t begin, int64_t end) {
    gated(gate_.data() + begin, up_.data() + begin, end - begin, gate_.data() + begin);
  });
  Multiply({{block[Role::kDown], projected_}}, gate_.data(), rows);
  NormProjected(block.Norm(Role::kMlpOutNorm), rows);
  if (layer + 1 == model_.blocks().size())
    Elementwise().add(projected_.data(), rows * model_.config().hidden_size, chunk.hidden);
}

void Session::Send(const Chunk& chunk, bool add) {
  const int64_t width = model_.config().hidden_size, count = chunk.rows * width;
  if (add) Elementwise().add(projected_.data(), count, chunk.hidden);
  channel_->Pass({chunk.hidden, static_cast<size_t>(count)}, width);
}

// The output of the product before is added to the hidden states where there is one.
void Session::AddAndNorm(const Chunk& chunk, bool add, const std::vector<float>& weight) {
  const int64_t width = model_.config().hidden_size;
  const auto eps = static_cast<float>(model_.config().rms_norm_eps);
  float* normed = Room(normed_, chunk.rows * width);
  pool_.ParallelFor(chunk.rows, MinRows(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* hidden = chunk.hidden + row * width;
      if (add) Elementwise().add(projected_.data() + row * width, width, hidden);
      Elementwise().rms_norm(hidden, weight.data(), width, eps, normed + row * width);
    }
  });
}

// The norm behind the product, where there is one.
void Session::NormProjected(const std::vector<float>& weight, int64_t rows) {
  if (weight.empty()) return;
  const auto width = static_cast<int64_t>(weight.size());
  const auto eps = static_cast<float>(model_.config().rms_norm_eps);
  pool_.ParallelFor(rows, MinRows(width), [&](int64_t begin, int64_t end) {
    for (float* row = projected_.data() + begin * width; row != projected_.data() + end * width; row += width)
      Elementwise().rms_norm(row, weight.data(), width, eps, row);
  });
}

void Session::Multiply(std::initializer_list<Product> products, const float* x, int64_t rows) {
  products_.clear();
  for (const auto& [linear, y, fine] : products)
    products_.push_back({.weight = linear.weight,
                         .x = x,
                         .m = rows,
                         .y = Room(y, rows * linear.weight.out_features),
                         .exact = exact_,
                         .fine = fine});
  Gemm(products_, pool_, gemm_scratch_, gemm_);
  for (const auto& [linear, y, fine] : products) {
    if (linear.bias.empty()) continue;
    const int64_t width = linear.weight.out_features;
    pool_.ParallelFor(rows, MinRows(width), [&, &bias = linear.bias, &to = y](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) Elementwise().add(bias.data(), width, to.data() + row * width);
    });
  }
}

// Norms of heads where the architecture has them, rotation, and the new keys and values into the caches.
void Session::RotateAndStore(size_t layer, int64_t rows) {
  const ModelConfig& config = model_.config();
  const std::vector<float>& query_norm = model_.blocks()[layer].Norm(Role::kQueryNorm);
  const std::vector<float>& key_norm = model_.blocks()[layer].Norm(Role::kKeyNorm);
  const Rotation& rotation = rotations_[static_cast<size_t>(RopeKind(config, static_cast<int64_t>(layer)))];
  const ElementwiseKernels& kernels = Elementwise();
  const int64_t head_dim = config.head_dim, half = head_dim / 2;
  const int64_t query_width = model_.blocks()[layer][Role::kQuery].weight.out_features;
  const int64_t key_width = model_.blocks()[layer][Role::kKey].weight.out_features;
  const int64_t query_heads = query_width / head_dim, key_heads = key_width / head_dim;
  const auto eps = static_cast<float>(config.rms_norm_eps);
  const auto norm_heads = [&](const std::vector<float>& weight, int64_t heads, float* x) {
    for (int64_t head = 0; head < heads; ++head)
      kernels.rms_norm(x + head * head_dim, weight.data(), head_dim, eps, x + head * head_dim);
  };
  pool_.ParallelFor(rows, MinRows(query_width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float *query = query_.data() + row * query_width, *key = key_.data() + row * key_width;
      if (!query_norm.empty()) {
        norm_heads(query_norm, query_heads, query);
        norm_heads(key_norm, key_heads, key);
      }
      const float *cosine = rotation.cosine.data() + row * half, *sine = rotation.sine.data() + row * half;
      kernels.rotate(query, cosine, sine, query_heads, head_dim);
      kernels.rotate(key, cosine, sine, key_heads, head_dim);
      const RowPlace& place = places_[static_cast<size_t>(row)];
      AppendKv(place.cache->View(layer), place.position, key, value_.data() + row * key_width);
    }
  });
}

void Session::Attend(size_t layer, const Chunk& chunk) {
  const ModelConfig& config = model_.config();
  const int64_t width = model_.blocks()[layer][Role::kQuery].weight.out_features;
  float* out = Room(attended_, chunk.rows * width);
  attention_pieces_.clear();
  int64_t row = 0;
  for (const Piece& piece : chunk.pieces) {
    const auto count = static_cast<int64_t>(piece.tokens.size());
    if (count == 0) continue;
    attention_pieces_.push_back({.query = query_.data() + row * width,
                                 .kv = piece.cache->View(layer),
                                 .rows = count,
                                 .first_position = piece.cache->length(),
                                 .out = out + row * width});
    row += count;
  }
  Attention({.pieces = attention_pieces_,
             .num_heads = width / config.head_dim,
             .window = config.sliding_window[layer],
             .scale = 1.0f / std::sqrt(static_cast<float>(config.QueryScalar()))},
            pool_, attention_scratch_);
}

}  // namespace ecld
