#include "runtime/session.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <set>
#include <utility>

#include "checkpoint/linear_groups.h"
#include "core/error.h"
#include "core/log.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/implementations.h"
#include "runtime/checks.h"

namespace ecld {
namespace {

int64_t CountRows(std::span<const Piece> pieces) {
  int64_t rows = 0;
  for (const Piece& piece : pieces) rows += static_cast<int64_t>(piece.tokens.size());
  return rows;
}

}  // namespace

Session::Session(const RuntimeModel& model, ThreadPool& pool, std::string gemm)
    : model_(model),
      pool_(pool),
      gemm_(std::move(gemm)),
      exact_(model.options().precision == Precision::kExact),
      rotations_(static_cast<size_t>(RopeKinds(model.config()))) {}

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
    for (Role role : kBlockLinears) add(block[role].weight);
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
  const int64_t longest = LongestText(model_.config());
  const std::string where = model_.checkpoint().directory().string();
  if (CountRows(pieces) == 0) Fail(where, "no tokens to run: the text is empty");
  for (const Piece& piece : pieces) {
    assert(piece.cache && piece.cache->layers_.size() == model_.blocks().size());
    const int64_t start = piece.cache->length_;
    const auto count = static_cast<int64_t>(piece.tokens.size());
    CheckTokens(model_, piece.tokens, start);
    if (start + count > longest)
      Fail(where, "a text of {} tokens is longer than the {} positions of this model", start + count, longest);
  }
}

std::span<const float> Session::Forward(std::span<const Piece> pieces) {
  CheckPieces(pieces);
  for (const Piece& piece : pieces)
    piece.cache->Grow(piece.cache->length() + static_cast<int64_t>(piece.tokens.size()));
  const int64_t width = model_.config().hidden_size;
  hidden_.resize(static_cast<size_t>(CountRows(pieces) * width));
  Chunk chunk{.pieces = {}, .hidden = hidden_.data()};
  const auto run = [&] {
    RunChunk(chunk);
    chunk = {.pieces = {}, .hidden = chunk.hidden + chunk.rows * width};
  };
  for (Piece piece : pieces) {
    piece.text_tok = std::max(piece.text_tok, piece.cache->length_ + static_cast<int64_t>(piece.tokens.size()));
    while (!piece.tokens.empty()) {
      const size_t count = std::min(piece.tokens.size(), static_cast<size_t>(kChunkRows - chunk.rows));
      chunk.pieces.push_back({piece.cache, piece.tokens.first(count), piece.text_tok});
      chunk.rows += static_cast<int64_t>(count);
      piece.tokens = piece.tokens.subspan(count);
      if (chunk.rows == kChunkRows) run();
    }
  }
  if (chunk.rows > 0) run();
  return hidden_;
}

void Session::RunChunk(const Chunk& chunk) {
  Embed(chunk);
  PlaceRows(chunk);
  for (size_t layer = 0; layer < model_.blocks().size(); ++layer) {
    Begin(static_cast<int64_t>(layer));
    RunBlock(layer, chunk);
    End(static_cast<int64_t>(layer));
  }
  for (const Piece& piece : chunk.pieces) piece.cache->length_ += static_cast<int64_t>(piece.tokens.size());
}

void Session::Embed(const Chunk& chunk) {
  constexpr int64_t kMinRows = 16;  // below, waking another thread costs more than it brings
  Begin(LayerObserver::kEmbedding);
  std::vector<int32_t> tokens;
  for (const Piece& piece : chunk.pieces) tokens.insert(tokens.end(), piece.tokens.begin(), piece.tokens.end());
  const int64_t width = model_.config().hidden_size;
  const auto scale = static_cast<float>(model_.config().embedding_scale);
  pool_.ParallelFor(chunk.rows, kMinRows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* hidden = chunk.hidden + row * width;
      ReadRow(model_.embedding(), tokens[static_cast<size_t>(row)], hidden);
      if (scale != 1)
        for (int64_t i = 0; i < width; ++i) hidden[i] *= scale;
    }
  });
  End(LayerObserver::kEmbedding);
}

void Session::PlaceRows(const Chunk& chunk) {
  places_.clear();
  for (Rotation& rotation : rotations_) {
    rotation.cosine.clear();
    rotation.sine.clear();
  }
  for (const Piece& piece : chunk.pieces) {
    TurnBy(piece);
    for (size_t i = 0; i < piece.tokens.size(); ++i) {
      const int64_t position = piece.cache->length_ + static_cast<int64_t>(i);
      places_.push_back({piece.cache, position});
      for (Rotation& rotation : rotations_) AppendRotation(rotation.rope, position, &rotation.cosine, &rotation.sine);
    }
  }
}

// A text that outgrows its original length while it is written is turned as transformers does it: new tokens by what
// its length now asks for, keys in the cache as they were. To turn those anew would not make up for it, since what
// later blocks hold was computed from them; llama.cpp decides once, by the room it has, and so changes short texts too.
void Session::TurnBy(const Piece& piece) {
  const int64_t length = RopeLength(model_.config(), piece.text_tok);
  if (piece.cache->length_ > 0 && piece.cache->rope_length_ != length)
    WarnOnce(
        model_.checkpoint().directory().string(),
        fmt::format("a text grows beyond {} tokens while it is written: what stood there keeps the rotation of the "
                    "shorter text (rope type {}), as in transformers",
                    model_.config().rope_scaling.kind == RopeScaling::Kind::kLongRope
                        ? model_.config().rope_scaling.original_max_position
                        : model_.config().max_position,
                    Name(model_.config().rope_scaling.kind)));
  piece.cache->rope_length_ = length;
  if (length == rope_length_) return;
  for (size_t kind = 0; kind < rotations_.size(); ++kind)
    rotations_[kind].rope = MakeRope(model_.config(), piece.text_tok, static_cast<int64_t>(kind));
  rope_length_ = length;
}

void Session::Logits(std::span<const float> hidden, std::span<float> logits) {
  const ModelConfig& config = model_.config();
  const int64_t width = config.hidden_size, rows = static_cast<int64_t>(hidden.size()) / width;
  assert(static_cast<int64_t>(hidden.size()) == rows * width);
  assert(static_cast<int64_t>(logits.size()) == rows * config.vocab_size);
  Begin(config.num_layers);
  if (normed_.size() < hidden.size()) normed_.resize(hidden.size());
  for (int64_t row = 0; row < rows; ++row)
    Elementwise().rms_norm(hidden.data() + row * width, model_.final_norm().data(), width,
                           static_cast<float>(config.rms_norm_eps), normed_.data() + row * width);
  const GemmArgs args{
      .weight = model_.head(), .x = normed_.data(), .m = rows, .y = logits.data(), .exact = exact_, .fine = true};
  Gemm(std::span(&args, 1), pool_, gemm_scratch_, gemm_);
  CheckFinite(logits);
  End(config.num_layers);
}

void Session::CheckFinite(std::span<const float> logits) {
  std::atomic<bool> finite = true;
  pool_.ParallelFor(static_cast<int64_t>(logits.size()), 1 << 16, [&](int64_t begin, int64_t end) {
    if (!Elementwise().all_finite(logits.data() + begin, end - begin)) finite = false;
  });
  if (!finite) FailNotFinite(model_, logits, "float32");
}

}  // namespace ecld
