#pragma once
// The forward pass. Several sequences run together: each Piece appends tokens to its own KvCache, and the rows of all
// pieces are stacked, so that one matrix product serves them all. Running a text whole, in chunks or token by token
// gives the same logits up to float rounding; with the rope types dynamic and longrope, in chunks that say how long it
// will be, and token by token within its original length.
//
//   KvCache cache(model);
//   std::span<const float> hidden = session.Forward({{&cache, prompt}});   // [prompt.size(), hidden_size]
//   session.Logits(hidden.last(config.hidden_size), logits);              // [1, vocab_size]
//
// Memory: the blocks work on kChunkRows rows at a time, so only the hidden states grow with the rows of a call, and the
// logits with theirs; a decoding loop allocates nothing but room in its caches, now and then.

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "core/threads.h"
#include "kernels/attention/attention.h"
#include "kernels/gemm/gemm.h"
#include "runtime/kv_cache.h"
#include "runtime/model.h"

namespace ecld {

// Tokens to append to one sequence.
struct Piece {
  KvCache* cache = nullptr;
  std::span<const int32_t> tokens;
  // Of the whole text where later calls append the rest of it: two rope types turn its positions by that (rope.h).
  int64_t text_tok = 0;  // 0: it ends with these tokens
};

inline constexpr int64_t kChunkRows = 512;

// Told where the time goes: embedding look-up, each decoder block, head (final norm included). Called on the thread
// that runs the session, for each chunk of rows; work of the pool is finished at each call.
class LayerObserver {
 public:
  static constexpr int64_t kEmbedding = -1;  // blocks are 0 .. num_layers - 1, the head is num_layers
  virtual ~LayerObserver() = default;
  virtual void Begin(int64_t layer) = 0;
  virtual void End(int64_t layer) = 0;
};

// What lies between two blocks where a model is cut in two: it may change the hidden states [rows, width] that pass.
// Called on the thread that runs the session, for each chunk of rows.
class HiddenChannel {
 public:
  virtual ~HiddenChannel() = default;
  virtual void Pass(std::span<float> hidden, int64_t width) = 0;
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
  // Puts a channel before block `cut`; nullptr: none. REQUIRES: 0 <= cut < num_layers.
  void set_channel(int64_t cut, HiddenChannel* channel) {
    cut_ = cut;
    channel_ = channel;
  }

  // Output of the last block for every token of every piece, [rows, hidden_size], pieces in order; valid until the
  // next call. REQUIRES: the caches are distinct. THROWS Error: a token id outside the vocabulary, no token at all,
  // a sequence longer than LongestText of the config; the caches are then unchanged.
  std::span<const float> Forward(std::span<const Piece> pieces);
  std::span<const float> Forward(std::initializer_list<Piece> pieces) {
    return Forward(std::span(pieces.begin(), pieces.size()));
  }

  // hidden [rows, hidden_size] of Forward (or some of its rows) -> logits [rows, vocab_size]. Several calls may
  // follow one Forward. THROWS Error when a logit is NaN or infinite. REQUIRES: sizes match.
  void Logits(std::span<const float> hidden, std::span<float> logits);

 private:
  // What is run at a time: rows of hidden_ with the sequence and the position of each.
  struct Chunk {
    std::vector<Piece> pieces;
    float* hidden = nullptr;  // [rows, hidden_size]
    int64_t rows = 0;
  };
  struct RowPlace {
    KvCache* cache;
    int64_t position;
  };
  // A product with the rows of a chunk, into an activation.
  struct Product {
    const Linear& linear;
    std::vector<float>& y;
    bool fine = false;
  };

  void CheckPieces(std::span<const Piece> pieces) const;
  void RunChunk(const Chunk& chunk);
  void Embed(const Chunk& chunk);
  void PlaceRows(const Chunk& chunk);
  void TurnBy(const Piece& piece);
  // The blocks, in session_blocks.cpp.
  void RunBlock(size_t layer, const Chunk& chunk);
  void Send(const Chunk& chunk, bool add);
  void AddAndNorm(const Chunk& chunk, bool add, const std::vector<float>& weight);
  void NormProjected(const std::vector<float>& weight, int64_t rows);
  void Multiply(std::initializer_list<Product> products, const float* x, int64_t rows);
  void RotateAndStore(size_t layer, int64_t rows);
  void Attend(size_t layer, const Chunk& chunk);
  void CheckFinite(std::span<const float> logits);
  void Begin(int64_t layer) const;
  void End(int64_t layer) const;

  const RuntimeModel& model_;
  ThreadPool& pool_;
  std::string gemm_;
  bool exact_;
  LayerObserver* observer_ = nullptr;
  HiddenChannel* channel_ = nullptr;
  int64_t cut_ = 0;
  std::vector<float> hidden_;  // [rows, hidden_size] of the whole call
  // Of a chunk, [rows, width]; kept between calls.
  std::vector<float> normed_, query_, key_, value_, attended_, projected_, gate_, up_;
  struct Rotation {
    Rope rope;                        // of texts of rope_length_
    std::vector<float> cosine, sine;  // [rows, head_dim / 2]
  };
  std::vector<Rotation> rotations_;  // by RopeKind
  int64_t rope_length_ = -1;         // see RopeLength
  std::vector<RowPlace> places_;     // [rows]
  std::vector<GemmArgs> products_;
  GemmScratch gemm_scratch_;
  std::vector<AttentionPiece> attention_pieces_;
  AttentionScratch attention_scratch_;
};

}  // namespace ecld
