#pragma once
// The forward pass. Several sequences run together: each Piece appends tokens to its own KvCache, and the rows of all
// pieces are stacked, so that one matrix product serves them all. Running a text whole, in chunks or token by token
// gives the same logits up to float rounding.
//
//   KvCache cache(model);
//   std::span<const float> hidden = session.Forward({{&cache, prompt}});   // [prompt.size(), hidden_size]
//   session.Logits(hidden.last(config.hidden_size), logits);              // [1, vocab_size]
//
// Memory: activations of one call grow with its rows, logits with theirs: callers cut long texts (see score.h).

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "core/threads.h"
#include "runtime/model.h"

namespace ecld {

// Keys (rotated) and values of one sequence, float32. Grows as tokens are appended. Layers with a sliding window
// keep all positions too; the window is applied when attending.
class KvCache {
 public:
  explicit KvCache(const RuntimeModel& model) : layers_(model.blocks().size()) {}

  int64_t length() const { return length_; }  // tokens held
  uint64_t Bytes() const;
  // Forgets all but the first length tokens. REQUIRES: 0 <= length <= length().
  void Truncate(int64_t length) { length_ = length; }

 private:
  friend class Session;
  struct Layer {
    std::vector<float> keys, values;  // [at least length, num_kv_heads * head_dim]
  };
  std::vector<Layer> layers_;
  int64_t length_ = 0;
};

// Tokens to append to one sequence.
struct Piece {
  KvCache* cache = nullptr;
  std::span<const int32_t> tokens;
};

// Told where the time goes: embedding look-up, each decoder block, head (final norm included). Called on the thread
// that runs the session; work of the pool is finished at each call.
class LayerObserver {
 public:
  static constexpr int64_t kEmbedding = -1;  // blocks are 0 .. num_layers - 1, the head is num_layers
  virtual ~LayerObserver() = default;
  virtual void Begin(int64_t layer) = 0;
  virtual void End(int64_t layer) = 0;
};

// Not thread-safe: one session per thread that drives a model; it uses the pool inside.
class Session {
 public:
  // gemm: name of the matrix product implementation to force (see kernels/gemm); "" = the first that supports it.
  Session(const RuntimeModel& model, ThreadPool& pool, std::string gemm = "");

  const RuntimeModel& model() const { return model_; }
  ThreadPool& pool() const { return pool_; }
  // Names of the matrix product implementations that run this model's weights, "a, b".
  std::string Kernels() const;
  void set_observer(LayerObserver* observer) { observer_ = observer; }

  // Output of the last block for every token of every piece, [rows, hidden_size], pieces in order; valid until the
  // next call. REQUIRES: the caches are distinct. THROWS Error: a token id outside the vocabulary, no token at all,
  // a sequence longer than the model's max_position; the caches are then unchanged.
  std::span<const float> Forward(std::span<const Piece> pieces);
  std::span<const float> Forward(std::initializer_list<Piece> pieces) {
    return Forward(std::span(pieces.begin(), pieces.size()));
  }

  // hidden [rows, hidden_size] of Forward (or some of its rows) -> logits [rows, vocab_size]. Several calls may
  // follow one Forward. THROWS Error when a logit is NaN or infinite. REQUIRES: sizes match.
  void Logits(std::span<const float> hidden, std::span<float> logits);

 private:
  void CheckPieces(std::span<const Piece> pieces) const;
  void Embed(std::span<const Piece> pieces);
  void RotationTable(std::span<const Piece> pieces);
  void Norm(const std::vector<float>& weight, const std::vector<float>& x, int64_t rows, std::vector<float>* y);
  void Multiply(const Linear& linear, const std::vector<float>& x, int64_t rows, std::vector<float>* y);
  void Attend(size_t layer, std::span<const Piece> pieces, int64_t rows);
  void AttendPiece(size_t layer, const Piece& piece, int64_t row);
  void FeedForward(const RuntimeBlock& block, int64_t rows);
  void Begin(int64_t layer) const;
  void End(int64_t layer) const;

  const RuntimeModel& model_;
  ThreadPool& pool_;
  std::string gemm_;
  bool exact_;
  LayerObserver* observer_ = nullptr;
  // Activations, [rows, width]; kept between calls so that decoding does not allocate.
  std::vector<float> hidden_, normed_, query_, key_, value_, attended_, projected_, gate_, up_;
  std::vector<float> cosine_, sine_;  // [rows, head_dim / 2]
};

}  // namespace ecld
