#include "measure/requests.h"

#include <algorithm>
#include <cassert>

#include "core/random.h"
#include "runtime/score.h"

namespace ecld {

int64_t CacheBytes(const RuntimeModel& model, int64_t batch, int64_t tok) {
  return batch * tok * static_cast<int64_t>(KvCache::BytesPerToken(model));
}

Requests::Requests(Session& session, int64_t batch, int64_t max_tok, uint64_t seed)
    : session_(session),
      caches_(static_cast<size_t>(batch), KvCache(session.model())),
      tokens_(static_cast<size_t>(max_tok)),
      logits_(static_cast<size_t>(batch * session.model().config().vocab_size)) {
  Random random(seed);
  const auto vocabulary = static_cast<uint64_t>(session.model().config().vocab_size);
  for (KvCache& cache : caches_) cache.Reserve(max_tok);
  for (int32_t& token : tokens_) token = static_cast<int32_t>(random.Below(vocabulary));
}

void Requests::Rewind(int64_t length) {
  assert(0 <= length && length <= length_);
  for (KvCache& cache : caches_) cache.Truncate(length);
  length_ = length;
}

int64_t Requests::KvBytes() const {
  uint64_t bytes = 0;
  for (const KvCache& cache : caches_) bytes += cache.Bytes();
  return static_cast<int64_t>(bytes);
}

void Requests::Prefill(int64_t count) {
  const int64_t chunk = std::max<int64_t>(1, kBatchRows / static_cast<int64_t>(caches_.size()));
  const int64_t text_tok = length_ + count;
  for (int64_t done = 0; done < count; done += chunk) Append(std::min(chunk, count - done), text_tok);
  session_.Logits(last_hidden_, logits_);
}

// Keeps the hidden state of the last token of each sequence.
void Requests::Append(int64_t count, int64_t text_tok) {
  assert(length_ + count <= static_cast<int64_t>(tokens_.size()));
  const auto tokens =
      std::span<const int32_t>(tokens_).subspan(static_cast<size_t>(length_), static_cast<size_t>(count));
  std::vector<Piece> pieces;
  for (KvCache& cache : caches_) pieces.push_back({&cache, tokens, text_tok});
  const std::span<const float> hidden = session_.Forward(pieces);
  const auto width = static_cast<size_t>(session_.model().config().hidden_size);
  last_hidden_.clear();
  for (size_t b = 1; b <= caches_.size(); ++b) {
    const auto row = hidden.subspan((b * static_cast<size_t>(count) - 1) * width, width);
    last_hidden_.insert(last_hidden_.end(), row.begin(), row.end());
  }
  length_ += count;
}

}  // namespace ecld
