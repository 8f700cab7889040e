#include "runtime/session.h"

#include <cassert>
#include <cmath>
#include <set>
#include <utility>

#include "core/error.h"
#include "kernels/activation/swiglu.h"
#include "kernels/attention/attention.h"
#include "kernels/gemm/implementations.h"
#include "kernels/norm/norm.h"
#include "kernels/rope/rope.h"

namespace ecld {
namespace {

int64_t CountRows(std::span<const Piece> pieces) {
  int64_t rows = 0;
  for (const Piece& piece : pieces) rows += static_cast<int64_t>(piece.tokens.size());
  return rows;
}

void Add(const std::vector<float>& x, std::vector<float>* sum) {
  for (size_t i = 0; i < sum->size(); ++i) (*sum)[i] += x[i];
}

}  // namespace

uint64_t KvCache::Bytes() const {
  uint64_t bytes = 0;
  for (const Layer& layer : layers_) bytes += (layer.keys.capacity() + layer.values.capacity()) * sizeof(float);
  return bytes;
}

Session::Session(const RuntimeModel& model, ThreadPool& pool, std::string gemm)
    : model_(model), pool_(pool), gemm_(std::move(gemm)), exact_(model.options().precision == Precision::kExact) {}

std::string Session::Kernels() const {
  std::set<std::string> names;
  const auto add = [&](const WeightView& weight) {
    // Some implementations are for one row, some for many.
    for (int64_t rows : {1, 512}) {
      const GemmArgs args{.weight = weight, .m = rows, .exact = exact_};
      for (const GemmImplementation& candidate : GemmImplementations())
        if (gemm_.empty() ? candidate.supports(args) : gemm_ == candidate.name) {
          names.insert(candidate.name);
          break;
        }
    }
  };
  for (const RuntimeBlock& block : model_.blocks())
    for (const Linear* linear :
         {&block.query, &block.key, &block.value, &block.output, &block.gate, &block.up, &block.down})
      add(linear->weight);
  add(model_.head());
  std::string line;
  for (const std::string& name : names) line += (line.empty() ? "" : ", ") + name;
  return line;
}

void Session::Begin(int64_t layer) const {
  if (observer_) observer_->Begin(layer);
}

void Session::End(int64_t layer) const {
  if (observer_) observer_->End(layer);
}

void Session::CheckPieces(std::span<const Piece> pieces) const {
  const ModelConfig& config = model_.config();
  const std::string where = model_.checkpoint().directory().string();
  if (CountRows(pieces) == 0) Fail(where, "no tokens to run: the text is empty");
  for (const Piece& piece : pieces) {
    assert(piece.cache && piece.cache->layers_.size() == model_.blocks().size());
    const int64_t start = piece.cache->length_;
    const auto count = static_cast<int64_t>(piece.tokens.size());
    for (int64_t i = 0; i < count; ++i) {
      const int32_t token = piece.tokens[static_cast<size_t>(i)];
      if (token < 0 || token >= config.vocab_size)
        Fail(where, "token id {} at position {} is outside the vocabulary of {}", token, start + i, config.vocab_size);
    }
    if (start + count > config.max_position)
      Fail(where, "a text of {} tokens is longer than the {} positions of this model", start + count,
           config.max_position);
  }
}

std::span<const float> Session::Forward(std::span<const Piece> pieces) {
  CheckPieces(pieces);
  Embed(pieces);
  RotationTable(pieces);
  const int64_t rows = CountRows(pieces);
  for (size_t layer = 0; layer < model_.blocks().size(); ++layer) {
    Begin(static_cast<int64_t>(layer));
    Attend(layer, pieces, rows);
    FeedForward(model_.blocks()[layer], rows);
    End(static_cast<int64_t>(layer));
  }
  for (const Piece& piece : pieces) piece.cache->length_ += static_cast<int64_t>(piece.tokens.size());
  return hidden_;
}

void Session::Embed(std::span<const Piece> pieces) {
  Begin(LayerObserver::kEmbedding);
  const int64_t width = model_.config().hidden_size;
  hidden_.resize(static_cast<size_t>(CountRows(pieces) * width));
  float* row = hidden_.data();
  for (const Piece& piece : pieces)
    for (int32_t token : piece.tokens) {
      ReadRow(model_.embedding(), token, row);
      row += width;
    }
  End(LayerObserver::kEmbedding);
}

void Session::RotationTable(std::span<const Piece> pieces) {
  cosine_.clear();
  sine_.clear();
  for (const Piece& piece : pieces)
    for (size_t i = 0; i < piece.tokens.size(); ++i) {
      const auto position = static_cast<float>(piece.cache->length_ + static_cast<int64_t>(i));
      for (float frequency : model_.rope_frequencies()) {
        cosine_.push_back(std::cos(position * frequency));
        sine_.push_back(std::sin(position * frequency));
      }
    }
}

void Session::Norm(const std::vector<float>& weight, const std::vector<float>& x, int64_t rows, std::vector<float>* y) {
  y->resize(x.size());
  RmsNorm({.x = x.data(),
           .weight = weight.data(),
           .rows = rows,
           .width = static_cast<int64_t>(weight.size()),
           .eps = static_cast<float>(model_.config().rms_norm_eps),
           .y = y->data()},
          pool_);
}

void Session::Multiply(const Linear& linear, const std::vector<float>& x, int64_t rows, std::vector<float>* y) {
  const auto width = static_cast<size_t>(linear.weight.out_features);
  y->resize(static_cast<size_t>(rows) * width);
  Gemm({.weight = linear.weight, .x = x.data(), .m = rows, .y = y->data(), .exact = exact_}, pool_, gemm_);
  if (linear.bias.empty()) return;
  for (float* row = y->data(); row != y->data() + y->size(); row += width)
    for (size_t i = 0; i < width; ++i) row[i] += linear.bias[i];
}

void Session::Attend(size_t layer, std::span<const Piece> pieces, int64_t rows) {
  const ModelConfig& config = model_.config();
  const RuntimeBlock& block = model_.blocks()[layer];
  Norm(block.input_norm, hidden_, rows, &normed_);
  Multiply(block.query, normed_, rows, &query_);
  Multiply(block.key, normed_, rows, &key_);
  Multiply(block.value, normed_, rows, &value_);
  if (!block.query_norm.empty()) {
    Norm(block.query_norm, query_, rows * config.num_heads, &query_);
    Norm(block.key_norm, key_, rows * config.num_kv_heads, &key_);
  }
  RopeArgs rope{.x = query_.data(),
                .cosine = cosine_.data(),
                .sine = sine_.data(),
                .rows = rows,
                .heads = config.num_heads,
                .head_dim = config.head_dim};
  Rope(rope, pool_);
  rope.x = key_.data();
  rope.heads = config.num_kv_heads;
  Rope(rope, pool_);

  attended_.resize(query_.size());
  int64_t row = 0;
  for (const Piece& piece : pieces) {
    AttendPiece(layer, piece, row);
    row += static_cast<int64_t>(piece.tokens.size());
  }
  Multiply(block.output, attended_, rows, &projected_);
  Add(projected_, &hidden_);
}

void Session::AttendPiece(size_t layer, const Piece& piece, int64_t row) {
  const ModelConfig& config = model_.config();
  const auto count = static_cast<int64_t>(piece.tokens.size());
  const int64_t kv_width = config.KeyWidth(), start = piece.cache->length_;
  KvCache::Layer& cache = piece.cache->layers_[layer];
  const auto append = [&](const std::vector<float>& from, std::vector<float>* to) {
    // A cache that was cut back, or whose last call failed, holds more than its length: overwrite from there.
    to->resize(static_cast<size_t>(start * kv_width));
    const float* first = from.data() + row * kv_width;
    to->insert(to->end(), first, first + count * kv_width);
  };
  append(key_, &cache.keys);
  append(value_, &cache.values);
  Attention({.query = query_.data() + row * config.QueryWidth(),
             .keys = cache.keys.data(),
             .values = cache.values.data(),
             .rows = count,
             .first_position = start,
             .num_heads = config.num_heads,
             .num_kv_heads = config.num_kv_heads,
             .head_dim = config.head_dim,
             .window = config.sliding_window[layer],
             .scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim)),
             .out = attended_.data() + row * config.QueryWidth()},
            pool_);
}

void Session::FeedForward(const RuntimeBlock& block, int64_t rows) {
  Norm(block.post_norm, hidden_, rows, &normed_);
  Multiply(block.gate, normed_, rows, &gate_);
  Multiply(block.up, normed_, rows, &up_);
  Swiglu({.gate = gate_.data(), .up = up_.data(), .count = static_cast<int64_t>(gate_.size()), .y = gate_.data()},
         pool_);
  Multiply(block.down, gate_, rows, &projected_);
  Add(projected_, &hidden_);
}

void Session::Logits(std::span<const float> hidden, std::span<float> logits) {
  const ModelConfig& config = model_.config();
  const auto rows = static_cast<int64_t>(hidden.size()) / config.hidden_size;
  assert(static_cast<int64_t>(hidden.size()) == rows * config.hidden_size);
  assert(static_cast<int64_t>(logits.size()) == rows * config.vocab_size);
  Begin(config.num_layers);
  normed_.resize(hidden.size());
  RmsNorm({.x = hidden.data(),
           .weight = model_.final_norm().data(),
           .rows = rows,
           .width = config.hidden_size,
           .eps = static_cast<float>(config.rms_norm_eps),
           .y = normed_.data()},
          pool_);
  Gemm({.weight = model_.head(), .x = normed_.data(), .m = rows, .y = logits.data(), .exact = exact_}, pool_, gemm_);
  End(config.num_layers);
  for (size_t i = 0; i < logits.size(); ++i)
    if (!std::isfinite(logits[i]))
      Fail(model_.checkpoint().directory().string(),
           "the model computed {} as the logit of token {}: its weights are damaged or overflow float32", logits[i],
           i % static_cast<size_t>(config.vocab_size));
}

}  // namespace ecld
